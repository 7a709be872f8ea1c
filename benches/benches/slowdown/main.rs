//! What being measured costs a real training: `cargo bench -p sootprint-benches --bench slowdown`.
//!
//! A perceptron learns the digits with Burn and with Candle, again and again. A block is three trainings that do the same
//! steps: one with a run of sootprint, one without and a control. They take turns of 0.1 to 0.3 s ([`TurnScheduler`]):
//! what a machine that is shared gives a training changes as much from one tenth of a second to the next as from one
//! minute to the next, so that short turns tell far more in the same time than whole trainings one after the other, and the
//! order of each round is drawn by lot. Of each block one ratio is taken; told are their middle and its bounds
//! ([`ConfidenceInterval`]).
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
//! both. With Burn it has no run either, but three metrics that do nothing where sootprint has its own: what Burn does for
//! any three that have a value of each step, which it writes into files. Sootprint's are written once a second.
//!
//! Where one thread trains, what goes on around it is known far more closely than how long the same steps take: for how
//! long it is on no processor, and for how long other threads are at work. By them a training loses no more than both, but
//! for what they do to its caches. Where several threads train, there is what sootprint's own threads did: no training is
//! held up for longer than they were at work, and a little longer for each time that a processor changed from one to the
//! other; what Burn does with the metrics is not in that. Where the clock cannot tell, since a training without a run is not
//! timed more closely than the goal asks, this is what the goal is held to.
//!
//! The training alone is timed: a run's start and finish have their own figures (`numbers`). Each row is a process of its
//! own, for how many processors a training takes is settled when it begins. `slowdown BLOCKS` takes another number of
//! blocks, `slowdown BLOCKS ROW...` some rows alone, counted from 0.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the program's result, its progress is none"
)]

mod candle;
mod comparison;
mod cpu_placement;
mod digits;
mod row;
mod silent_renderer;
mod supervised;
mod training_arm;
mod turn_clock;
mod turn_scheduler;

use std::process::{Command, ExitCode};
use std::thread;

use digits::SlowdownSize;
use row::{CpuSelection, SlowdownRow};
use sootprint_benches::{BenchError, system};

/// The ones without a goal tell what a step and an epoch cost: a small step is dear to whoever does something in each, and a
/// short epoch to whoever does something at its edges.
const ROWS: [SlowdownRow; 8] = [
    SlowdownRow::burn(
        "Burn, `measured_by`; control with three idle metrics",
        SlowdownSize::LARGE,
        CpuSelection::AllButOne,
    ),
    SlowdownRow::burn("the same with longer epochs", SlowdownSize::LONG, CpuSelection::AllButOne)
        .without_goal(),
    SlowdownRow::burn("the same on all processors", SlowdownSize::LARGE, CpuSelection::All),
    SlowdownRow::burn("the same with small steps", SlowdownSize::SMALL, CpuSelection::All).without_goal(),
    SlowdownRow::burn("the same with small steps and short epochs", SlowdownSize::SHORT, CpuSelection::All)
        .without_goal(),
    SlowdownRow::candle("Candle, `.on(&device)`", SlowdownSize::SMALL, CpuSelection::AllButOne),
    SlowdownRow::candle("the same on all processors", SlowdownSize::SMALL, CpuSelection::All),
    SlowdownRow::candle("the same with short epochs", SlowdownSize::SHORT, CpuSelection::All).without_goal(),
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
fn table(blocks: Option<usize>, rows: &[usize]) -> Result<bool, BenchError> {
    let neighbours = system::BackgroundLoad::start()?;
    println!(
        "| training on the processor | threads | blocks | a step takes | an epoch takes | slowdown, its middle and 95 % bounds | of it in the training's course | and through threads beside it | slowdown of the control | its thread waits longer by | more work of other threads | of it sootprint's | lost through other threads | goal | |"
    );
    println!("|---|---|---|---|---|---|---|---|---|---|---|---|---|---|---|");
    let processors = thread::available_parallelism()?.get();
    let mut passes = true;
    let rows = if rows.is_empty() { (0..ROWS.len()).collect() } else { rows.to_vec() };
    for index in rows {
        let row = ROWS.get(index).ok_or_else(|| format!("there is no row {index}"))?;
        let threads = match row.processors {
            CpuSelection::All => processors,
            CpuSelection::AllButOne => (processors - 1).max(1),
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
    println!("\nOther programs kept {:.2} cores busy meanwhile.", neighbours.busy_cores()?);
    Ok(passes)
}
