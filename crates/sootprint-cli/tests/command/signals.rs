//! Each signal reaches the command exactly once, and sootprint still writes its record.

use std::fs;
use std::os::fd::OwnedFd;
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix_libc_wrappers::process::SignalExt as _;
use signal_hook::iterator::SignalsInfo;
use signal_hook::iterator::exfiltrator::WithOrigin;

use crate::sandbox::{RunningCommand, TestSandbox, stderr};

/// No event of these tests takes a second, but a busy machine may be much slower.
const TIMEOUT: Duration = Duration::from_secs(20);

/// The signals of the table, standard ones first.
fn forwarded_signals() -> Vec<Signal> {
    let mut signals = vec![
        Signal::HUP,
        Signal::INT,
        Signal::QUIT,
        Signal::ABORT,
        Signal::USR1,
        Signal::USR2,
        Signal::ALARM,
        Signal::TERM,
        Signal::CONT,
        Signal::TSTP,
        Signal::URG,
        Signal::XCPU,
        Signal::XFSZ,
        Signal::VTALARM,
        Signal::PROF,
        Signal::WINCH,
        Signal::IO,
        Signal::POWER,
    ];
    let real_time = Signal::rt_min().as_raw()..=Signal::rt_max().as_raw();
    signals.extend(real_time.filter_map(Signal::from_raw));
    signals
}

/// A command that writes the number of each signal that it receives to a file, until the file `stop` exists.
///
/// Shells and Python merge signals that arrive shortly after each other, so the command is this test program.
#[test]
#[ignore = "started by the other tests as the measured command"]
fn log_received_signals() {
    let Some(log) = std::env::var_os("SIGNAL_LOG").map(PathBuf::from) else { return };
    let mut signals = SignalsInfo::<WithOrigin>::new(std::iter::empty::<i32>()).unwrap();
    for signal in forwarded_signals() {
        signals.add_signal(signal.as_raw()).unwrap();
    }
    let mut lines = String::new();
    let deadline = Instant::now() + 5 * TIMEOUT;
    while !log.with_file_name("stop").exists() && Instant::now() < deadline {
        for origin in signals.pending() {
            lines += &format!("{}\n", origin.signal);
        }
        fs::write(log.with_extension("new"), &lines).unwrap();
        fs::rename(log.with_extension("new"), &log).unwrap();
        thread::sleep(Duration::from_millis(1));
    }
    // The test harness could not print its summary on a terminal that has been closed.
    std::process::exit(0);
}

/// sootprint while it measures a [`log_received_signals`].
struct LoggedRun {
    sandbox: TestSandbox,
    running: RunningCommand,
    /// The signals received so far, which have been checked.
    log: Vec<i32>,
}

impl LoggedRun {
    /// `start` gets sootprint with its arguments; `wrapper` starts the logging command.
    fn start(wrapper: &[&str], start: impl FnOnce(&TestSandbox, Command) -> RunningCommand) -> Self {
        let sandbox = TestSandbox::new();
        let program = std::env::current_exe().unwrap();
        let test = ["signals::log_received_signals", "--exact", "--ignored"];
        let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--"]);
        command.args(wrapper).arg(program).args(test).env("SIGNAL_LOG", sandbox.path("signals"));
        let running = start(&sandbox, command);
        wait_for(|| sandbox.path("signals").exists().then_some(()));
        Self { sandbox, running, log: Vec::new() }
    }

    /// sootprint leads a process group of its own.
    fn start_group(wrapper: &[&str]) -> Self {
        Self::start(wrapper, |_, mut command| RunningCommand::spawn(command.process_group(0)))
    }

    fn pid(&self) -> Pid {
        Pid::from_child(&self.running.child)
    }

    /// Checks that the next signal that the command receives is this one.
    fn expect(&mut self, signal: Signal) {
        self.expect_all(&[signal]);
    }

