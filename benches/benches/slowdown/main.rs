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
//! The training alone is timed: a run's start and finish have their own figures (`numbers`). Each row is a process of its
//! own, for how many processors a training takes is settled when it begins. `slowdown BLOCKS` takes another number of
//! blocks, `slowdown BLOCKS ROW...` some rows alone, counted from 0.

#![expect(clippy::print_stdout, reason = "the table is the program's result")]

mod candle;
mod digits;
mod silent;
mod supervised;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
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

/// A training, and on which processors.
struct Row {
    name: &'static str,
    train: Train,
    size: Size,
    processors: Processors,
    has_goal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Processors {
    All,
    /// One is left for all else, as where a board does the work.
    AllButOne,
}

/// The ones without a goal are what nobody trains for long: a small step is dear to whoever does something in each, and a
/// short epoch to whoever does something at its edges.
const ROWS: [Row; 7] = [
    Row::new(
        "Burn, `measured_by`; control with three idle metrics",
        supervised::train,
        Size::LARGE,
        Processors::AllButOne,
    ),
    Row::new("the same", supervised::train, Size::LARGE, Processors::All),
    Row::without_goal("the same with small steps", supervised::train, Size::SMALL),
    Row::without_goal("the same with small steps and short epochs", supervised::train, Size::SHORT),
    Row::new("Candle, `.on(&device)`", candle::train, Size::SMALL, Processors::AllButOne),
    Row::new("the same", candle::train, Size::SMALL, Processors::All),
    Row::without_goal("the same with short epochs", candle::train, Size::SHORT),
];

/// Tells the process of a row which one it is.
const ROW: &str = "SOOTPRINT_BENCHES_ROW";

/// The exit status of who missed a goal.
const MISSED: u8 = 2;

/// Both frameworks multiply in rayon's threads.
const THREADS: &str = "RAYON_NUM_THREADS";

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let blocks = numbers.next().unwrap_or(BLOCKS);
    let rows: Vec<usize> = numbers.collect();
    let passes = match std::env::var(ROW).ok().and_then(|row| ROWS.get(row.parse::<usize>().ok()?)) {
        Some(row) => row.print(blocks),
        None => table(blocks, &rows),
    };
    match passes {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(MISSED),
        Err(failure) => {
            println!("\nnot measured: {failure}");
            ExitCode::FAILURE
        }
    }
}

/// Prints some rows, or all when none is named; whether all reach their goal.
fn table(blocks: usize, rows: &[usize]) -> Result<bool, Failure> {
    let neighbours = system::Neighbours::watch()?;
    println!(
        "| training on the processor | threads | an epoch takes | a step takes | slowdown, median and 95 % bounds | of the control | goal | |"
    );
    println!("|---|---|---|---|---|---|---|---|");
    let processors = std::thread::available_parallelism()?.get();
    let mut passes = true;
    let rows = if rows.is_empty() { (0..ROWS.len()).collect() } else { rows.to_vec() };
    for index in rows {
        let row = ROWS.get(index).ok_or_else(|| format!("there is no row {index}"))?;
        let threads = match row.processors {
            Processors::All => processors,
            Processors::AllButOne => (processors - 1).max(1),
        };
        let mut process = Command::new(std::env::current_exe()?);
        process.arg(blocks.to_string()).env(ROW, index.to_string()).env(THREADS, threads.to_string());
        passes &= match process.status()? {
            status if status.success() => true,
            status if status.code() == Some(i32::from(MISSED)) => false,
            status => return Err(format!("the row {index}, {}, ended with {status}", row.name).into()),
        };
    }
    println!(
        "\n{blocks} blocks of six trainings each; other programs kept {:.2} cores busy meanwhile.",
        neighbours.cores()?
    );
    Ok(passes)
}

impl Row {
    const fn new(name: &'static str, train: Train, size: Size, processors: Processors) -> Self {
        Self { name, train, size, processors, has_goal: true }
    }

    const fn without_goal(name: &'static str, train: Train, size: Size) -> Self {
        Self { name, train, size, processors: Processors::All, has_goal: false }
    }

    /// Measures, and prints the row; whether it reaches its goal.
    fn print(&self, blocks: usize) -> Result<bool, Failure> {
        let Self { name, size, has_goal, .. } = self;
        let digits = Digits::load()?;
        let compared = self.compare(blocks, &digits)?;
        let passes = !has_goal || compared.slowdown.low <= 0.0 && compared.slowdown.high <= GOAL;
        let goal = match has_goal {
            true => format!("bounds hold 0 %, upper one ≤ {} %", GOAL * 100.0),
            false => String::new(),
        };
        println!(
            "| {name} | {} | {:.0} ms | {:.2} ms | {} | {} | {goal} | {} |",
            std::env::var(THREADS)?,
            compared.seconds / f64::from(size.epochs) * 1e3,
            compared.seconds / size.steps(digits.0.len()) * 1e3,
            told(compared.slowdown),
            told(compared.control),
            match (has_goal, passes) {
                (false, _) => "",
                (true, true) => "pass",
                (true, false) => "**fail**",
            }
        );
        Ok(passes)
    }

    fn compare(&self, blocks: usize, digits: &Digits) -> Result<Compared, Failure> {
        let machine = Machine::new()?;
        let train = |arm| (self.train)(digits, self.size, arm);
        // The first ones fill caches and pools.
        for _ in 0..3 {
            train(Arm::Without)?;
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
                logarithms[arm] += train(with)?.as_secs_f64().ln() / 2.0;
            }
            let [measured, without, control] = logarithms;
            slowdowns.push((measured - without).exp() - 1.0);
            controls.push((control - without).exp() - 1.0);
            seconds.push(without.exp());
        }
        let of = |values: &[f64]| Interval::of_median(values).ok_or("too few blocks for bounds");
        Ok(Compared { slowdown: of(&slowdowns)?, control: of(&controls)?, seconds: of(&seconds)?.median })
    }
}

struct Compared {
    slowdown: Interval,
    control: Interval,
    /// Of a training without a run.
    seconds: f64,
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
