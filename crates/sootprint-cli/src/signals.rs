//! Signals while the command runs: those of the terminal reach both processes, those of other processes are forwarded.

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

/// Signals that ask a program to stop.
const STOP_SIGNALS: [i32; 4] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP];

/// Signals with a meaning of the training's own, such as writing a checkpoint. They end a program without a handler.
const USER_SIGNALS: [i32; 2] = [SIGUSR1, SIGUSR2];

/// Catches signals and forwards them to the command.
pub(crate) struct SignalForwarder(SignalsInfo<WithOrigin>);

impl SignalForwarder {
    /// Installs handlers for all signals that would end sootprint before its record is written.
    pub(crate) fn install() -> io::Result<Self> {
        let signals = without_ignored(STOP_SIGNALS.into_iter().chain(USER_SIGNALS));
        // If the parent ignores SIGCHLD, the child's status is lost unless the signal is caught here.
        SignalsInfo::new(signals.into_iter().chain([SIGCHLD])).map(Self)
    }

    /// Waits for the child and forwards signals until then. Returns its status, and whether a stop signal arrived.
    ///
    /// One thread does both, so a signal never goes to another process that has reused the child's id.
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
            // A signal from the terminal has no sending process and goes to the whole group, including the child.
            if origin.process.is_some()
                && let Some(signal) = Signal::from_named_raw(origin.signal)
            {
                // Fails if the child has just ended, which is fine.
                let _ = kill_process(Pid::from_child(child), signal);
            }
        }
        // Unreachable, because the iterator is never closed; a plain wait would be correct.
        Ok((child.wait()?, interrupted))
    }
}

/// Makes stop signals end this process immediately with the given status.
pub(crate) fn exit_on_signal(status: u8) {
    for signal in without_ignored(STOP_SIGNALS) {
        // On failure the signal keeps its handler, and only the wait for a push gets longer.
        let _ = register_conditional_shutdown(signal, status.into(), Arc::new(AtomicBool::new(true)));
    }
}

/// Drops signals that are ignored on purpose, as by nohup(1) and for background jobs of a shell.
///
/// A handler would make the command stop ignoring them too.
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
