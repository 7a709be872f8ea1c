//! A folder of its own for each test, in which the machine draws 100 W, and waiting that ends.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

/// What the scripted machine draws, all the time.
pub(crate) const WATTS: f64 = 100.0;

/// No event of these tests takes a second; a machine that is busy with other things may take its time.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct Room {
    dir: TempDir,
}

impl Room {
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

    /// sootprint in this room, with nothing of the tester's environment but the search path.
    pub(crate) fn sootprint(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sootprint"));
        command
            .args(arguments)
            .current_dir(self.dir.path())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            // Whose machine this is says nothing of where it is.
            .env("TZ", "UTC")
            .env("HOME", self.dir.path())
            .env("SOOTPRINT_REPLAY", self.path("script.json"))
            .stdin(Stdio::null());
        command
    }

    pub(crate) fn output(&self, arguments: &[&str]) -> Output {
        let mut command = self.sootprint(arguments);
        bounded("the command's end", move || command.output().unwrap())
    }

    /// Measures a script of the shell.
    pub(crate) fn run(&self, options: &[&str], script: &str) -> Output {
        self.output(&[&["run"], options, &["--", "sh", "-c", script]].concat())
    }

    /// What `report` says of the folder `out`, as JSON.
    pub(crate) fn report(&self, options: &[&str]) -> Value {
        let output = self.output(&[&["report", "out", "--json"], options].concat());
        assert_eq!(status(&output), Some(0), "{}", stderr(&output));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    /// Starts measuring a script of the shell that first says `started`, and waits until it has.
    pub(crate) fn started(&self, script: &str) -> Started {
        self.started_by(self.sootprint(&["run", "--out", "out", "--", "sh", "-c", script]))
    }

    pub(crate) fn started_by(&self, mut command: Command) -> Started {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdout = child.stdout.take().unwrap();
        let mut started = Started { child, stdout: Some(BufReader::new(stdout)) };
        assert_eq!(started.line(), "started\n");
        started
    }
}

/// sootprint while its command runs.
pub(crate) struct Started {
    pub(crate) child: Child,
    stdout: Option<BufReader<ChildStdout>>,
}

impl Started {
    /// The next line that the command prints.
    pub(crate) fn line(&mut self) -> String {
        let mut stdout = self.stdout.take().unwrap();
        let (line, stdout) = bounded("a line of the command", move || {
            let mut line = String::new();
            stdout.read_line(&mut line).unwrap();
            (line, stdout)
        });
        self.stdout = Some(stdout);
        line
    }

    /// sootprint's exit status. The command's input stays open.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let pid = self.child.id();
        let patience = std::time::Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            assert!(std::time::Instant::now() < patience, "sootprint ({pid}) does not end");
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What `act` gives; a failure when it takes longer than anything here may take.
pub(crate) fn bounded<T: Send + 'static>(event: &str, act: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    thread::spawn(move || tell.send(act()));
    told.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("{event} does not come"))
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
