//! What being measured costs a real training: `cargo bench -p sootprint-benches --bench slowdown`.
//!
//! A perceptron learns the digits with Burn and with Candle, again and again. A block is three trainings that do the same
//! steps: one with a run of sootprint, one without and a control. They take turns of 0.1 to 0.3 s ([`Turns`]):
//! what a machine that is shared gives a training changes as much from one tenth of a second to the next as from one
//! minute to the next, so that short turns tell far more in the same time than whole trainings one after the other, and the
//! order of each round is drawn by lot. Of each block one ratio is taken; told are their middle and its bounds
//! ([`Interval`]).
//!
//! What sootprint does in a training's own course, at steps and at edges, makes the measured one's turns longer. What its
//! threads do beside it falls into the turns of all three, and is told apart there: in the two without a run, the steps in
//! which those threads were let onto a processor are compared with the steps next to them ([`held_up`]). The
//! slowdown is the sum of both.
//!
//! What this misses: a part of what a measured training leaves to its threads, such as the readings in the 50 ms after an
//! edge, where its turn is over by then; and in the first of each turn's steps what the framework's threads do meanwhile
//! for the step before. A run goes on in all turns and lasts for three times its training, so it looks at its board more
//! often at the edges of short epochs than it would alone.
//!
//! A training that leaves a processor to all else keeps to the other ones: [`place`] says why.
//!
//! The third arm is the control. With Candle it is one more training without a run, and a measured one is compared with
//! both. With Burn it has no run either, but three metrics that do nothing where sootprint has its own: Burn writes each
//! metric of each step into a file, through a thread of its own, and what that costs is in the slowdown but is not
//! sootprint's to change.
//!
//! Where a training without a run is not timed more closely than the goal asks, the clock cannot tell. Then there is what
//! sootprint's own threads did meanwhile: no training is held up for longer than they were at work, and a little longer for
//! each time that a processor changed from one to the other. What Burn does with the metrics is not in that.
//!
//! The training alone is timed: a run's start and finish have their own figures (`numbers`). Each row is a process of its
//! own, for how many processors a training takes is settled when it begins. `slowdown BLOCKS` takes another number of
//! blocks, `slowdown BLOCKS ROW...` some rows alone, counted from 0.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the program's result, its progress is none"
)]

mod arm;
mod candle;
mod clock;
mod compared;
mod digits;
mod place;
mod silent;
mod supervised;
mod turns;

use std::process::{Command, ExitCode};
use std::thread;

use sootprint_benches::Failure;
use sootprint_benches::statistics::{Interval, median};
use sootprint_benches::steps::held_up;
use sootprint_benches::system;

use arm::{Arm, Machine};
use clock::{Clock, Took};
use compared::{Compared, GOAL, Verdict};
use digits::{Digits, Size};
use place::Place;
use turns::Turns;

/// Trains once.
type Train = fn(&Digits, Size, Arm, &Clock) -> Result<Took, Failure>;

/// A training, and on which processors.
struct Row {
    name: &'static str,
    train: Train,
    control: Control,
    size: Size,
    processors: Processors,
    has_goal: bool,
}

/// What the third arm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Control {
    /// A training without a run once more.
    Again,
    /// A training with metrics that do nothing.
    IdleMetrics,
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
    Row::burn("Burn, `measured_by`; control with three idle metrics", Size::LARGE, Processors::AllButOne),
    Row::burn("the same", Size::LARGE, Processors::All),
    Row::burn("the same with small steps", Size::SMALL, Processors::All).without_goal(),
    Row::burn("the same with small steps and short epochs", Size::SHORT, Processors::All).without_goal(),
    Row::candle("Candle, `.on(&device)`", Size::SMALL, Processors::AllButOne),
    Row::candle("the same", Size::SMALL, Processors::All),
    Row::candle("the same with short epochs", Size::SHORT, Processors::All).without_goal(),
];

/// Tells the process of a row which one it is.
const ROW: &str = "SOOTPRINT_BENCHES_ROW";

/// The exit status of who missed a goal.
const MISSED: u8 = 2;

/// Both frameworks multiply in rayon's threads.
const THREADS: &str = "RAYON_NUM_THREADS";

/// glibc gives large buffers back to the system as soon as they are free. The pages that a step touches anew were half of
/// Burn's time, and most of the noise. A framework on a board keeps what it has, and so does the process of a row.
/// One arena is for all threads, as the others' ones are limited.
const KEEPING_MEMORY: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296",
);

