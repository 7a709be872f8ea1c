//! The measured command: starts it, waits for it and maps its exit status.

use std::path::Path;
use std::process::{Command, ExitCode, ExitStatus};
use std::{fmt, io};

use sootprint::RunStatus;

#[cfg(unix)]
use crate::signals::SignalForwarder;
use crate::surviving_processes::{ProcessMarker, SurvivingProcess};

/// Exit statuses as in env(1): sootprint failed before the command started.
pub(crate) const EXIT_SETUP_FAILED: u8 = 125;
/// The command exists and cannot be run.
const EXIT_CANNOT_RUN: u8 = 126;
/// The command was not found.
const EXIT_NOT_FOUND: u8 = 127;

/// The folder of the record, for the command and the processes it starts.
const RUN_DIR_VAR: &str = "SOOTPRINT_RUN_DIR";

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CommandExit {
    /// The exit status, or 128 + n if signal n ended the command.
    pub(crate) status: u8,
    /// Whether a stop signal arrived while the command ran.
    pub(crate) interrupted: bool,
    /// Whether SIGINT ended the command, as Ctrl-C does if the command has no handler.
    pub(crate) killed_by_interrupt: bool,
}

impl CommandExit {
    /// The run status implied by the exit status; `None` for success.
    pub(crate) fn run_status(self) -> Option<RunStatus> {
        match self.status {
            0 => None,
            // 128 + SIGHUP, SIGINT, SIGTERM: shells report a signalled child like this.
            129 | 130 | 143 => Some(RunStatus::Interrupted),
            _ if self.interrupted => Some(RunStatus::Interrupted),
            _ => Some(RunStatus::Failed),
        }
    }

    /// Ends this process as the command ended. If Ctrl-C ended the command, the signal ends sootprint too: a shell stops its
    /// script only then.
    pub(crate) fn exit_code(self) -> ExitCode {
        #[cfg(unix)]
        if self.killed_by_interrupt {
            // If this fails, the exit status is the same for a shell.
            let _ = signal_hook::low_level::emulate_default_handler(signal_hook::consts::SIGINT);
        }
        ExitCode::from(self.status)
    }
}

/// A command that has ended.
pub(crate) struct EndedCommand {
    pub(crate) exit: CommandExit,
    /// Its processes that have not ended.
    pub(crate) survivors: Vec<SurvivingProcess>,
    #[cfg(unix)]
    signals: SignalForwarder,
}

impl EndedCommand {
    /// Calls `action` at the first stop signal from now on; a second one ends sootprint with the status of the command.
    pub(crate) fn on_stop_signal(self, action: impl FnOnce() + Send + 'static) {
        #[cfg(unix)]
        self.signals.on_stop_signal(self.exit.status, action);
        #[cfg(not(unix))]
        drop(action);
    }
}

/// Runs the command to its end, with sootprint's own standard streams. Without `run_dir` the command inherits the
/// folder of the outer run that measures both.
///
/// # Errors
/// [`SpawnError`], with the exit status to use.
pub(crate) fn run(mut command: Command, run_dir: Option<&Path>) -> Result<EndedCommand, SpawnError> {
    if let Some(run_dir) = run_dir {
        // Absolute, because the command may change its working folder.
        command.env(RUN_DIR_VAR, std::path::absolute(run_dir).map_err(SpawnError::setup)?);
    }
    crate::hf_env::remove_defaults(&mut command);
    let marker = ProcessMarker::mark(&mut command);
    let mut ended = wait(&mut command)?;
    ended.survivors = marker.surviving_processes();
    Ok(ended)
}

#[cfg(unix)]
fn wait(command: &mut Command) -> Result<EndedCommand, SpawnError> {
    // Installed before the command starts, so that no signal is lost and none ends sootprint only.
    let mut signals = SignalForwarder::install().map_err(SpawnError::setup)?;
    let mut child = command.spawn().map_err(|source| SpawnError::spawn(command, source))?;
    let (status, interrupted) = signals.wait_and_forward(&mut child).map_err(SpawnError::setup)?;
    let killed_by_interrupt =
        std::os::unix::process::ExitStatusExt::signal(&status) == Some(signal_hook::consts::SIGINT);
    let exit = CommandExit { status: exit_code(status), interrupted, killed_by_interrupt };
    Ok(EndedCommand { exit, survivors: Vec::new(), signals })
}

#[cfg(not(unix))]
fn wait(command: &mut Command) -> Result<EndedCommand, SpawnError> {
    let status = command.status().map_err(|source| SpawnError::spawn(command, source))?;
    let exit = CommandExit { status: exit_code(status), interrupted: false, killed_by_interrupt: false };
    Ok(EndedCommand { exit, survivors: Vec::new() })
}

#[cfg(unix)]
fn exit_code(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

#[cfg(not(unix))]
fn exit_code(status: ExitStatus) -> u8 {
    status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(u8::MAX)
}

/// Makes stop signals end sootprint immediately, with the status of the finished command.
///
/// The record is complete at this point, and a push that takes long can be cancelled with Ctrl-C.
pub(crate) fn restore_signal_handling(status: u8) {
    #[cfg(unix)]
    crate::signals::exit_on_signal(status);
    #[cfg(not(unix))]
    let _ = status;
}

/// The command could not be run.
#[derive(Debug)]
pub(crate) struct SpawnError {
    /// The exit status to use.
    pub(crate) status: u8,
    reason: String,
}

impl SpawnError {
    pub(crate) fn setup(source: io::Error) -> Self {
        Self { status: EXIT_SETUP_FAILED, reason: format!("cannot start the command: {source}") }
    }

    pub(crate) fn spawn(command: &Command, source: io::Error) -> Self {
        let (status, next_step) = match source.kind() {
            io::ErrorKind::NotFound => {
                (EXIT_NOT_FOUND, "check its name, PATH, and the first line if it is a script")
            }
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
                (EXIT_SETUP_FAILED, "no resources for another process; try again")
            }
            _ => (EXIT_CANNOT_RUN, "make it executable, or pass the program that runs it"),
        };
        let program = command.get_program().display();
        Self { status, reason: format!("cannot run {program}: {source}; {next_step}") }
    }
}

impl fmt::Display for SpawnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn status_follows_exit_code_and_signals() {
        let run_status = |status, interrupted| {
            CommandExit { status, interrupted, killed_by_interrupt: false }.run_status()
        };
        assert_eq!(run_status(0, false), None);
        assert_eq!(run_status(0, true), None, "exit status 0 overrides a signal");
        assert_eq!(run_status(3, false), Some(RunStatus::Failed));
        assert_eq!(run_status(3, true), Some(RunStatus::Interrupted));
        assert_eq!(run_status(143, false), Some(RunStatus::Interrupted));
        assert_eq!(run_status(137, false), Some(RunStatus::Failed), "SIGKILL is no request to stop");
    }
}
