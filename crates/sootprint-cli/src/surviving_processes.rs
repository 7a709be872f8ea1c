//! Processes of the command that are still running after its end.

use std::fs;
use std::io;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

/// The environment variable that marks the processes of one command. They inherit it even if they become daemons.
const MARKER_VAR: &str = "SOOTPRINT_COMMAND_ID";

/// Workers of a training may take a moment to exit after it.
const EXIT_TIME: Duration = Duration::from_millis(500);
const POLL_INTERVAL: Duration = Duration::from_millis(25);

/// Recognises the processes of one command.
pub(crate) struct ProcessMarker(String);

/// A process of the command.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SurvivingProcess {
    pub(crate) pid: u32,
    /// The name of its program, of at most 15 bytes.
    pub(crate) name: String,
}

impl ProcessMarker {
    /// Marks the command, which has not been started yet.
    pub(crate) fn mark(command: &mut Command) -> Self {
        let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let id = format!("{}-{}", std::process::id(), time.as_nanos());
        command.env(MARKER_VAR, &id);
        Self(format!("{MARKER_VAR}={id}"))
    }

    /// Returns the processes that are still running half a second after this call. Empty outside Linux, and for processes
    /// that cleared their environment or belong to another user.
    pub(crate) fn surviving_processes(&self) -> Vec<SurvivingProcess> {
        let deadline = Instant::now() + EXIT_TIME;
        loop {
            let found = self.running_processes().unwrap_or_default();
            if found.is_empty() || Instant::now() >= deadline {
                return found;
            }
            thread::sleep(POLL_INTERVAL);
        }
    }

    fn running_processes(&self) -> io::Result<Vec<SurvivingProcess>> {
        let mut found = Vec::new();
        for entry in fs::read_dir("/proc")? {
            let entry = entry?;
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
            // Processes of other users are unreadable, and those that have ended have no environment.
            let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
            if environment.split(|byte| *byte == 0).any(|variable| variable == self.0.as_bytes()) {
                let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
                found.push(SurvivingProcess { pid, name: name.trim_end().to_owned() });
            }
        }
        Ok(found)
    }
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::process::Stdio;

    use super::*;

    #[test]
    fn only_processes_of_the_same_command_are_found() {
        let start = || {
            let mut command = Command::new("sleep");
            let marker = ProcessMarker::mark(command.arg("600").stdin(Stdio::null()));
            (command.spawn().unwrap(), marker)
        };
        let ((mut first, marker), (mut second, _)) = (start(), start());
        // The environment is that of this test until the new program has been loaded.
        let found = loop {
            match marker.running_processes().unwrap() {
                found if found.is_empty() => {}
                found => break found,
            }
        };
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].pid, first.id());
        first.kill().unwrap();
        first.wait().unwrap();
        assert_eq!(marker.surviving_processes(), []);
        second.kill().unwrap();
        second.wait().unwrap();
    }
}