    /// Checks that the command receives these signals next, in any order.
    fn expect_all(&mut self, signals: &[Signal]) {
        let mut expected: Vec<i32> = signals.iter().map(|signal| signal.as_raw()).collect();
        expected.sort_unstable();
        let checked = self.log.len();
        let deadline = Instant::now() + TIMEOUT;
        while self.log.len() < checked + expected.len() && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(2));
            self.log = self.read_log();
        }
        let mut received = self.log[checked..].to_vec();
        received.sort_unstable();
        assert_eq!(received, expected, "after {:?}", &self.log[..checked]);
    }

    /// The numbers of the signals that the command has received.
    fn read_log(&self) -> Vec<i32> {
        let log = fs::read_to_string(self.sandbox.path("signals")).unwrap_or_default();
        log.lines().map(|line| line.parse().unwrap()).collect()
    }

    /// Ends the command. Signals are forwarded in their order, so a repetition would come before the last one, which is
    /// a real-time signal, so that it counts even if it was sent before.
    fn finish(mut self) -> TestSandbox {
        kill_process(self.pid(), Signal::rt_max()).unwrap();
        self.expect(Signal::rt_max());
        fs::write(self.sandbox.path("stop"), "").unwrap();
        assert_eq!(self.running.wait_for_exit().code(), Some(0));
        self.sandbox
    }
}

fn wait_for<T>(mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + TIMEOUT;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        assert!(Instant::now() < deadline, "timeout");
        thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn signal_for_sootprint_is_forwarded_once() {
    let mut run = LoggedRun::start_group(&[]);
    for signal in forwarded_signals() {
        kill_process(run.pid(), signal).unwrap();
        run.expect(signal);
    }
    let sandbox = run.finish();
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
}

#[test]
fn signal_for_group_arrives_once() {
    let mut run = LoggedRun::start_group(&[]);
    for signal in forwarded_signals() {
        kill_process_group(run.pid(), signal).unwrap();
        run.expect(signal);
    }
    run.finish();
}

/// Like timeout(1), and like a batch system that signals each process of a job.
#[test]
fn signal_for_sootprint_and_group_arrives_once() {
    let mut run = LoggedRun::start_group(&[]);
    for signal in forwarded_signals().into_iter().filter(|signal| signal.as_raw() < Signal::rt_min().as_raw())
    {
        kill_process(run.pid(), signal).unwrap();
        kill_process_group(run.pid(), signal).unwrap();
        run.expect(signal);
    }
    run.finish();
}

#[test]
fn signal_for_group_reaches_command_in_own_session_once() {
    let mut run = LoggedRun::start_group(&["setsid"]);
    for signal in [Signal::INT, Signal::TERM, Signal::HUP, Signal::rt_min()] {
        kill_process_group(run.pid(), signal).unwrap();
        run.expect(signal);
    }
    run.finish();
}

/// sootprint on a terminal of its own, started by these words.
fn start_on_terminal(starter: &[&str], wrapper: &[&str]) -> (LoggedRun, OwnedFd) {
    let terminal = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&terminal).unwrap();
    unlockpt(&terminal).unwrap();
    let slave = PathBuf::from(ptsname(&terminal, Vec::new()).unwrap().into_string().unwrap());
    let run = LoggedRun::start(wrapper, |_, command| {
        let open = || fs::File::options().read(true).write(true).open(&slave).unwrap();
        let mut leader = Command::new("setsid");
        leader.arg("--ctty").args(starter).arg(command.get_program()).args(command.get_args()).env_clear();
        leader.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
        leader.current_dir(command.get_current_dir().unwrap_or(Path::new(".")));
        leader.stdin(open()).stdout(open()).stderr(open());
        RunningCommand::spawn(&mut leader)
    });
    (run, terminal)
}

fn type_keys(terminal: &OwnedFd, keys: &[u8]) {
    assert_eq!(rustix::io::write(terminal, keys).unwrap(), keys.len());
}

#[test]
fn keys_on_terminal_reach_command_once() {
    for wrapper in [&[][..], &["setsid"]] {
        let (mut run, terminal) = start_on_terminal(&[], wrapper);
        for (key, signal) in [(3, Signal::INT), (28, Signal::QUIT), (26, Signal::TSTP), (3, Signal::INT)] {
            type_keys(&terminal, &[key]);
            run.expect(signal);
        }
        run.finish();
    }
}

