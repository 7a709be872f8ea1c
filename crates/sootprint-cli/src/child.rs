//! The measured command: started, awaited, and how it ended.

use std::path::Path;
use std::process::{Command, ExitStatus};
use std::{fmt, io};

use sootprint::Outcome;

/// sootprint itself failed before the command, as env(1) says it.
pub(crate) const FAILED_BEFORE: u8 = 125;
const CANNOT_RUN: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Tells the command, and all that it starts, where the record of its run is.
const RUN_DIR: &str = "SOOTPRINT_RUN_DIR";

/// How the command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Its exit status, or 128 + n when signal n ended it.
    pub(crate) status: u8,
    /// Whether somebody asked it to stop while it ran.
    pub(crate) was_asked_to_stop: bool,
}

impl Ending {
    /// The worst that its status says; none when it went well.
    pub(crate) fn outcome(self) -> Option<Outcome> {
        match self.status {
            0 => None,
            // 128 + SIGHUP, SIGINT, SIGTERM: shells pass the end of their own commands on like this.
            129 | 130 | 143 => Some(Outcome::Interrupted),
            _ if self.was_asked_to_stop => Some(Outcome::Interrupted),
            _ => Some(Outcome::Failed),
        }
    }
}

/// Runs the command to its end. Its standard streams are sootprint's own. Without a folder it finds the one that
/// sootprint itself has found, of the run that measures both.
///
/// # Errors
/// [`NotStarted`] with the exit status that says so.
pub(crate) fn run(mut command: Command, run_dir: Option<&Path>) -> Result<Ending, NotStarted> {
    if let Some(run_dir) = run_dir {
        // The command may change its folder.
        command.env(RUN_DIR, std::path::absolute(run_dir).map_err(NotStarted::unprepared)?);
    }
    crate::environment::restore(&mut command);
    let (status, was_asked_to_stop) = wait(&mut command)?;
    Ok(Ending { status: number(status), was_asked_to_stop })
}

#[cfg(unix)]
fn wait(command: &mut Command) -> Result<(ExitStatus, bool), NotStarted> {
    // Before the command starts, so that no signal is lost and none ends sootprint alone.
    let mut signals = crate::signals::Signals::catch().map_err(NotStarted::unprepared)?;
    let mut child = command.spawn().map_err(|source| NotStarted::unspawned(command, source))?;
    signals.wait(&mut child).map_err(NotStarted::unprepared)
}

#[cfg(not(unix))]
fn wait(command: &mut Command) -> Result<(ExitStatus, bool), NotStarted> {
    let status = command.status().map_err(|source| NotStarted::unspawned(command, source))?;
    Ok((status, false))
}

#[cfg(unix)]
fn number(status: ExitStatus) -> u8 {
    use std::os::unix::process::ExitStatusExt as _;
    let number = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    number.and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

#[cfg(not(unix))]
fn number(status: ExitStatus) -> u8 {
    status.code().and_then(|number| u8::try_from(number).ok()).unwrap_or(u8::MAX)
}

/// From here on a signal ends sootprint at once, with the status of the command that has ended before.
///
/// A publication may take long, and whoever is tired of it may press Ctrl-C: the record is written.
pub(crate) fn let_go(status: u8) {
    #[cfg(unix)]
    crate::signals::let_go(status);
    #[cfg(not(unix))]
    let _ = status;
}

/// Why the command does not run.
#[derive(Debug)]
pub(crate) struct NotStarted {
    /// The exit status that says so.
    pub(crate) status: u8,
    reason: String,
}

impl NotStarted {
    pub(crate) fn unprepared(source: io::Error) -> Self {
        Self { status: FAILED_BEFORE, reason: format!("the command cannot be run and awaited: {source}") }
    }

    pub(crate) fn unspawned(command: &Command, source: io::Error) -> Self {
        let (status, next_step) = match source.kind() {
            io::ErrorKind::NotFound => (NOT_FOUND, "check its name, PATH, and the first line of a script"),
            io::ErrorKind::WouldBlock | io::ErrorKind::OutOfMemory => {
                (FAILED_BEFORE, "the system has no room for another process; try again")
            }
            _ => (CANNOT_RUN, "make it executable, or name the program that runs it"),
        };
        let program = command.get_program().display();
        Self { status, reason: format!("cannot run {program}: {source}; {next_step}") }
    }
}

impl fmt::Display for NotStarted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_outcome_follows_from_status_and_signals() {
        let outcome = |status, was_asked_to_stop| Ending { status, was_asked_to_stop }.outcome();
        assert_eq!(outcome(0, false), None);
        assert_eq!(outcome(0, true), None, "a command that ends well after a signal says so itself");
        assert_eq!(outcome(3, false), Some(Outcome::Failed));
        assert_eq!(outcome(3, true), Some(Outcome::Interrupted));
        assert_eq!(outcome(143, false), Some(Outcome::Interrupted));
        assert_eq!(outcome(137, false), Some(Outcome::Failed), "whoever is killed was not asked");
    }
}
