//! Shared by the trainings: the reference energy from the GPU's counter, and the tables.

use std::error::Error;
use std::time::{Duration, Instant};

use sootprint::Footprint;
use sootprint_benches::statistics::{ConfidenceInterval, median};

use crate::counter::CounterPoller;

pub mod counter;

pub type TrainingError = Box<dyn Error + Send + Sync>;

/// The energy of an epoch from the counter, between the epoch boundaries seen by the training.
#[derive(Debug, Clone, Copy)]
pub struct ReferenceEnergy {
    pub joules: f64,
    /// The end of the epoch.
    pub end: TickPosition,
}

/// A time between two ticks of the counter.
#[derive(Debug, Clone, Copy)]
pub struct TickPosition {
    /// The time since the first tick, and the time between the two ticks.
    pub since: Duration,
    pub tick: Duration,
    /// The energy between the two ticks.
    pub joules: f64,
    /// The reported power, the time until its next change, and the power after that.
    pub watts: f64,
    pub then: (Duration, f64),
}

/// Maximum relative difference between a whole run and the counter.
const MAX_DIFFERENCE: f64 = 0.01;

/// Prints a row for each epoch and for the sum; returns whether the sum is within the goal.
pub fn print_comparison(what: &str, footprint: &Footprint, truths: &[ReferenceEnergy]) -> bool {
    println!("\n### {what}, epoch by epoch\n");
    for component in &footprint.components {
        println!("- {} {}: {:?}", component.name, component.id, component.method);
    }
    for note in &footprint.notes {
        println!("- note: {note}");
    }
    println!("- outcome {:?}, {:.2} s\n", footprint.run.outcome, footprint.run.duration_s);
    println!("| epoch | seconds | sootprint, all components | GPU | counter | GPU differs | epoch end |");
    println!("|---|---|---|---|---|---|---|");
    let rest = footprint.energy.cpu.joules() + footprint.energy.memory.joules();
    let mut sums = [0.0; 2];
    let seconds: f64 = footprint.epochs.iter().map(|epoch| epoch.duration_s).sum();
    for (epoch, truth) in footprint.epochs.iter().zip(truths) {
        // The CPU and memory are modelled: their energy is proportional to time.
        let gpu = epoch.energy.joules() - rest * epoch.duration_s / footprint.run.duration_s;
        sums = [sums[0] + gpu, sums[1] + truth.joules];
        let total = format!("{:.1} J", epoch.energy.joules());
        let TickPosition { since, tick, joules, watts, then: (later, next) } = truth.end;
        let end = format!(
            "{since:.0?} of a tick of {tick:.0?} and {joules:.1} J; {watts:.0} W, in {later:.0?} {next:.0} W"
        );
        print_row(&epoch.epoch.to_string(), epoch.duration_s, &total, [gpu, truth.joules], &end);
    }
    let difference = print_row("all", seconds, "", sums, "");
    footprint.epochs.len() == truths.len() && difference.abs() <= MAX_DIFFERENCE
}

fn print_row(name: &str, seconds: f64, total: &str, [gpu, truth]: [f64; 2], end: &str) -> f64 {
    let difference = gpu / truth - 1.0;
    println!(
        "| {name} | {seconds:.3} | {total} | {gpu:.1} J | {truth:.1} J | {:+.2} % | {end} |",
        difference * 100.0
    );
    difference
}

/// Fewer blocks give no confidence interval.
const MIN_BLOCKS: usize = 6;

/// Trains in blocks of four, alternating `ABBA` and `BAAB`, for about `patience`, and prints how much slower
/// the measured arm is.
///
/// # Errors
/// If a training fails.
pub fn measure_slowdown(
    what: &str,
    patience: Duration,
    mut train: impl FnMut(bool) -> Result<Duration, TrainingError>,
) -> Result<(), TrainingError> {
    let began = Instant::now();
    train(false)?;
    train(true)?;
    println!("\n{what}: {:.0} s for the first two trainings", began.elapsed().as_secs_f64());
    let (mut logarithms, mut seconds) = (Vec::new(), Vec::new());
    run_blocks(patience, |block| {
        let [without, with] =
            run_abba_block(block, |measured| Ok(train(measured)?.as_secs_f64().ln() / 2.0))?;
        logarithms.push(with - without);
        seconds.push(without.exp());
        Ok(())
    })?;
    let ConfidenceInterval { low, estimate: middle, high } =
        median_interval(&logarithms)?.map(|part| part.exp_m1() * 100.0);
    println!(
        "{what}: {:.3} s a training, slower by {middle:+.2} % ({low:+.2} to {high:+.2} %), {} blocks of four",
        median(&seconds).ok_or("no blocks")?,
        logarithms.len()
    );
    Ok(())
}

/// Prints how long one reading of the counter delays a training, with a thread that reads it every 25 ms.
///
/// # Errors
/// If a training fails or the counter cannot be read.
pub fn measure_read_stall(
    what: &str,
    patience: Duration,
    mut train: impl FnMut() -> Result<Duration, TrainingError>,
) -> Result<(), TrainingError> {
    train()?;
    let (mut lost, mut taken) = (Vec::new(), Vec::new());
    run_blocks(patience, |block| {
        let (mut readings, mut reading) = (0, Duration::ZERO);
        let [without, with] = run_abba_block(block, |is_read| {
            let reader = is_read.then(|| CounterPoller::start(Duration::from_millis(25)));
            let took = train()?.as_secs_f64();
            if let Some(reader) = reader {
                let (count, time) = reader.stop()?;
                (readings, reading) = (readings + count, reading + time);
            }
            Ok(took)
        })?;
        lost.push((with - without) / f64::from(readings));
        taken.push(reading.as_secs_f64() / f64::from(readings));
        Ok(())
    })?;
    let ConfidenceInterval { low, estimate: middle, high } =
        median_interval(&lost)?.map(|seconds| seconds * 1e3);
    println!(
        "\n{what}: held up by a reading for {middle:.2} ms ({low:.2} to {high:.2} ms), which takes {:.2} ms; {} blocks of four",
        median(&taken).ok_or("no blocks")? * 1e3,
        lost.len()
    );
    Ok(())
}

/// Runs blocks for about `patience`, but enough for a confidence interval.
fn run_blocks(
    patience: Duration,
    mut block: impl FnMut(usize) -> Result<(), TrainingError>,
) -> Result<(), TrainingError> {
    let began = Instant::now();
    (0..).take_while(|block| *block < MIN_BLOCKS || began.elapsed() < patience).try_for_each(&mut block)
}

/// The sums of the results of two arms in a block of four, `ABBA` or `BAAB`.
fn run_abba_block(
    block: usize,
    mut arm: impl FnMut(bool) -> Result<f64, TrainingError>,
) -> Result<[f64; 2], TrainingError> {
    let first = block.is_multiple_of(2);
    let mut sums = [0.0; 2];
    for is_second in [first, !first, !first, first] {
        sums[usize::from(is_second)] += arm(is_second)?;
    }
    Ok(sums)
}

fn median_interval(differences: &[f64]) -> Result<ConfidenceInterval, TrainingError> {
    ConfidenceInterval::from_differences(differences).ok_or_else(|| "too few blocks for bounds".into())
}
