//! Signals while the command runs: each one that sootprint receives reaches the command exactly once.
//!
//! A signal for the whole process group, as Ctrl-C on a terminal, reaches the command without sootprint's help. The
//! kernel does not report whether a signal was for the group, so a [`GroupObserver`] in the same group is asked whether
//! it received the signal too.

use std::io;
use std::mem;
use std::process::{Child, ExitStatus};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, getpid, kill_process, waitid};
use rustix_libc_wrappers::process::SignalExt as _;
use signal_hook::consts::{SIGCHLD, SIGHUP, SIGTSTP, SIGXCPU};
use signal_hook::flag::register_conditional_shutdown;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;
use signal_hook::low_level::emulate_default_handler;
use signal_hook::low_level::siginfo::Origin;

use crate::group_observer::GroupObserver;
use crate::process_ids::GroupAndSession;
use crate::signal_list::{STOP_SIGNALS, forwarded_signals, is_real_time, without_ignored};

/// A signal for a group reaches its processes one after the other, so the observer is asked after this time.
const GROUP_DELIVERY_TIME: Duration = Duration::from_millis(50);

/// A second stop signal ends sootprint only after this time, in which the record is completed.
const SECOND_SIGNAL_TIME: Duration = Duration::from_secs(1);

/// How long a command may take to stop after Ctrl-Z.
const STOP_TIME: Duration = Duration::from_secs(1);

/// A stop signal within this time after the command's end is the one that ended the command, sent to both.
const SAME_SIGNAL_TIME: Duration = Duration::from_millis(500);

/// Catches signals and forwards them to the command.
pub(crate) struct SignalForwarder {
    signals: SignalsInfo<WithOrigin>,
    observer: Option<GroupObserver>,
    /// Signals of the group that this process received while it asked the observer.
    early_group_signals: Vec<i32>,
    /// When the command ended.
    ended_at: Option<Instant>,
}

impl SignalForwarder {
    /// Installs handlers for all signals that would end sootprint before its record is written.
    pub(crate) fn install() -> io::Result<Self> {
        // If the parent ignores SIGCHLD, the child's status is lost unless the signal is caught here.
        let signals = SignalsInfo::new([SIGCHLD])?;
        for signal in forwarded_signals() {
            // A few real-time signals are reserved by some C libraries.
            let _ = signals.add_signal(signal);
        }
        Ok(Self {
            signals,
            observer: GroupObserver::start(),
            early_group_signals: Vec::new(),
            ended_at: None,
        })
    }

    /// Waits for the child and forwards signals until then. Returns its status, and whether a stop signal arrived.
    ///
    /// One thread does both, so a signal never goes to another process that has reused the child's id.
    pub(crate) fn wait_and_forward(&mut self, child: &mut Child) -> io::Result<(ExitStatus, bool)> {
        let result = self.forward_until_exit(child);
        self.ended_at = Some(Instant::now());
        result
    }

    fn forward_until_exit(&mut self, child: &mut Child) -> io::Result<(ExitStatus, bool)> {
        let mut interrupted = false;
        // Signals from before the command existed have not reached it, also if they were for the group.
        let mut received: Vec<Origin> = self.signals.pending().collect();
        if !received.is_empty() {
            let _ = self.observer.as_mut().map(GroupObserver::take_signals);
            interrupted |= received.iter().any(|origin| STOP_SIGNALS.contains(&origin.signal));
            received.retain(is_for_command);
            received = self.forward(&received, Vec::new(), Pid::from_child(child));
        }
        loop {
            if received.is_empty() && child.try_wait()?.is_none() {
                received.extend(self.signals.wait());
            }
            interrupted |= received.iter().any(|origin| STOP_SIGNALS.contains(&origin.signal));
            if let Some(status) = child.try_wait()? {
                return Ok((status, interrupted));
            }
            received.retain(is_for_command);
            if received.is_empty() {
                continue;
            }
            thread::sleep(GROUP_DELIVERY_TIME);
            received.extend(self.signals.pending().filter(is_for_command));
            let group_signals = self.take_group_signals(&received, Pid::from_child(child));
            if let Some(status) = child.try_wait()? {
                return Ok((status, interrupted));
            }
            received = self.forward(&received, group_signals, Pid::from_child(child));
        }
    }

