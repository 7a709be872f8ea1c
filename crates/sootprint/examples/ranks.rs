//! A job of several ranks on scripted boards, whose true energy is therefore known: what `tests/cluster/run.sh` starts
//! under Slurm and Open MPI.
//!
//! ```text
//! ranks train DIR EPOCHS SECONDS [resume]    each rank trains on the board with its number, from its checkpoint on
//! ranks report DIR                           the merged footprint as JSON
//! ```
//!
//! Rank r trains on a board of 100 + 50 r watts; the host's processor draws 80 watts, which the ranks of the host share.
//! Each process leaves a file `truth-RANK-START` that says when it lived, by the host's clock since boot, so that the
//! script can work the truth out without this library.

#![expect(clippy::print_stdout, reason = "an example prints")]

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use sootprint::{CarbonIntensity, Claim, Kind, Power, Replay, Run, recover};

const BOARDS: u32 = 4;

fn main() -> Result<(), Box<dyn Error>> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    match words.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["train", dir, epochs, seconds, mode @ ..] => train(
            Path::new(dir),
            epochs.parse()?,
            Duration::from_secs_f64(seconds.parse()?),
            mode == ["resume"],
        ),
        ["report", dir] => {
            println!("{}", recover(Path::new(dir), None)?.to_json()?);
            Ok(())
        }
        _ => Err("ranks train DIR EPOCHS SECONDS [resume] | ranks report DIR".into()),
    }
}

fn train(dir: &Path, epochs: u32, length: Duration, resumes: bool) -> Result<(), Box<dyn Error>> {
    let steady = |watts: f64| [(Duration::from_secs(1), Power::from_watts(watts))];
    let boards = (0..BOARDS).fold(Replay::new(), |replay, board| {
        replay.component(Kind::Gpu, "Scripted board", steady(100.0 + 50.0 * f64::from(board)))
    });
    let builder = Run::pre_training(dir)
        .replay(boards.component(Kind::Cpu, "Scripted CPU", steady(80.0)))
        .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(100.0));
    let run = if resumes { builder.resume() } else { builder }.try_start()?;
    let rank = run.rank();
    run.handle().claim([Claim::CudaOrdinal(rank as usize)]);
    let is_over = witness(dir, rank)?;

    let checkpoint = dir.join(format!("checkpoint-{rank}"));
    let done: u32 =
        fs::read_to_string(&checkpoint).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0);
    for epoch in run.epochs(done + 1..=epochs) {
        thread::sleep(length);
        fs::write(&checkpoint, epoch.to_string())?;
    }
    // The first rank waits for the others in there, which is no training.
    is_over.store(true, Ordering::Relaxed);
    let footprint = run.finish();
    println!(
        "rank {rank}: {} in {:.1} s, {:?}",
        footprint.energy.total, footprint.run.duration_s, footprint.run.outcome
    );
    Ok(())
}

/// Writes down, a hundred times a second, for how long this process has trained, until it is over.
fn witness(dir: &Path, rank: u32) -> Result<Arc<AtomicBool>, Box<dyn Error>> {
    let uptime = || -> Option<f64> {
        fs::read_to_string("/proc/uptime").ok()?.split_whitespace().next()?.parse().ok()
    };
    let start = uptime().ok_or("no /proc/uptime")?;
    let path: PathBuf = dir.join(format!("truth-{rank}-{start}"));
    let is_over = Arc::<AtomicBool>::default();
    let ends = Arc::clone(&is_over);
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path)?;
    thread::spawn(move || {
        while let (Some(now), false) = (uptime(), ends.load(Ordering::Relaxed)) {
            // A moment that is not written down is a hundredth of a second.
            let _ = writeln!(file, "{start:.2} {now:.2}");
            thread::sleep(Duration::from_millis(10));
        }
    });
    Ok(is_over)
}
