//! Many ranks, and a long run.
//!
//! The ledgers are written by a run: one day is simulated on a virtual clock, and copied for the other ranks.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use sootprint::{ComponentKind, Power, Replay, Run, VirtualClock, load_footprint};

use crate::child::{child_figures, verdict};
use sootprint_benches::{BenchError, system};

const MAX_SECONDS: f64 = 10.0;
const MAX_MEGABYTES: f64 = 500.0;

/// The watts of each component in the first part of a cycle.
const LOW_WATTS: [f64; 3] = [371.0, 97.0, 13.0];

/// The mean watts of all components: cycles of 0.7 s, followed by 0.33 s at 2.9 times the power.
const TRUE_WATTS: f64 = (371.0 + 97.0 + 13.0) * (0.7 + 0.33 * 2.9) / 1.03;

/// Maximum size of a rank's ledger per day.
const MAX_BYTES_PER_DAY: f64 = 0.5e6;

pub(crate) fn print_tables() -> Result<bool, BenchError> {
    println!("\n| ledgers | on disk | merged in | at most | difference from the truth | goal | |");
    println!("|---|---|---|---|---|---|---|");
    let mut all = true;
    for ranks in [1, 10, 100, 1_000] {
        all &= print_row(ranks, 1)?;
    }
    all &= print_row(1, 30)?;
    Ok(all)
}

fn print_row(ranks: u32, days: u32) -> Result<bool, BenchError> {
    let dir = tempfile::tempdir()?;
    let bytes = write_ledgers(dir.path(), ranks, days)?;
    let path = dir.path().to_str().ok_or("the temporary folder has no name in Unicode")?;
    let [seconds, memory, merged] = child_figures(&["merge", path])?;
    let megabytes = memory / 1e6;
    let truth = TRUE_WATTS * 86_400.0 * f64::from(days) * f64::from(ranks);
    let error = merged / truth - 1.0;
    let a_day = bytes / f64::from(ranks * days);
    let passes = seconds <= MAX_SECONDS
        && megabytes <= MAX_MEGABYTES
        && a_day <= MAX_BYTES_PER_DAY
        && error.abs() < 1e-4;
    let what = if days == 1 { format!("{ranks} of a day") } else { format!("{ranks} of {days} days") };
    println!(
        "| {what} | {:.2} MB | {seconds:.3} s | {megabytes:.0} MB | {error:+.1e} | ≤ {MAX_SECONDS} s, {MAX_MEGABYTES} MB, {} MB a day | {} |",
        bytes / 1e6,
        MAX_BYTES_PER_DAY / 1e6,
        verdict(passes)
    );
    Ok(passes)
}

/// Writes one ledger per rank, each with its own GPU and host; returns the size of all in bytes.
fn write_ledgers(dir: &Path, ranks: u32, days: u32) -> Result<f64, BenchError> {
    let clock = VirtualClock::default();
    let script = |watts: f64| {
        [(0.7, watts), (0.33, 2.9 * watts)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)))
    };
    let replay = Replay::new()
        .with_component(ComponentKind::Gpu, "Scripted GPU", script(LOW_WATTS[0]))
        .with_component(ComponentKind::Cpu, "Scripted CPU", script(LOW_WATTS[1]))
        .with_component(ComponentKind::Memory, "Scripted memory", script(LOW_WATTS[2]))
        .with_clock(clock.clone());
    // This process runs as the last rank, because rank 0 waits for the others when it finishes.
    let last = ranks - 1;
    let run = Run::pre_training(dir).replay(replay).rank(last, ranks).start();
    for _ in run.epochs(0..24 * days) {
        clock.advance(Duration::from_secs(3_600));
        // Processing a month of readings at once would take longer than the timeout of `finish`.
        if !run.handle().flush(Duration::from_secs(60)) {
            return Err("the sampler does not keep up with the clock".into());
        }
    }
    let footprint = run.finish();
    let folder = dir.join("sootprint");
    // A rank is identified by its file name.
    let name = |rank: u32| match rank {
        0 => format!("{}.jsonl", footprint.run.id),
        _ => format!("{}.r{rank}.jsonl", footprint.run.id),
    };
    let played = folder.join(name(last));
    let bytes = fs::metadata(&played)?.len() as f64 * f64::from(ranks);
    for rank in 0..last {
        fs::copy(&played, folder.join(name(rank)))?;
    }
    Ok(bytes)
}

/// Prints the seconds, the peak memory in bytes, and the total joules of all ledgers in a folder.
pub(crate) fn measure_merge(dir: &Path) -> Result<bool, BenchError> {
    let began = Instant::now();
    let footprint = load_footprint(dir, None)?;
    println!(
        "{} {} {}",
        began.elapsed().as_secs_f64(),
        system::peak_resident_bytes()?,
        footprint.energy.total.joules()
    );
    Ok(true)
}
