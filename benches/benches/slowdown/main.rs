//! How much a run slows a training down: `cargo bench -p sootprint-benches --bench slowdown [BLOCKS]`.
//!
//! A small network learns digits with Burn and with Candle on the CPU, with one CPU to spare. A block is two trainings
//! that do the same steps, one with a run and one without. They take turns of 0.1 to 0.3 s in random order, so a noisy
//! machine affects both alike. Each block gives one ratio of their times; a row shows the Hodges-Lehmann estimate of all
//! ratios and its 95 % bounds.
//!
//! # Limits
//! - The run stays open during the turns of both trainings. Work on its background threads falls into the
//!   turns of both, so the ratio does not include it; a separate column has its CPU time.
//! - The start and the end of a run are not included: the benchmark `numbers` measures them.

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the table is the program's result, its progress goes to the other stream"
)]

mod burn;
mod candle;
mod silent_renderer;
mod turns;

use std::process::{Command, ExitCode};
use std::thread;
use std::time::Duration;

use digits::data::DigitImage;
use nvidia_ml::{FakeGpu, NvmlScript, install};
use sootprint::Run;
use sootprint_benches::BenchError;
use sootprint_benches::statistics::ConfidenceInterval;
use sootprint_benches::system::{BackgroundLoad, thread_cpu_time};
use turns::{TurnScheduler, TurnTimer};

/// Trains once, with or without a run, and returns the duration of its turns.
type TrainFn = fn(&[DigitImage], Option<&Run>, &TurnTimer) -> Result<Duration, BenchError>;

/// Each framework, its training function, and the number of batches per turn.
const FRAMEWORKS: [(&str, TrainFn, usize); 2] = [("Burn", burn::train, 15), ("Candle", candle::train, 120)];

/// The maximum slowdown, compared with the upper bound.
const GOAL: f64 = 0.005;

/// Selects the framework in the child process.
const FRAMEWORK_VARIABLE: &str = "SOOTPRINT_BENCHES_FRAMEWORK";

/// The exit status if a framework misses the goal.
const MISSED: u8 = 2;

/// The names of sootprint's threads, truncated by Linux.
const OWN_THREADS: [&str; 2] = ["sootprint-sampl", "sootprint-ledge"];

/// By default glibc returns large buffers to the system, and touching the pages again takes half of a step on
/// the CPU. A framework on a GPU keeps its buffers, so this process does the same.
const KEEP_FREED_MEMORY: (&str, &str) = (
    "GLIBC_TUNABLES",
    "glibc.malloc.arena_max=1:glibc.malloc.mmap_threshold=1073741824:glibc.malloc.trim_threshold=4294967296",
);

fn main() -> ExitCode {
    let blocks = std::env::args().skip(1).find_map(|argument| argument.parse().ok()).unwrap_or(60);
    let framework = std::env::var(FRAMEWORK_VARIABLE);
    let outcome = match FRAMEWORKS.iter().find(|(name, ..)| Ok(*name) == framework.as_deref()) {
        Some((name, train, batches)) => print_row(name, *train, *batches, blocks),
        None => print_table(blocks),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(MISSED),
        Err(error) => {
            println!("\nnot measured: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Measures each framework in its own process, because thread pools and memory are set up once per process.
fn print_table(blocks: usize) -> Result<bool, BenchError> {
    let load = BackgroundLoad::start()?;
    let threads = (thread::available_parallelism()?.get() - 1).max(1).to_string();
    println!("| training | blocks | slowdown, 95 % bounds | sampler's CPU time | goal |");
    println!("|---|---|---|---|---|");
    let mut passes = true;
    for (name, ..) in FRAMEWORKS {
        let status = Command::new(std::env::current_exe()?)
            .arg(blocks.to_string())
            .envs([(FRAMEWORK_VARIABLE, name), ("RAYON_NUM_THREADS", threads.as_str()), KEEP_FREED_MEMORY])
            .status()?;
        match status.code() {
            Some(0) => {}
            Some(code) if code == i32::from(MISSED) => passes = false,
            _ => return Err(format!("{name}: {status}").into()),
        }
    }
    println!("\nOther programs kept {:.2} cores busy.", load.busy_cores()?);
    Ok(passes)
}

/// Measures one framework, prints its row and returns whether the upper bound is within the goal.
fn print_row(name: &str, train: TrainFn, batches_per_turn: usize, blocks: usize) -> Result<bool, BenchError> {
    let (digits, _) = digits::data::load()?;
    // The first block warms up caches and thread pools.
    run_block(train, &digits, batches_per_turn)?;
    let (mut ratios, mut sampler_shares) = (Vec::new(), Vec::new());
    for block in 1..=blocks {
        let times = run_block(train, &digits, batches_per_turn)?;
        ratios.push(times.with_run / times.without - 1.0);
        sampler_shares.push(times.own_cpu_time / (times.with_run + times.without));
        eprintln!("{name}: block {block} of {blocks}");
    }
    let slowdown = ConfidenceInterval::from_differences(&ratios).ok_or("at least 6 blocks are needed")?;
    let passes = slowdown.high <= GOAL;
    let sampler_share = sampler_shares.iter().sum::<f64>() / blocks as f64;
    let [estimate, low, high, share] =
        [slowdown.estimate, slowdown.low, slowdown.high, sampler_share].map(|value| value * 100.0);
    println!(
        "| {name} | {blocks} | {estimate:+.2} % ({low:+.2} to {high:+.2} %) | {share:.2} % of a core | upper bound ≤ {} %: {} |",
        GOAL * 100.0,
        if passes { "pass" } else { "miss" },
    );
    Ok(passes)
}

/// The durations of one block, in seconds.
struct BlockTimes {
    with_run: f64,
    without: f64,
    own_cpu_time: f64,
}

fn run_block(
    train: TrainFn,
    digits: &[DigitImage],
    batches_per_turn: usize,
) -> Result<BlockTimes, BenchError> {
    let dir = tempfile::tempdir()?;
    // A GPU with a counter for the sampler.
    let gpu = FakeGpu::new("GPU-aaaaaaaa-0000-0000-0000-000000000000", "0000:07:00.0", "NVIDIA H200")
        .power_limit(700)
        .power_from(Duration::ZERO, 400)
        .energy_counter(Duration::from_millis(20));
    let library = install(&NvmlScript::new().with_gpu(gpu), dir.path())?;
    let run = Run::pre_training(dir.path().join("run")).nvml_library(library).try_start()?;
    let before = own_cpu_time()?;

    let scheduler = TurnScheduler::new(2, fastrand::u64(..));
    // Both trainings take a ticket before the first one waits for the other.
    let timers = [0, 1].map(|number| TurnTimer::new(scheduler.ticket(number), batches_per_turn));
    let [with_run, without] = &timers;
    let (with_run, without) = thread::scope(|scope| {
        let other = scope.spawn(|| train(digits, None, without));
        let with_run = train(digits, Some(&run), with_run);
        (with_run, other.join().unwrap_or_else(|_| Err("the training without a run panicked".into())))
    });
    let own_cpu_time = own_cpu_time()?.saturating_sub(before).as_secs_f64();
    drop(run.finish());
    Ok(BlockTimes { with_run: with_run?.as_secs_f64(), without: without?.as_secs_f64(), own_cpu_time })
}

fn own_cpu_time() -> Result<Duration, BenchError> {
    OWN_THREADS.iter().map(|name| thread_cpu_time(name)).sum()
}
