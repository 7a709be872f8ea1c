//! The project's goals and the results on this machine: `cargo bench -p sootprint-benches --bench numbers`.
//!
//! Prints a Markdown table; the exit status is 1 if a row fails. It takes four to five minutes, mostly
//! waiting: each measurement runs in its own process, on a fake NVML library whose GPUs follow a script, so
//! their true energy is known. The sensor errors of a real GPU are not included.

#![expect(clippy::print_stdout, reason = "the table is the program's result")]

mod accuracy;
mod child;
mod cost;
mod machine;
mod row;

use std::process::ExitCode;

use child::FigureReport;
use row::NumbersRow;
use sootprint_benches::{BenchError, system};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, task)) if first == child::TASK_ARGUMENT => child::print_report(run_task(task)),
        _ => print_table(),
    }
}

/// Runs one measurement in this process.
fn run_task(task: &[String]) -> Result<FigureReport, BenchError> {
    let words: Vec<&str> = task.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["accuracy", case, window] => accuracy::measure_window(case, window),
        ["edges"] => cost::start_finish_times(),
        ["memory"] => cost::added_memory(),
        ["sampler", gpus, sensor] => cost::sampler_cpu_share(gpus, sensor),
        ["hook"] => cost::epoch_hook_times(),
        _ => Err(format!("unknown task {words:?}").into()),
    }
}

fn print_table() -> ExitCode {
    println!("| what | measured | goal | |\n|---|---|---|---|");
    let background_load = system::BackgroundLoad::start();
    let mut failed = 0;
    for NumbersRow { what, measured, goal, passes } in accuracy::rows().chain(cost::rows()) {
        println!("| {what} | {measured} | {goal} | {} |", if passes { "pass" } else { "**fail**" });
        failed += u32::from(!passes);
    }
    match background_load.and_then(|load| load.busy_cores()) {
        Ok(cores) => {
            println!("\nOther programs kept {cores:.2} cores busy; no figure is corrected for that.")
        }
        Err(failure) => println!("\nThe load of other programs is unknown: {failure}."),
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
