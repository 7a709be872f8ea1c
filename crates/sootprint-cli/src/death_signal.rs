//! `--kill-child`: the command is killed when sootprint is killed.
//!
//! `PR_SET_PDEATHSIG` is cleared on fork but kept across exec. sootprint therefore re-executes itself, sets the signal in
//! the child, and then execs the command there. The process id stays the same, so signals and the exit status are the
//! command's own. Setting the signal between fork and exec would need unsafe code.

use std::ffi::OsString;
use std::process::{Command, ExitCode};

use crate::command::{EXIT_SETUP_FAILED, SpawnError};
use crate::terminal::eprint_message;

/// The first argument of the wrapper process, before the parent's process id and the command.
const WRAPPER_ARG: &str = "__kill-child";

/// Wraps the command so that it is killed with this process.
///
/// # Errors
/// Outside Linux, or if the path of this program is unknown.
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

/// If this process is the wrapper, execs the command; returns the exit status if that fails, and `None` otherwise.
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
    // If sootprint was killed before the signal was set, this process has another parent.
    if !is_armed || parent_id() != parent {
        eprint_message("sootprint ended before the command started");
        return ExitCode::from(EXIT_SETUP_FAILED);
    }
    let error = command.exec();
    let error = SpawnError::spawn(&command, error);
    eprint_message(&error);
    ExitCode::from(error.status)
}

/// Never started outside Linux.
#[cfg(not(target_os = "linux"))]
fn exec_with_death_signal(_: Command, _: u32) -> ExitCode {
    eprint_message("--kill-child needs Linux");
    ExitCode::from(EXIT_SETUP_FAILED)
}
