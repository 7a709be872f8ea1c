//! The signals that sootprint catches.

use std::fs;

use rustix::process::Signal;
#[cfg(target_os = "linux")]
use rustix_libc_wrappers::process::SignalExt as _;
use signal_hook::consts::{
    SIGABRT, SIGALRM, SIGCONT, SIGHUP, SIGINT, SIGIO, SIGPROF, SIGQUIT, SIGTERM, SIGTSTP, SIGURG, SIGUSR1,
    SIGUSR2, SIGVTALRM, SIGWINCH, SIGXCPU, SIGXFSZ,
};

/// Signals that ask a program to stop.
pub(crate) const STOP_SIGNALS: [i32; 5] = [SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGXCPU];

/// All other signals that are forwarded. Not among them: SIGKILL and SIGSTOP, which cannot be caught; SIGCHLD; faults of
/// the process itself (SIGILL, SIGTRAP, SIGBUS, SIGFPE, SIGSEGV, SIGSYS); SIGPIPE, which every Rust program ignores;
/// and SIGTTIN and SIGTTOU, which stop the whole group.
const OTHER_SIGNALS: [i32; 12] = [
    SIGABRT, SIGALRM, SIGCONT, SIGIO, SIGPROF, SIGTSTP, SIGURG, SIGUSR1, SIGUSR2, SIGVTALRM, SIGWINCH,
    SIGXFSZ,
];

/// The signals that are caught and forwarded.
pub(crate) fn forwarded_signals() -> Vec<i32> {
    let mut signals = [&STOP_SIGNALS[..], &OTHER_SIGNALS].concat();
    #[cfg(target_os = "linux")]
    {
        signals.push(Signal::POWER.as_raw());
        signals.extend(Signal::rt_min().as_raw()..=Signal::rt_max().as_raw());
    }
    without_ignored(signals)
}

/// Whether signals of this number queue, so that each one counts.
pub(crate) fn is_real_time(signal: i32) -> bool {
    cfg!(target_os = "linux") && Signal::from_named_raw(signal).is_none()
}

/// Drops signals that are ignored on purpose, as by nohup(1) and for background jobs of a shell.
///
/// A handler would make the command stop ignoring them too.
pub(crate) fn without_ignored(signals: impl IntoIterator<Item = i32>) -> Vec<i32> {
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
