//! What it costs to make one footprint of many ranks: `cargo bench -p sootprint-benches --bench merge`.
//!
//! A thousand ledgers of a day each are written into a temporary folder, 0.3 GB of it, as ranks of one run write them:
//! one day is played on a virtual clock, and the others are that day under another rank. Then they are merged, in a
//! process of its own, whose time and memory are told. The goal: 10 s and 500 MB.

#![expect(clippy::print_stdout, reason = "the table is the program's result")]

use std::error::Error;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use sootprint::{Kind, Power, Replay, Run, VirtualClock, recover};

const RANKS: u32 = 1_000;
const SECONDS: f64 = 10.0;
const MEGABYTES: f64 = 500.0;

/// Asks a process of this benchmark to merge the ledgers of a folder.
const MERGE: &str = "merge-in";

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let result = match arguments.as_slice() {
        [word, dir] if word == MERGE => merge(Path::new(dir)),
        _ => measure(),
    };
    match result {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            println!("not measured: {failure}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<bool, Failure> {
    let dir = tempfile::tempdir()?;
    let (bytes, joules) = write_days(dir.path())?;
    println!("{RANKS} ledgers of a day each: {:.1} MB", bytes as f64 / 1e6);
    let output = Command::new(std::env::current_exe()?).arg(MERGE).arg(dir.path()).output()?;
    let text = String::from_utf8(output.stdout)?;
    let mut figures = text.split_whitespace().map(str::parse::<f64>);
    let mut next = || figures.next().ok_or("the merge ended early")?.map_err(Failure::from);
    let (seconds, megabytes, merged) = (next()?, next()?, next()?);
    let truth = joules * f64::from(RANKS);
    println!("merged in {seconds:.2} s (goal {SECONDS} s), {megabytes:.0} MB at most (goal {MEGABYTES} MB)");
    println!("{merged:.0} J of {truth:.0} J");
    Ok(seconds <= SECONDS && megabytes <= MEGABYTES && (merged / truth - 1.0).abs() < 1e-6)
}

/// Each rank has a board of its own, on a host of its own; the bytes of all, and the joules of one.
fn write_days(dir: &Path) -> Result<(u64, f64), Failure> {
    let clock = VirtualClock::default();
    let script = |watts: f64| {
        [(0.7, watts), (0.33, 2.9 * watts)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)))
    };
    let replay = Replay::new()
        .component(Kind::Gpu, "Scripted board", script(371.0))
        .component(Kind::Cpu, "Scripted CPU", script(97.0))
        .component(Kind::Memory, "Scripted memory", script(13.0))
        .on_clock(clock.clone());
    let run = Run::pre_training(dir).replay(replay).rank(1, RANKS).start();
    for _ in run.epochs(0..24_u32) {
        clock.advance(Duration::from_secs(3_600));
    }
    let footprint = run.finish();
    let folder = dir.join("sootprint");
    let day = folder.join(format!("{}.r1.jsonl", footprint.run.id));
    let mut bytes = 0;
    for rank in 0..RANKS {
        // The name of the file is what a rank is known by.
        let name = if rank == 0 { String::new() } else { format!(".r{rank}") };
        let copy = folder.join(format!("{}{name}.jsonl", footprint.run.id));
        if copy != day {
            fs::copy(&day, &copy)?;
        }
        bytes += fs::metadata(&copy)?.len();
    }
    Ok((bytes, footprint.energy.total.joules()))
}

fn merge(dir: &Path) -> Result<bool, Failure> {
    let began = Instant::now();
    let footprint = recover(dir, None)?;
    println!("{} {} {}", began.elapsed().as_secs_f64(), peak()?, footprint.energy.total.joules());
    Ok(footprint.run.ranks == RANKS)
}

/// The most memory that this process ever had, in megabytes.
fn peak() -> Result<f64, Failure> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).ok_or("no VmHWM")?;
    let kibibytes: f64 = line.trim().trim_end_matches("kB").trim().parse()?;
    Ok(kibibytes * 1024.0 / 1e6)
}
