//! sootprint at work in a process of its own, as `peers/tools.py` has other tools do the same.
//!
//! `tool window SECONDS`, `tool edges COUNT`, `tool samples SECONDS`, `tool recover FOLDER`. The last line of the output
//! is what was found, as JSON; a line `started` tells that measuring has begun. The run's folder is the working folder.

#![expect(clippy::print_stdout, reason = "the line is the program's result")]

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use sootprint::{Run, recover};

use sootprint_benches::{Failure, system};

/// The sampler's thread, as Linux keeps its name: 15 characters.
const SAMPLER: &str = "sootprint-meter";

/// How often a counter is read when nothing else asks for it.
const READINGS_PER_SECOND: f64 = 5.0;

fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match words.as_slice() {
        ["window", seconds] => window(Duration::from_secs_f64(seconds.parse()?))?,
        ["edges", count] => edges(count.parse()?),
        ["samples", seconds] => samples(Duration::from_secs_f64(seconds.parse()?))?,
        ["recover", folder] => recovered(Path::new(folder))?,
        _ => return Err(format!("there is no task {words:?}").into()),
    };
    println!("{found}");
    Ok(())
}

fn window(length: Duration) -> Result<String, Failure> {
    let memory = system::resident()?;
    let called = Instant::now();
    let run = Run::pre_training(".").start();
    let (start, from) = (called.elapsed(), SystemTime::now());
    println!("started");
    let (before, began) = (system::process_time()?, Instant::now());
    sleep(length);
    let busy = (system::process_time()? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let (to, called) = (SystemTime::now(), Instant::now());
    let footprint = run.finish();
    let stop = called.elapsed();
    let (joules, memory) = (footprint.energy.gpu.joules(), system::peak()? - memory);
    let [from, to] = [from, to].map(|moment| moment.duration_since(SystemTime::UNIX_EPOCH));
    Ok(format!(
        r#"{{"open_s": 0, "start_s": {}, "stop_s": {}, "from": {}, "to": {}, "joules": {joules}, "busy": {busy}, "memory": {memory}}}"#,
        start.as_secs_f64(),
        stop.as_secs_f64(),
        from?.as_secs_f64(),
        to?.as_secs_f64(),
    ))
}

/// The seconds that the training's thread spends between two epochs.
fn edges(count: u32) -> String {
    let run = Run::pre_training(".").start();
    let mut epochs = run.epochs(0..=count);
    epochs.next();
    let times: Vec<f64> = (0..count)
        .map(|_| {
            sleep(Duration::from_micros(2_500));
            let called = Instant::now();
            epochs.next();
            called.elapsed().as_secs_f64()
        })
        .collect();
    drop(epochs);
    drop(run.finish());
    format!(r#"{{"edges_s": {times:?}}}"#)
}

/// What a sample costs is the sampler's processor time over the samples that it takes meanwhile.
fn samples(length: Duration) -> Result<String, Failure> {
    let run = Run::pre_training(".").start();
    sleep(Duration::from_secs(1));
    let (before, began) = (system::thread_time(SAMPLER)?, Instant::now());
    sleep(length);
    let busy = (system::thread_time(SAMPLER)? - before).as_secs_f64();
    let samples = began.elapsed().as_secs_f64() * READINGS_PER_SECOND;
    drop(run.finish());
    Ok(format!(r#"{{"samples_s": [{}]}}"#, busy / samples))
}

/// What is left of a run in a folder.
fn recovered(folder: &Path) -> Result<String, Failure> {
    let footprint = recover(folder, None)?;
    Ok(format!(r#"{{"joules": {}}}"#, footprint.energy.gpu.joules()))
}
