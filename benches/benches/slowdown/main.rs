//! What being measured costs a real training: `cargo bench -p sootprint-benches --bench slowdown`.
//!
//! A perceptron learns the digits with Burn and with Candle, again and again, with a run of sootprint and without. A
//! block of six trainings is a palindrome of three arms, as in `ABC CBA`; the next blocks begin with the other arms. So
//! each arm has the same mean position within each block, whatever drifts steadily meanwhile cancels, and over three
//! blocks each arm has stood in each place. Of each block one ratio is taken; told are the median of the ratios and the
//! bounds of the sign test, which ask nothing of the noise.
//!
//! The third arm is the control. With Candle it is one more training without a run. With Burn it has no run either, but
//! three metrics that do nothing where sootprint has its own: Burn writes each metric of each step into a file, through a
//! thread of its own, and what that costs is in the slowdown but is not sootprint's to change.
//!
//! The training alone is timed: a run's start and finish have their own figures (`numbers`). `slowdown BLOCKS` takes
//! another number of blocks.

#![expect(clippy::print_stdout, reason = "the table is the program's result")]

mod candle;
mod digits;
mod silent;
mod supervised;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use nvidia_ml::{Board, Script, install};
use sootprint::Run;
use sootprint_benches::statistics::Interval;
use sootprint_benches::{Failure, system};

use digits::{Digits, Size};

const BLOCKS: usize = 60;

/// Upper bound that a slowdown may have.
const GOAL: f64 = 0.005;

/// What a training is done with.
#[derive(Debug)]
enum Arm {
    Measured(Run),
    Without,
    Control,
}

/// Trains once and tells how long the training itself took.
type Train = fn(&Digits, Size, Arm) -> Result<Duration, Failure>;

/// A small step is dear to whoever does something in each, and a short epoch to whoever does something at its edges; a
/// large step is nearer to what people train.
const TRAININGS: [(&str, Train, Size); 5] = [
    ("Burn, `measured_by`; control with three idle metrics", supervised::train, Size::LARGE),
    ("the same with small steps", supervised::train, Size::SMALL),
    ("the same with small steps and short epochs", supervised::train, Size::SHORT),
    ("Candle, `.on(&device)`", candle::train, Size::SMALL),
    ("the same with short epochs", candle::train, Size::SHORT),
];

fn main() -> ExitCode {
    let blocks = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(BLOCKS);
    match table(blocks) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            println!("not measured: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn table(blocks: usize) -> Result<bool, Failure> {
    let digits = Digits::load()?;
    let machine = Machine::new()?;
    let neighbours = system::Neighbours::watch()?;
    println!(
        "| training on the processor | an epoch takes | a step takes | slowdown, median and 95 % bounds | of the control | goal | |"
    );
    println!("|---|---|---|---|---|---|---|");
    let mut passes = true;
    for (name, train, size) in TRAININGS {
        let compared = compare(blocks, &digits, &machine, train, size)?;
        let passed = compared.slowdown.low <= 0.0 && compared.slowdown.high <= GOAL;
        println!(
            "| {name} | {:.0} ms | {:.2} ms | {} | {} | bounds hold 0 %, upper one ≤ {} % | {} |",
            compared.seconds / f64::from(size.epochs) * 1e3,
            compared.seconds / size.steps(digits.0.len()) * 1e3,
            told(compared.slowdown),
            told(compared.control),
            GOAL * 100.0,
            if passed { "pass" } else { "**fail**" }
        );
        passes &= passed;
    }
    println!(
        "\n{blocks} blocks of six trainings each; other programs kept {:.2} cores busy meanwhile.",
        neighbours.cores()?
    );
    Ok(passes)
}

struct Compared {
    slowdown: Interval,
    control: Interval,
    /// Of a training without a run.
    seconds: f64,
}

fn compare(
    blocks: usize,
    digits: &Digits,
    machine: &Machine,
    train: Train,
    size: Size,
) -> Result<Compared, Failure> {
    // The first ones fill caches and pools.
    for _ in 0..3 {
        train(digits, size, Arm::Without)?;
    }
    let (mut slowdowns, mut controls, mut seconds) = (Vec::new(), Vec::new(), Vec::new());
    for block in 0..blocks {
        let mut logarithms = [0.0_f64; 3];
        let first = [0, 1, 2].map(|place| (place + block) % 3);
        for arm in first.into_iter().chain(first.into_iter().rev()) {
            let with = match arm {
                0 => Arm::Measured(machine.start(block)?),
                1 => Arm::Without,
                _ => Arm::Control,
            };
            let took = train(digits, size, with)?.as_secs_f64();
            logarithms[arm] += took.ln() / 2.0;
        }
        let [measured, without, control] = logarithms;
        slowdowns.push((measured - without).exp() - 1.0);
        controls.push((control - without).exp() - 1.0);
        seconds.push(without.exp());
    }
    let of = |values: &[f64]| Interval::of_median(values).ok_or("too few blocks for bounds");
    Ok(Compared { slowdown: of(&slowdowns)?, control: of(&controls)?, seconds: of(&seconds)?.median })
}

/// As per cent.
fn told(interval: Interval) -> String {
    let [low, median, high] = [interval.low, interval.median, interval.high].map(|part| part * 100.0);
    format!("{median:+.3} % ({low:+.3} to {high:+.3} %)")
}

/// A scripted board with a counter, so that there is one to read.
struct Machine {
    folder: tempfile::TempDir,
    library: PathBuf,
}

impl Machine {
    fn new() -> Result<Self, Failure> {
        let folder = tempfile::tempdir()?;
        let board = Board::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
            .limit(700)
            .power(Duration::ZERO, 400)
            .counter(Duration::from_millis(20));
        let library = install(&Script::new().board(board), folder.path())?;
        Ok(Self { folder, library })
    }

    /// In a folder of its own, as each training has.
    fn start(&self, block: usize) -> Result<Run, Failure> {
        let dir: &Path = self.folder.path();
        Ok(Run::pre_training(dir.join(format!("run{block}"))).nvml(&self.library).try_start()?)
    }
}
