//! Measures sootprint in its own process, as `peers/tools.py` does for other tools.
//!
//! `tool window SECONDS`, `tool edges COUNT`, `tool samples SECONDS`, `tool recover FOLDER`. The last line of
//! the output is the result as JSON; a line `started` marks the start of the measurement. The run's folder is
//! the working directory.

#![expect(clippy::print_stdout, reason = "the line is the program's result")]

use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant, SystemTime};

use sootprint::{Run, load_footprint};

use sootprint_benches::{BenchError, system};

/// The name of the sampler's thread in Linux: 15 characters.
const SAMPLER_THREAD: &str = "sootprint-sampl";

/// How often a counter is read between boundaries.
const READINGS_PER_SECOND: f64 = 5.0;

fn main() -> Result<(), BenchError> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let found = match words.as_slice() {
        ["window", seconds] => measure_window(Duration::from_secs_f64(seconds.parse()?))?,
        ["edges", count] => epoch_boundary_times(count.parse()?),
        ["samples", seconds] => sample_cost(Duration::from_secs_f64(seconds.parse()?))?,
        ["recover", folder] => recovered_energy(Path::new(folder))?,
        _ => return Err(format!("unknown task {words:?}").into()),
    };
    println!("{found}");
    Ok(())
}

fn measure_window(length: Duration) -> Result<String, BenchError> {
    let memory = system::resident_bytes()?;
    let called = Instant::now();
    let run = Run::pre_training(".").start();
    let (start, from) = (called.elapsed(), SystemTime::now());
    println!("started");
    let (before, began) = (system::process_cpu_time()?, Instant::now());
    sleep(length);
    let busy = (system::process_cpu_time()? - before).as_secs_f64() / began.elapsed().as_secs_f64();
    let (to, called) = (SystemTime::now(), Instant::now());
    let footprint = run.finish();
    let stop = called.elapsed();
    let (joules, memory) = (footprint.energy.gpu.joules(), system::peak_resident_bytes()? - memory);
    let [from, to] = [from, to].map(|moment| moment.duration_since(SystemTime::UNIX_EPOCH));
    Ok(format!(
        r#"{{"open_s": 0, "start_s": {}, "stop_s": {}, "from": {}, "to": {}, "joules": {joules}, "busy": {busy}, "memory": {memory}}}"#,
        start.as_secs_f64(),
        stop.as_secs_f64(),
        from?.as_secs_f64(),
        to?.as_secs_f64(),
    ))
}

/// The seconds that the training thread spends between two epochs.
fn epoch_boundary_times(count: u32) -> String {
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

/// The cost of a sample: the sampler's CPU time divided by the number of samples.
fn sample_cost(length: Duration) -> Result<String, BenchError> {
    let run = Run::pre_training(".").start();
    sleep(Duration::from_secs(1));
    let (before, began) = (system::thread_cpu_time(SAMPLER_THREAD)?, Instant::now());
    sleep(length);
    let busy = (system::thread_cpu_time(SAMPLER_THREAD)? - before).as_secs_f64();
    let samples = began.elapsed().as_secs_f64() * READINGS_PER_SECOND;
    drop(run.finish());
    Ok(format!(r#"{{"samples_s": [{}]}}"#, busy / samples))
}

/// The energy recovered from a run's folder.
fn recovered_energy(folder: &Path) -> Result<String, BenchError> {
    let footprint = load_footprint(folder, None)?;
    Ok(format!(r#"{{"joules": {}}}"#, footprint.energy.gpu.joules()))
}