#[test]
fn closed_terminal_hangs_up_command_once() {
    for (starter, wrapper) in [
        // sootprint leads the session, so the kernel signals sootprint alone.
        (&[][..], &[][..]),
        (&[], &["setsid"]),
    ] {
        let (mut run, terminal) = start_on_terminal(starter, wrapper);
        drop(terminal);
        // The kernel also continues the leader of the session.
        run.expect_all(&[Signal::HUP, Signal::CONT]);
        let sandbox = run.finish();
        assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
    }
}

/// When the shell that leads the session ends, the kernel signals the group in the foreground.
#[test]
fn end_of_shell_hangs_up_command_once() {
    let script = r#"echo $$ >shell; "$@"; true"#;
    let (mut run, terminal) = start_on_terminal(&["sh", "-c", script, "sh"], &[]);
    let shell = run.running.child.id();
    drop(terminal);
    run.expect_all(&[Signal::HUP, Signal::CONT]);
    let sootprint = sootprint_of(&run.sandbox);
    assert_ne!(sootprint, shell);
    kill_process(Pid::from_raw(sootprint.cast_signed()).unwrap(), Signal::USR1).unwrap();
    run.expect(Signal::USR1);
    fs::write(run.sandbox.path("stop"), "").unwrap();
    // The first process of a container may leave it a zombie.
    wait_for(|| matches!(process_state(sootprint), None | Some('Z')).then_some(()));
    assert_eq!(run.sandbox.report_json(&[])["run"]["outcome"], "completed");
}

/// The id of the process that measures in this folder.
fn sootprint_of(sandbox: &TestSandbox) -> u32 {
    let folder = fs::canonicalize(sandbox.path("")).unwrap();
    let is_sootprint = |process: &Path| {
        let line = fs::read_to_string(process.join("cmdline")).unwrap_or_default();
        let arguments: Vec<&str> = line.split('\0').collect();
        arguments.get(1) == Some(&"run")
            && fs::read_link(process.join("cwd")).is_ok_and(|it| it == folder)
            && arguments[0].ends_with("sootprint")
    };
    let found = fs::read_dir("/proc").unwrap().find(|entry| is_sootprint(&entry.as_ref().unwrap().path()));
    found.unwrap().unwrap().file_name().to_str().unwrap().parse().unwrap()
}

/// The state of a process in `/proc`: `T` if it is stopped. `None` if it is gone.
fn process_state(pid: u32) -> Option<char> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ").unwrap().1.chars().next()
}

#[test]
fn command_and_sootprint_stop_and_continue_together() {
    for to_group in [true, false] {
        let sandbox = TestSandbox::new();
        let script = "echo $$ >pid.new; mv pid.new pid; read -r line; exit 0";
        let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", script]);
        command.process_group(0).stdin(Stdio::piped());
        let mut running = RunningCommand::spawn(&mut command);
        let shell = wait_for(|| fs::read_to_string(sandbox.path("pid")).ok()).trim().parse().unwrap();
        let sootprint = Pid::from_child(&running.child);
        let send = |signal| {
            if to_group { kill_process_group(sootprint, signal) } else { kill_process(sootprint, signal) }
                .unwrap();
        };
        let are_stopped = || [shell, running.child.id()].map(|pid| process_state(pid) == Some('T'));
        send(Signal::TSTP);
        wait_for(|| (are_stopped() == [true, true]).then_some(()));
        send(Signal::CONT);
        wait_for(|| (are_stopped() == [false, false]).then_some(()));
        drop(running.child.stdin.take());
        assert_eq!(running.wait_for_exit().code(), Some(0));
        assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
    }
}