fn main() -> ExitCode {
    let mut numbers = std::env::args().skip(1).filter_map(|argument| argument.parse().ok());
    let blocks = numbers.next();
    let rows: Vec<usize> = numbers.collect();
    let passes = match std::env::var(ROW).ok().and_then(|row| ROWS.get(row.parse::<usize>().ok()?)) {
        Some(row) => row.print(blocks.unwrap_or(row.blocks())),
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
fn table(blocks: Option<usize>, rows: &[usize]) -> Result<bool, Failure> {
    let neighbours = system::Neighbours::watch()?;
    println!(
        "| training on the processor | threads | blocks | a step takes | an epoch takes | slowdown, its middle and 95 % bounds | of it in the training's course | and through threads beside it | slowdown of the control | sootprint's threads at work | | goal | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let processors = thread::available_parallelism()?.get();
    let mut passes = true;
    let rows = if rows.is_empty() { (0..ROWS.len()).collect() } else { rows.to_vec() };
    for index in rows {
        let row = ROWS.get(index).ok_or_else(|| format!("there is no row {index}"))?;
        let threads = match row.processors {
            Processors::All => processors,
            Processors::AllButOne => (processors - 1).max(1),
        };
        let mut process = Command::new(std::env::current_exe()?);
        process
            .args(blocks.map(|blocks| blocks.to_string()))
            .env(ROW, index.to_string())
            .env(THREADS, threads.to_string())
            .envs([KEEPING_MEMORY]);
        passes &= match process.status()? {
            status if status.success() => true,
            status if status.code() == Some(i32::from(MISSED)) => false,
            status => return Err(format!("the row {index}, {}, ended with {status}", row.name).into()),
        };
    }
    println!("\nOther programs kept {:.2} cores busy meanwhile.", neighbours.cores()?);
    Ok(passes)
}

impl Row {
    const fn burn(name: &'static str, size: Size, processors: Processors) -> Self {
        Self::new(name, supervised::train, Control::IdleMetrics, size, processors)
    }

    const fn candle(name: &'static str, size: Size, processors: Processors) -> Self {
        Self::new(name, candle::train, Control::Again, size, processors)
    }

    const fn new(
        name: &'static str,
        train: Train,
        control: Control,
        size: Size,
        processors: Processors,
    ) -> Self {
        Self { name, train, control, size, processors, has_goal: true }
    }

    const fn without_goal(self) -> Self {
        Self { has_goal: false, ..self }
    }

    const fn blocks(&self) -> usize {
        if self.has_goal { 100 } else { 18 }
    }

    /// Measures, and prints the row; whether it reaches its goal.
    fn print(&self, blocks: usize) -> Result<bool, Failure> {
        let Self { name, size, has_goal, .. } = self;
        let digits = Digits::load()?;
        let compared = self.compare(blocks, &digits)?;
        let told = compared.told(size);
        let verdict = has_goal.then(|| compared.verdict());
        let goal = if *has_goal {
            format!("bounds hold 0 %, upper one ≤ {} %", GOAL * 100.0)
        } else {
            String::new()
        };
        println!(
            "| {name} | {} | {blocks} | {:.2} ms | {told} | {goal} | {} |",
            std::env::var(THREADS)?,
            compared.seconds / size.steps(digits.0.len()) * 1e3,
            verdict.map_or("", Verdict::word),
        );
        Ok(verdict != Some(Verdict::Fails))
    }

    fn compare(&self, blocks: usize, digits: &Digits) -> Result<Compared, Failure> {
        let (machine, place) = (Machine::new()?, Place::new(self.processors == Processors::AllButOne)?);
        // The first one fills caches and pools.
        self.block(0, &machine, place, digits)?;
        let (mut slowdowns, mut in_turns, mut beside) = (Vec::new(), Vec::new(), Vec::new());
        let (mut controls, mut seconds) = (Vec::new(), Vec::new());
        let (mut own_shares, mut own_turns) = (Vec::new(), Vec::new());
        for block in 1..=blocks {
            let trained = self.block(block, &machine, place, digits)?;
            let times = trained.each_ref().map(|took| took.time.as_secs_f64());
            let [measured, without, control] = times.map(f64::ln);
            let compared_with = match self.control {
                Control::Again => f64::midpoint(without, control),
                Control::IdleMetrics => without,
            };
            in_turns.push(measured - compared_with);
            let unmeasured = trained[1..].iter().flat_map(|took| &took.turns);
            beside.push(
                held_up(unmeasured)
                    .ok_or("a block without steps that sootprint's threads joined, or with no others")?,
            );
            slowdowns.push(measured - compared_with + beside[block - 1]);
            controls.push(control - without);
            own_shares.push(trained[0].own.time.as_secs_f64() / times[0]);
            own_turns.push(trained[0].own.turns as f64 / times[0]);
            seconds.push(times[1]);
            eprintln!("block {block} of {blocks}");
        }
        let bounds =
            |differences: &[f64]| Interval::of_differences(differences).ok_or("too few blocks for bounds");
        let median = |values: &[f64]| median(values).ok_or("no blocks");
        Ok(Compared {
            slowdown: bounds(&slowdowns)?.map(f64::exp_m1),
            in_turns: bounds(&in_turns)?.map(f64::exp_m1),
            beside: bounds(&beside)?.map(f64::exp_m1),
            control: bounds(&controls)?.map(f64::exp_m1),
            seconds: median(&seconds)?,
            own_share: median(&own_shares)?,
            own_turns: median(&own_turns)?,
        })
    }

    /// Trains with each of the arms, in turns.
    fn block(
        &self,
        block: usize,
        machine: &Machine,
        place: Place,
        digits: &Digits,
    ) -> Result<[Took; 3], Failure> {
        let mut random = fastrand::Rng::new();
        let mut arms = [(0, Arm::Measured(machine.start(block)?)), (1, Arm::Without), (2, Arm::Control)];
        // A training may be faster for where its memory lies, and that depends on who asked for memory first.
        random.shuffle(&mut arms);
        let turns = Turns::new(arms.len(), random.u64(..));
        // All have a place in the queue before the first one waits for the others.
        let arms = arms.map(|(number, arm)| {
            (number, arm, Clock::new(turns.player(number), place, self.size.batches_in_a_turn))
        });
        let mut trained = thread::scope(|scope| {
            arms.map(|(number, arm, clock)| {
                (number, scope.spawn(move || (self.train)(digits, self.size, arm, &clock)))
            })
            .map(|(number, training)| {
                (number, training.join().unwrap_or_else(|_| Err("a training has panicked".into())))
            })
        });
        trained.sort_unstable_by_key(|(number, _)| *number);
        let [(_, measured), (_, without), (_, control)] = trained;
        Ok([measured?, without?, control?])
    }
}
