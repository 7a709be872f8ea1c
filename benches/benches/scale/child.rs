//! Measurements in child processes.

use std::process::Command;

use sootprint_benches::BenchError;

/// The argument before a task.
pub(crate) const TASK_ARGUMENT: &str = "measure";

/// Runs a task in a child process and returns the figures that it prints.
pub(crate) fn child_figures<const N: usize>(task: &[&str]) -> Result<[f64; N], BenchError> {
    let output = Command::new(std::env::current_exe()?).arg(TASK_ARGUMENT).args(task).output()?;
    let text = String::from_utf8(output.stdout)?;
    let figures = text.split_whitespace().map(str::parse).collect::<Result<Vec<f64>, _>>();
    let figures = figures.map_err(|_| format!("{task:?}: {text}"))?;
    Ok(figures
        .try_into()
        .map_err(|figures: Vec<f64>| format!("{task:?}: {} figures, not {N}", figures.len()))?)
}

/// Whether a goal is reached, for the tables.
pub(crate) fn verdict(passes: bool) -> &'static str {
    if passes { "pass" } else { "**fail**" }
}
