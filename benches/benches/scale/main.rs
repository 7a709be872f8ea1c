//! What it costs when there is more of everything: `cargo bench -p sootprint-benches --bench scale`.
//!
//! One to eight boards, one to a thousand ranks of a day each that are merged, a run of thirty days. Each figure is taken
//! in a process of its own. A thousand ledgers are 0.2 GB in the temporary folder.

#![expect(clippy::print_stdout, reason = "the tables are the program's result")]

mod gpus;
mod ledgers;

use std::path::Path;
use std::process::{Command, ExitCode};

use sootprint_benches::BenchError;

/// Asks a process of this benchmark for one figure.
const TASK_ARGUMENT: &str = "measure";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        [TASK_ARGUMENT, "boards", count] => gpus::measure(count),
        [TASK_ARGUMENT, "merge", dir] => ledgers::measure_merge(Path::new(dir)),
        _ => gpus::print_table().and_then(|passes| Ok(ledgers::print_tables()? && passes)),
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

/// The figures that a process of this benchmark prints for a task.
fn child_figures<const N: usize>(task: &[&str]) -> Result<[f64; N], BenchError> {
    let output = Command::new(std::env::current_exe()?).arg(TASK_ARGUMENT).args(task).output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    let figures = figures.map_err(|_| format!("{task:?}: {text}"))?;
    Ok(figures
        .try_into()
        .map_err(|figures: Vec<f64>| format!("{task:?}: {} figures, not {N}", figures.len()))?)
}

/// Whether a goal is reached, as the tables say it.
fn verdict(passes: bool) -> &'static str {
    if passes { "pass" } else { "**fail**" }
}
