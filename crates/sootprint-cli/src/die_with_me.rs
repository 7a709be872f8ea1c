//! A command that ends when sootprint is killed.
//!
//! The kernel forgets the wish with each fork, and keeps it when a process becomes another program. So sootprint starts
//! itself, and the child says the wish before it becomes the command: with the same process id, so that signals and the
//! exit status are the command's own.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::child::{FAILED_BEFORE, NotStarted};
use crate::terminal::say;

/// The first word of the child's own arguments: the process that it ends with and the command come after it.
const WORD: &str = "__die-with-me";

/// The same command, which ends with this process.
///
/// # Errors
/// Where the system kills no children, and when this program cannot be found again.
pub(crate) fn bound(command: &Command) -> Result<Command, NotStarted> {
    if !cfg!(target_os = "linux") {
        return Err(NotStarted::unprepared(std::io::Error::other("--die-with-me needs Linux")));
    }
    let program = std::env::current_exe().map_err(NotStarted::unprepared)?;
    let mut bound = Command::new(program);
    bound.arg(WORD).arg(std::process::id().to_string());
    bound.arg(command.get_program()).args(command.get_args());
    Ok(bound)
}

/// Becomes the command if this process was started for that; the exit status when it cannot.
pub(crate) fn become_command() -> Option<ExitCode> {
    let mut words = std::env::args_os().skip(1);
    if words.next()? != WORD {
        return None;
    }
    let parent = words.next()?.to_str()?.parse().ok()?;
    let mut command = Command::new(words.next()?);
    command.args(words.collect::<Vec<OsString>>());
    Some(become_bound(command, parent))
}

#[cfg(target_os = "linux")]
fn become_bound(mut command: Command, parent: u32) -> ExitCode {
    use std::os::unix::process::{CommandExt as _, parent_id};

    use rustix::process::{Signal, set_parent_process_death_signal};

    let is_bound = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    // Whoever was killed before that has left this process to another parent.
    if !is_bound || parent_id() != parent {
        say("sootprint ended before the command could be started");
        return ExitCode::from(FAILED_BEFORE);
    }
    let error = command.exec();
    let problem = NotStarted::unspawned(&command, error);
    say(&problem);
    ExitCode::from(problem.status)
}

/// Elsewhere nobody starts it.
#[cfg(not(target_os = "linux"))]
fn become_bound(_: Command, _: u32) -> ExitCode {
    say("--die-with-me needs Linux");
    ExitCode::from(FAILED_BEFORE)
}
