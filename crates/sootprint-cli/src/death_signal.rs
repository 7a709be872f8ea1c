//! A command that ends when sootprint is killed.
//!
//! The kernel forgets the wish with each fork, and keeps it when a process becomes another program. So sootprint starts
//! itself, and the child says the wish before it becomes the command: with the same process id, so that signals and the
//! exit status are the command's own.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::command::{EXIT_SETUP_FAILED, SpawnError};
use crate::terminal::eprint_message;

/// The first word of the child's own arguments: the process that it ends with and the command come after it.
const WRAPPER_ARG: &str = "__kill-child";

/// The same command, which ends with this process.
///
/// # Errors
/// Where the system kills no children, and when this program cannot be found again.
pub(crate) fn with_death_signal(command: &Command) -> Result<Command, SpawnError> {
    if !cfg!(target_os = "linux") {
        return Err(SpawnError::setup(std::io::Error::other("--kill-child needs Linux")));
    }
    let program = std::env::current_exe().map_err(SpawnError::setup)?;
    let mut wrapper = Command::new(program);
    wrapper.arg(WRAPPER_ARG).arg(std::process::id().to_string());
    wrapper.arg(command.get_program()).args(command.get_args());
    Ok(wrapper)
}

/// Becomes the command if this process was started for that; the exit status when it cannot.
pub(crate) fn exec_if_wrapper() -> Option<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    if args.next()? != WRAPPER_ARG {
        return None;
    }
    let parent = args.next()?.to_str()?.parse().ok()?;
    let mut command = Command::new(args.next()?);
    command.args(args.collect::<Vec<OsString>>());
    Some(exec_with_death_signal(command, parent))
}

#[cfg(target_os = "linux")]
fn exec_with_death_signal(mut command: Command, parent: u32) -> ExitCode {
    use std::os::unix::process::{CommandExt as _, parent_id};

    use rustix::process::{Signal, set_parent_process_death_signal};

    let is_armed = set_parent_process_death_signal(Some(Signal::KILL)).is_ok();
    // Whoever was killed before that has left this process to another parent.
    if !is_armed || parent_id() != parent {
        eprint_message("sootprint ended before the command could be started");
        return ExitCode::from(EXIT_SETUP_FAILED);
    }
    let error = command.exec();
    let error = SpawnError::spawn(&command, error);
    eprint_message(&error);
    ExitCode::from(error.status)
}

/// Elsewhere nobody starts it.
#[cfg(not(target_os = "linux"))]
fn exec_with_death_signal(_: Command, _: u32) -> ExitCode {
    eprint_message("--kill-child needs Linux");
    ExitCode::from(EXIT_SETUP_FAILED)
}