#[test]
fn stop_signal_is_recorded_as_interruption() {
    for (signal, name) in [
        (Signal::TERM, "TERM"),
        (Signal::HUP, "HUP"),
        (Signal::INT, "INT"),
        (Signal::QUIT, "QUIT"),
        (Signal::XCPU, "XCPU"),
        (Signal::USR1, "USR1"),
    ] {
        let sandbox = TestSandbox::new();
        let mut running =
            sandbox.start_script(&format!("trap 'echo caught; exit 7' {name}; echo started; read -r word"));
        kill_process(Pid::from_child(&running.child), signal).unwrap();
        assert_eq!(running.read_line(), "caught\n", "SIG{name}");
        assert_eq!(running.wait_for_exit().code(), Some(7));
        let outcome = if signal == Signal::USR1 { "failed" } else { "interrupted" };
        assert_eq!(sandbox.report_json(&[])["run"]["outcome"], outcome, "SIG{name}");
    }
}

#[test]
fn group_interrupt_keeps_record() {
    let sandbox = TestSandbox::new();
    let mut command =
        sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "echo started; read -r word"]);
    command.process_group(0);
    let mut running = sandbox.start(command);
    kill_process_group(Pid::from_child(&running.child), Signal::INT).unwrap();
    // Like the command, so that a shell stops its script.
    assert_eq!(running.wait_for_exit().signal(), Some(2));
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "interrupted");
}

#[test]
fn ignored_signals_stay_ignored() {
    let sandbox = TestSandbox::new();
    // Like nohup(1).
    let mut command = sandbox.sootprint_command(&[]);
    let sootprint = command.get_program().to_owned();
    command = Command::new("sh");
    command.args(["-c", r#"trap '' HUP; exec "$0" "$@""#]).arg(sootprint);
    command.args(["run", "--out", "out", "--", "sh", "-c", "kill -HUP $$; kill -HUP $PPID; echo alive"]);
    command.current_dir(sandbox.path("")).env("SOOTPRINT_REPLAY", sandbox.path("script.json"));
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), &output.stdout[..]), (Some(0), &b"alive\n"[..]), "{}", stderr(&output));
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
}

/// Without the signal, rank 0 would wait a minute for the other rank.
#[test]
fn interrupt_after_command_ends_wait_for_ranks() {
    let sandbox = TestSandbox::new();
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "true"]);
    command.env("SOOTPRINT_RANK", "0").env("SOOTPRINT_WORLD_SIZE", "2");
    let started_at = Instant::now();
    let mut running = RunningCommand::spawn(&mut command);
    // The ledger ends before the wait starts.
    wait_for(|| {
        let ledgers = fs::read_dir(sandbox.path("out/sootprint")).ok()?;
        let has_end = |path: &Path| fs::read_to_string(path).is_ok_and(|it| it.contains(r#""entry":"end""#));
        ledgers.flatten().any(|entry| has_end(&entry.path())).then_some(())
    });
    while running.child.try_wait().unwrap().is_none() {
        // A signal that arrives within half a second of the command's end has no effect.
        kill_process(Pid::from_child(&running.child), Signal::INT).unwrap();
        thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(running.wait_for_exit().code(), Some(0));
    assert!(started_at.elapsed() < Duration::from_secs(40), "{:?}", started_at.elapsed());
    let report = sandbox.report_json(&[]);
    assert_eq!((&report["run"]["ranks"], &report["run"]["ranks_expected"]), (&1.into(), &2.into()));
    assert_eq!(report["run"]["outcome"], "completed");
}

#[test]
fn process_that_outlives_command_is_reported() {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&["--out", "out"], "sleep 600 >/dev/null 2>&1 & echo $! >pid");
    let pid = fs::read_to_string(sandbox.path("pid")).unwrap();
    let pid = pid.trim();
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), Signal::KILL).unwrap();
    let message = format!(
        "sootprint: 1 process of the command is still running after its end, and no longer measured: {pid} (sleep)\n"
    );
    assert!(stderr(&output).contains(&message), "{}", stderr(&output));
    let note = "1 process of the command is still running after its end: the energy used from then on is not counted";
    let report = sandbox.report_json(&[]);
    assert!(report["notes"].as_array().unwrap().iter().any(|it| it == note), "{report}");
}
