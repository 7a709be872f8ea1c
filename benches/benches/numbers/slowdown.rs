//! What being measured costs a program that computes all the time.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use crate::child::{Child, Report};
use crate::machine::{Machine, board};
use crate::{Failure, Row, per_cent};

/// Many and short: what else runs on a machine comes and goes in seconds, and the median forgets it.
const PAIRS: usize = 150;

/// The positions of the bounds among the sorted ratios: the 63rd and the 88th enclose the median in 95.9 % of
/// all cases, whatever the noise looks like (the binomial distribution's `1 - 2 P(X <= 62)` for 150 and 1/2).
const BOUNDS: [usize; 2] = [62, 87];

/// A part of a pair is two epochs of this length.
const EPOCHS: u32 = 2;
const EPOCH: Duration = Duration::from_millis(120);

pub(crate) fn rows() -> impl Iterator<Item = Row> {
    let what = format!(
        "slowdown of an arithmetic loop on every core (of no training yet), {PAIRS} interleaved pairs of {:?}, \
         between start and finish: median, 95 % interval",
        EPOCH * EPOCHS
    );
    std::iter::once_with(|| Row::new(what, "interval holds 0 %, upper bound ≤ 0.5 %", found()))
}

fn found() -> Result<(String, bool), Failure> {
    let ratios = Child::start(&["slowdown"], None)?.report()?.flawless::<{ 2 * PAIRS }>()?;
    let (with, without) = ratios.split_at(PAIRS);
    let ([low, median, high], [least, _, most]) = (interval(with), interval(without));
    let [low_text, median_text, high_text, least, most] = [low, median, high, least, most].map(per_cent);
    let measured = format!(
        "{median_text} ({low_text} to {high_text}); two loops without a run differ as much as {least} to {most}"
    );
    Ok((measured, low <= 0.0 && high <= 0.005))
}

/// The median of some ratios and its bounds, as parts beyond one.
fn interval(ratios: &[f64]) -> [f64; 3] {
    let mut sorted = ratios.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    let median = (sorted[PAIRS / 2 - 1] + sorted[PAIRS / 2]) / 2.0;
    [sorted[BOUNDS[0]], median, sorted[BOUNDS[1]]].map(|ratio| ratio - 1.0)
}

/// For each pair the time with a run over the time without one; then, as a control, the same for a third
/// part, which had no run either and shows what the machine alone does. The middle one is without a run, the
/// others take turns around it.
pub(crate) fn measure() -> Result<Report, Failure> {
    let machine = Machine::new([board(0, 1).counter(Duration::from_millis(20))], Duration::ZERO)?;
    let rounds = rounds_of(EPOCH);
    let (mut ratios, mut controls) = (Vec::new(), Vec::new());
    for pair in 0..PAIRS {
        let mut times = [0.0; 3];
        let order = if pair.is_multiple_of(2) { [0, 1, 2] } else { [2, 1, 0] };
        for part in order {
            let took = if part == 0 { measured(&machine, rounds) } else { unmeasured(rounds) };
            times[part] = took.as_secs_f64();
        }
        let [with, without, control] = times;
        ratios.push(with / without);
        controls.push(control / without);
    }
    ratios.append(&mut controls);
    Ok(Report::new(ratios))
}

fn measured(machine: &Machine, rounds: u64) -> Duration {
    let run = machine.start();
    let began = Instant::now();
    for _ in run.epochs(1..=EPOCHS) {
        compute(rounds);
    }
    let took = began.elapsed();
    drop(run.finish());
    took
}

fn unmeasured(rounds: u64) -> Duration {
    let began = Instant::now();
    for _ in 1..=EPOCHS {
        compute(rounds);
    }
    began.elapsed()
}

/// How much work takes that long.
fn rounds_of(time: Duration) -> u64 {
    const TRIAL: u64 = 20_000;
    compute(TRIAL);
    let began = Instant::now();
    compute(TRIAL);
    let rounds = TRIAL as f64 * time.as_secs_f64() / began.elapsed().as_secs_f64();
    rounds.ceil() as u64
}

/// The same arithmetic on each core: a vector that fits the first cache, scaled and added to, again and
/// again.
fn compute(rounds: u64) {
    let work = || {
        let mut vector = [1.0_f32; 2_048];
        for round in 0..rounds {
            let addend = black_box(round as f32 * 1e-9);
            vector.iter_mut().for_each(|element| *element = *element * 0.999 + addend);
        }
        black_box(vector);
    };
    let cores = thread::available_parallelism().map_or(1, usize::from);
    thread::scope(|scope| {
        for _ in 0..cores {
            scope.spawn(work);
        }
    });
}
