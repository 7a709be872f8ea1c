//! A process in sootprint's own process group that reports which signals the group has received.
//!
//! The kernel does not report whether a signal was sent to one process or to its group. A second process that receives
//! the same signal at the same time is evidence for the group.

use std::ffi::OsStr;
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use crate::signal_list::forwarded_signals;

/// The first argument of the observer process.
const OBSERVER_ARG: &str = "__group-observer";

/// The name in the process list. It differs from sootprint's, so that `pkill sootprint` does not reach the observer.
const OBSERVER_NAME: &str = "signal-group-observer";

/// The end of an answer; no signal has this number.
const END: u8 = 0;

/// How long the observer may take for an answer, which it gives immediately unless it was stopped.
const ANSWER_TIMEOUT: Timespec = Timespec { tv_sec: 2, tv_nsec: 0 };

/// The observer, seen from sootprint. It ends when this value is dropped.
pub(crate) struct GroupObserver {
    /// `None` once the pipe is closed, which makes the process exit.
    requests: Option<ChildStdin>,
    answers: ChildStdout,
    process: Child,
}

impl GroupObserver {
    /// Starts the observer, and waits until it catches signals. `None` if it cannot be started.
    pub(crate) fn start() -> Option<Self> {
        let program = std::env::current_exe().ok()?;
        let mut process = Command::new(program)
            .arg0(OBSERVER_NAME)
            .arg(OBSERVER_ARG)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .ok()?;
        let (requests, answers) = (process.stdin.take(), process.stdout.take()?);
        let mut observer = Self { requests, answers, process };
        observer.take_signals().ok()?;
        Some(observer)
    }

    /// Returns the signals that the observer has received since the last call.
    ///
    /// # Errors
    /// If the observer has ended or does not answer.
    pub(crate) fn take_signals(&mut self) -> io::Result<Vec<i32>> {
        let requests = self.requests.as_mut().ok_or(io::ErrorKind::BrokenPipe)?;
        requests.write_all(&[END])?;
        let mut signals = Vec::new();
        loop {
            poll_readable(&self.answers)?;
            let mut answer = [END];
            self.answers.read_exact(&mut answer)?;
            match answer {
                [END] => return Ok(signals),
                [signal] => signals.push(signal.into()),
            }
        }
    }
}

impl Drop for GroupObserver {
    fn drop(&mut self) {
        drop(self.requests.take());
        // The observer may be stopped, so its end is not awaited before it is killed.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Waits until an answer can be read.
fn poll_readable(answers: &ChildStdout) -> io::Result<()> {
    loop {
        match poll(&mut [PollFd::new(answers, PollFlags::IN)], Some(&ANSWER_TIMEOUT)) {
            Ok(0) => return Err(io::ErrorKind::TimedOut.into()),
            Ok(_) => return Ok(()),
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// If this process is the observer, serves its parent and returns the exit status; `None` otherwise.
pub(crate) fn serve_if_observer() -> Option<ExitCode> {
    if std::env::args_os().nth(1).as_deref() != Some(OsStr::new(OBSERVER_ARG)) {
        return None;
    }
    // An error means that the parent is gone, so there is no one to report it to.
    let _ = serve();
    Some(ExitCode::SUCCESS)
}

/// Answers each byte on stdin with the signals received since the last one.
fn serve() -> io::Result<()> {
    #[cfg(target_os = "linux")]
    {
        let _ = rustix::thread::set_name(c"signal-group-ob");
    }
    let mut signals = SignalsInfo::<WithOrigin>::new(std::iter::empty::<i32>())?;
    for signal in forwarded_signals() {
        // As in sootprint.
        let _ = signals.add_signal(signal);
    }
    let (mut requests, mut answers) = (io::stdin().lock(), io::stdout().lock());
    let mut request = [END];
    loop {
        requests.read_exact(&mut request)?;
        let received = signals.pending().filter_map(|origin| u8::try_from(origin.signal).ok());
        let answer: Vec<u8> = received.chain([END]).collect();
        answers.write_all(&answer)?;
        answers.flush()?;
    }
}
