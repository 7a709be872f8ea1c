//! The table of numbers to reach, as this machine gives them.
//!
//! `cargo bench -p sootprint-benches --bench numbers` prints it as Markdown; the exit status is 1 when a row
//! fails. It takes four to five minutes, of which most is waiting: each figure is taken in a process of its own,
//! on an NVML library whose boards follow a script and whose true energy is therefore known. What a real board's
//! sensor does is in no figure.

#![expect(clippy::print_stdout, reason = "the table is the program's result")]

mod accuracy;
mod child;
mod cost;
mod machine;

use std::process::ExitCode;

use sootprint_benches::{BenchError, system};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.split_first() {
        Some((first, task)) if first == child::TASK_ARGUMENT => child::run_task(task),
        _ => print_table(),
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
    match background_load.and_then(|neighbours| neighbours.busy_cores()) {
        Ok(cores) => println!(
            "\nOther programs kept {cores:.2} cores busy meanwhile; no figure is corrected for that."
        ),
        Err(failure) => println!("\nHow busy other programs were is unknown: {failure}."),
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// A line of the table.
struct NumbersRow {
    what: String,
    measured: String,
    goal: String,
    passes: bool,
}

impl NumbersRow {
    /// With the measured value in words and whether it reaches the goal; what could not be measured does not.
    fn new(
        what: impl Into<String>,
        goal: impl Into<String>,
        found: Result<(String, bool), BenchError>,
    ) -> Self {
        let (measured, passes) = found.unwrap_or_else(|failure| (format!("not measured: {failure}"), false));
        Self { what: what.into(), measured, goal: goal.into(), passes }
    }
}

/// A part of one as per cent, with as many decimals as the goals have and one more.
fn format_percent(part: f64) -> String {
    format!("{:.3} %", part * 100.0)
}
