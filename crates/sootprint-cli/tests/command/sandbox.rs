//! A temporary folder per test with a scripted machine that draws 100 W, and waits with a timeout.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// Constant power of the scripted machine.
pub(crate) const WATTS: f64 = 100.0;

/// No event of these tests takes a second, but a busy machine may be much slower.
const TIMEOUT: Duration = Duration::from_secs(60);

pub(crate) struct TestSandbox {
    dir: TempDir,
}

impl TestSandbox {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let script = format!(
            r#"{{"components": [{{"kind": "cpu", "name": "Scripted", "watts": [[1.0, {WATTS:?}]]}}]}}"#
        );
        fs::write(dir.path().join("script.json"), script).unwrap();
        Self { dir }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// sootprint in this folder, with an empty environment except for the search path.
    pub(crate) fn sootprint_command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sootprint"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // The test machine's time zone must not determine the place.
            .env("TZ", "UTC")
            .env("HOME", self.dir.path())
            .env("SOOTPRINT_REPLAY", self.path("script.json"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.sootprint_command(arguments);
        with_timeout("the command's end", move || command.output().unwrap())
    }

    /// Measures a shell script.
    pub(crate) fn run(&self, options: &[&str], script: &str) -> Output {
        self.output(&[&["run"], options, &["--", "sh", "-c", script]].concat())
    }

    /// The JSON report of the folder `out`.
    pub(crate) fn report_json(&self, options: &[&str]) -> Value {
        let output = self.output(&[&["report", "out", "--json"], options].concat());
        assert_eq!(status(&output), Some(0), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts measuring a shell script, and waits for the line `started` that it prints first.
    pub(crate) fn start_script(&self, script: &str) -> RunningCommand {
        self.start(self.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", script]))
    }

    pub(crate) fn start(&self, mut command: Command) -> RunningCommand {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut running = RunningCommand::spawn(&mut command);
        assert_eq!(running.read_line(), "started\n");
        running
    }
}

/// sootprint while its command runs.
pub(crate) struct RunningCommand {
    pub(crate) child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl RunningCommand {
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().map(BufReader::new);
        Self { child, stdout }
    }

    /// The next line that the command prints.
    pub(crate) fn read_line(&mut self) -> String {
        let mut stdout = self.stdout.take().unwrap();
        let (line, stdout) = with_timeout("a line of the command", move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (line, stdout)
        });
        self.stdout = Some(stdout);
        line
    }

    /// Waits for sootprint's exit status. The command's stdin stays open.
    pub(crate) fn wait_for_exit(&mut self) -> ExitStatus {
        let pid = self.child.id();
        let deadline = std::time::Instant::now() + TIMEOUT;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < deadline, "sootprint ({pid}) did not exit");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// Returns the result of `action`; panics after the timeout.
pub(crate) fn with_timeout<T: Send + 'static>(event: &str, action: impl FnOnce() -> T + Send + 'static) -> T {
    let (done_tx, done_rx) = mpsc::channel();
    thread::spawn(move || done_tx.send(action()));
    done_rx.recv_timeout(TIMEOUT).unwrap_or_else(|_| panic!("timeout waiting for {event}"))
}

pub(crate) fn status(output: &Output) -> Option<i32> {
    output.status.code()
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}
