//! Child processes that take one measurement each: this program again, with a task argument.

use std::fmt;
use std::io::Error;
use std::process::{Command, ExitCode, Stdio};

use sootprint_benches::BenchError;

/// The argument before a task.
pub(crate) const TASK_ARGUMENT: &str = "measure";

/// A running child process.
pub(crate) struct FigureProcess(std::process::Child);

/// The result of a child process.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct FigureReport {
    pub(crate) figures: Vec<f64>,
    /// Problems other than the figures.
    pub(crate) problems: Vec<String>,
}

impl FigureProcess {
    /// Starts a child process with these GPUs visible to CUDA (`None`: all), without inherited settings.
    pub(crate) fn start(task: &[&str], visible: Option<&str>) -> Result<Self, BenchError> {
        let mut command = Command::new(std::env::current_exe()?);
        command
            .arg(TASK_ARGUMENT)
            .args(task)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        for (name, _) in std::env::vars_os() {
            let text = name.to_string_lossy();
            if ["SOOTPRINT", "CUDA_", "SCRIPTED_NVML"].iter().any(|prefix| text.starts_with(prefix)) {
                command.env_remove(&name);
            }
        }
        command.envs(visible.map(|list| ("CUDA_VISIBLE_DEVICES", list)));
        Ok(Self(command.spawn()?))
    }

    /// Waits for the result.
    pub(crate) fn wait(self) -> Result<FigureReport, BenchError> {
        let output = self.0.wait_with_output()?;
        if output.status.success() {
            FigureReport::parse(&String::from_utf8(output.stdout)?)
        } else {
            let reason = String::from_utf8_lossy(&output.stderr).trim().replace(['\n', '|'], " ");
            Err(format!("{}: {reason}", output.status).into())
        }
    }
}

/// Prints the result of a task in this process.
pub(crate) fn print_report(found: Result<FigureReport, BenchError>) -> ExitCode {
    match found {
        Ok(report) => {
            println!("{report}");
            ExitCode::SUCCESS
        }
        Err(failure) => report_failure(&failure),
    }
}

#[expect(clippy::print_stderr, reason = "the process that waits reads it")]
fn report_failure(failure: &BenchError) -> ExitCode {
    eprintln!("{failure}");
    ExitCode::FAILURE
}

/// The figures in the first line, followed by one line per problem.
impl fmt::Display for FigureReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let figures: Vec<String> = self.figures.iter().map(f64::to_string).collect();
        write!(f, "{}", figures.join(" "))?;
        self.problems.iter().try_for_each(|flaw| write!(f, "\n{}", flaw.replace(['\n', '|'], " ")))
    }
}

impl FigureReport {
    /// A report without problems.
    pub(crate) fn new(figures: impl Into<Vec<f64>>) -> Self {
        Self { figures: figures.into(), problems: Vec::new() }
    }

    fn parse(text: &str) -> Result<Self, BenchError> {
        let mut lines = text.lines();
        let figures =
            lines.next().unwrap_or_default().split_whitespace().map(str::parse).collect::<Result<_, _>>()?;
        Ok(Self { figures, problems: lines.map(str::to_owned).collect() })
    }

    /// The figures, if there are no problems.
    pub(crate) fn figures_without_problems<const N: usize>(&self) -> Result<[f64; N], BenchError> {
        match self.problems.first() {
            Some(flaw) => Err(flaw.clone().into()),
            None => self.exact_figures(),
        }
    }

    /// The figures, if their number matches.
    pub(crate) fn exact_figures<const N: usize>(&self) -> Result<[f64; N], BenchError> {
        let wrong = |_| Error::other(format!("{} figures, not {N}", self.figures.len()));
        Ok(<[f64; N]>::try_from(self.figures.as_slice()).map_err(wrong)?)
    }
}
