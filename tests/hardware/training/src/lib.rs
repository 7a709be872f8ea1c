//! What the trainings have in common: the board's counter as it ticks, and two tables.

use std::error::Error;
use std::time::{Duration, Instant};

use sootprint::Footprint;
use sootprint_benches::statistics::Interval;

pub mod counter;

pub type Failure = Box<dyn Error + Send + Sync>;

/// What an epoch took by the counter alone, between the moments that the training saw as its edges.
#[derive(Debug, Clone, Copy)]
pub struct Truth {
    pub joules: f64,
}

/// Largest part by which a whole run may differ from the counter.
const GOAL: f64 = 0.01;

/// Prints a row for each epoch and one for all; whether the last one is within the goal.
pub fn compare(what: &str, footprint: &Footprint, truths: &[Truth]) -> bool {
    println!("\n### {what}, epoch by epoch\n");
    for component in &footprint.components {
        println!("- {} {}: {:?}", component.name, component.id, component.method);
    }
    for note in &footprint.notes {
        println!("- note: {note}");
    }
    println!("- outcome {:?}, {:.2} s\n", footprint.run.outcome, footprint.run.duration_s);
    println!("| epoch | seconds | sootprint, all components | its board | counter | board differs |");
    println!("|---|---|---|---|---|---|");
    let rest = footprint.energy.cpu.joules() + footprint.energy.memory.joules();
    let mut sums = [0.0; 2];
    let seconds: f64 = footprint.epochs.iter().map(|epoch| epoch.duration_s).sum();
    for (epoch, truth) in footprint.epochs.iter().zip(truths) {
        // The processor's part is modelled with the time, and evenly.
        let board = epoch.energy.joules() - rest * epoch.duration_s / footprint.run.duration_s;
        sums = [sums[0] + board, sums[1] + truth.joules];
        row(&epoch.epoch.to_string(), epoch.duration_s, epoch.energy.joules(), board, truth.joules);
    }
    let difference = row("all", seconds, f64::NAN, sums[0], sums[1]);
    footprint.epochs.len() == truths.len() && difference.abs() <= GOAL
}

fn row(name: &str, seconds: f64, total: f64, board: f64, truth: f64) -> f64 {
    let difference = board / truth - 1.0;
    let total = if total.is_finite() { format!("{total:.1} J") } else { String::new() };
    println!(
        "| {name} | {seconds:.3} | {total} | {board:.1} J | {truth:.1} J | {:+.2} % |",
        difference * 100.0
    );
    difference
}

/// Fewer blocks give no bounds.
const FEWEST_BLOCKS: usize = 6;

/// Trains in blocks of four, `ABBA` and `BAAB` in turn, for about so long, and tells by which part the measured arm is
/// slower.
///
/// # Errors
/// When a training fails.
pub fn slowdown(
    what: &str,
    patience: Duration,
    mut train: impl FnMut(bool) -> Result<Duration, Failure>,
) -> Result<Interval, Failure> {
    train(false)?;
    train(true)?;
    let began = Instant::now();
    let (mut ratios, mut seconds) = (Vec::new(), Vec::new());
    for block in 0.. {
        if block >= FEWEST_BLOCKS && began.elapsed() >= patience {
            break;
        }
        let mut logarithms = [0.0_f64; 2];
        let first = block % 2 == 0;
        for measured in [first, !first, !first, first] {
            logarithms[usize::from(measured)] += train(measured)?.as_secs_f64().ln() / 2.0;
        }
        ratios.push((logarithms[1] - logarithms[0]).exp() - 1.0);
        seconds.push(logarithms[0].exp());
    }
    let interval = Interval::of_median(&ratios).ok_or("too few blocks for bounds")?;
    let took = Interval::of_median(&seconds).ok_or("too few blocks for bounds")?;
    let [low, median, high] = [interval.low, interval.median, interval.high].map(|part| part * 100.0);
    println!(
        "\n{what}: {:.3} s a training, slower by {median:+.2} % ({low:+.2} to {high:+.2} %), {} blocks of four",
        took.median,
        ratios.len()
    );
    Ok(interval)
}
