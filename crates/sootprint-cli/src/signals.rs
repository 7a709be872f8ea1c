//! Signals while the command runs: the terminal's reach both, those of other processes are passed on.

use std::fs;
use std::io;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use rustix::process::{Pid, Signal, kill_process};
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

/// Ask a program to stop.
const STOP_SIGNALS: [i32; 4] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP];

/// Ask a training for something of its own, as for a checkpoint, and end a program that does not know them.
const USER_SIGNALS: [i32; 2] = [SIGUSR1, SIGUSR2];

/// The signals that do not end sootprint any more.
pub(crate) struct SignalForwarder(SignalsInfo<WithOrigin>);

impl SignalForwarder {
    /// Catches all that would end sootprint before its record is written.
    pub(crate) fn install() -> io::Result<Self> {
        let signals = without_ignored(STOP_SIGNALS.into_iter().chain(USER_SIGNALS));
        // Caught also because a status is lost where the parent has SIGCHLD ignored.
        SignalsInfo::new(signals.into_iter().chain([SIGCHLD])).map(Self)
    }

    /// Waits for the child's end and passes signals on until then; says whether one asked to stop.
    ///
    /// One thread does both, so that no signal is sent to a process that has taken the number of an ended child.
    pub(crate) fn wait_and_forward(&mut self, child: &mut Child) -> io::Result<(ExitStatus, bool)> {
        let mut interrupted = false;
        for origin in &mut self.0 {
            if origin.signal == SIGCHLD {
                if let Some(status) = child.try_wait()? {
                    return Ok((status, interrupted));
                }
                continue;
            }
            interrupted |= STOP_SIGNALS.contains(&origin.signal);
            // What the terminal sends comes from no process and goes to the whole group: the child has it already.
            if origin.process.is_some()
                && let Some(signal) = Signal::from_named_raw(origin.signal)
            {
                // A child that ended meanwhile needs no signal.
                let _ = kill_process(Pid::from_child(child), signal);
            }
        }
        // Nobody closes the signals, so that this is never reached; if it were, it would be right.
        Ok((child.wait()?, interrupted))
    }
}

/// From here on a signal ends this process at once with the status.
pub(crate) fn exit_on_signal(status: u8) {
    for signal in without_ignored(STOP_SIGNALS) {
        // Without it only the patience of who waits is in danger.
        let _ = register_conditional_shutdown(signal, status.into(), Arc::new(AtomicBool::new(true)));
    }
}

/// Those signals that are not ignored on purpose, as nohup(1) and shells in the background have it.
///
/// A handler would undo that for the command too.
fn without_ignored(signals: impl IntoIterator<Item = i32>) -> Vec<i32> {
    let mask =
        fs::read_to_string("/proc/self/status").ok().and_then(|status| ignored_mask(&status)).unwrap_or(0);
    signals.into_iter().filter(|signal| mask >> (signal - 1) & 1 == 0).collect()
}

/// The mask of ignored signals in a `/proc/PID/status`: bit n − 1 is signal n. See `proc_pid_status(5)`.
fn ignored_mask(status: &str) -> Option<u64> {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ignored_signal_mask_is_parsed() {
        assert_eq!(
            ignored_mask("Name:\tx\nSigBlk:\t00000000ffffffff\nSigIgn:\t0000000000001006\n"),
            Some(0x1006)
        );
        assert_eq!(ignored_mask("Name:\tx\n"), None);
    }
}