    /// Returns the signals that the command has received as a member of the group.
    fn take_group_signals(&mut self, received: &[Origin], command: Pid) -> Vec<i32> {
        let mut signals = mem::take(&mut self.early_group_signals);
        match self.observer.as_mut().map(GroupObserver::take_signals) {
            Some(Ok(observed)) => signals.extend(observed),
            // Without the observer, signals of the kernel count as signals for the group.
            Some(Err(_)) | None => {
                self.observer = GroupObserver::start();
                signals = received.iter().filter(|it| is_from_terminal(it)).map(|it| it.signal).collect();
            }
        }
        let group = |ids: Option<GroupAndSession>| ids.map(|ids| ids.group);
        let own = group(GroupAndSession::own());
        let is_in_group = own.is_some() && group(GroupAndSession::of(command)) == own;
        if is_in_group { signals } else { Vec::new() }
    }

    /// Sends the signals to the command, except those for the group. Returns those that have arrived in the meantime.
    fn forward(&mut self, received: &[Origin], mut group_signals: Vec<i32>, command: Pid) -> Vec<Origin> {
        let mut handled = Vec::new();
        for signal in received.iter().map(|origin| origin.signal) {
            let in_group = group_signals.iter().position(|it| *it == signal);
            if let Some(index) = in_group {
                group_signals.swap_remove(index);
            } else if is_real_time(signal) || !handled.contains(&signal) {
                // Standard signals do not queue: one that arrives again before it is handled counts once.
                if let Some(signal) = Signal::from_raw(signal) {
                    // Fails if the child has just ended, which is fine.
                    let _ = kill_process(command, signal);
                }
            }
            handled.push(signal);
        }
        if handled.contains(&SIGTSTP) {
            stop_with(command);
        }
        let new: Vec<Origin> = self.signals.pending().filter(is_for_command).collect();
        self.early_group_signals = group_signals;
        self.early_group_signals.retain(|signal| new.iter().any(|origin| origin.signal == *signal));
        new
    }

    /// From now on, after the end of the command, calls `action` at the first stop signal; a second one ends this process
    /// with the given status.
    pub(crate) fn on_stop_signal(mut self, status: u8, action: impl FnOnce() + Send + 'static) {
        let ended_at = self.ended_at.unwrap_or_else(Instant::now);
        let wait_for_signal = move || {
            while !self.signals.wait().any(|origin| STOP_SIGNALS.contains(&origin.signal))
                || ended_at.elapsed() < SAME_SIGNAL_TIME
            {}
            action();
            // A signal to the process and one to its group may arrive shortly after each other, and mean one request.
            thread::sleep(SECOND_SIGNAL_TIME);
            exit_on_signal(status);
        };
        // Without the thread, a stop signal has no effect until the footprint is complete.
        let _ = thread::Builder::new().name("sootprint-signals".to_owned()).spawn(wait_for_signal);
    }
}

/// Makes stop signals end this process immediately with the given status.
pub(crate) fn exit_on_signal(status: u8) {
    for signal in without_ignored(STOP_SIGNALS) {
        // On failure the signal keeps its handler, and only the wait for a push gets longer.
        let _ = register_conditional_shutdown(signal, status.into(), Arc::new(AtomicBool::new(true)));
    }
}

/// Whether the signal concerns the command, and not sootprint itself: its child, its CPU time or the size of its files.
fn is_for_command(origin: &Origin) -> bool {
    let is_own_limit = match origin.process {
        Some(process) => Pid::from_raw(process.pid) == Some(getpid()),
        None => origin.signal == SIGXCPU,
    };
    origin.signal != SIGCHLD && !is_own_limit
}

/// Whether the signal came from the kernel and for the group of the terminal. The kernel sends a hangup to the leader of
/// the session alone.
fn is_from_terminal(origin: &Origin) -> bool {
    let session = GroupAndSession::own().and_then(|own| Pid::from_raw(own.session));
    let is_leader = session == Some(getpid());
    origin.process.is_none() && !(origin.signal == SIGHUP && is_leader)
}

/// Stops this process once the command has stopped, so that the shell shows its prompt. Continues with the command.
fn stop_with(command: Pid) {
    let options =
        WaitIdOptions::STOPPED | WaitIdOptions::EXITED | WaitIdOptions::NOHANG | WaitIdOptions::NOWAIT;
    let deadline = Instant::now() + STOP_TIME;
    while Instant::now() < deadline {
        match waitid(WaitId::Pid(command), options) {
            Ok(Some(status)) if status.stopped() => {
                // Fails only if the process cannot signal itself; it then goes on.
                let _ = emulate_default_handler(SIGTSTP);
                return;
            }
            Ok(None) => thread::sleep(GROUP_DELIVERY_TIME),
            // The command has ended.
            Ok(Some(_)) | Err(_) => return,
        }
    }
    // A command that ignores the signal, or whose group has no shell that could continue it, goes on.
}
