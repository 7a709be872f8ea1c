//! The exit status is the command's own, or the reason why it did not run.

use std::fs;
use std::process::Stdio;

use crate::sandbox::{TestSandbox, status, stderr};

#[test]
fn exit_status_is_forwarded() {
    let sandbox = TestSandbox::new();
    for (script, expected, outcome) in [
        ("exit 0", 0, "completed"),
        ("exit 3", 3, "failed"),
        ("exit 255", 255, "failed"),
        ("kill -TERM $$", 143, "interrupted"),
        ("kill -KILL $$", 137, "failed"),
    ] {
        let output = sandbox.run(&["--out", "out"], script);
        assert_eq!(status(&output), Some(expected), "{script}: {}", stderr(&output));
        assert_eq!(sandbox.report_json(&[])["run"]["outcome"], outcome, "{script}");
    }
}

#[test]
fn missing_and_unexecutable_commands_differ() {
    let sandbox = TestSandbox::new();
    fs::write(sandbox.path("data.csv"), "1,2\n").unwrap();
    for (program, expected, next_step) in [
        ("./no-such-program", 127, "PATH"),
        ("no-such-program", 127, "PATH"),
        ("./data.csv", 126, "executable"),
    ] {
        let output = sandbox.output(&["run", "--out", "out", "--", program]);
        assert_eq!(status(&output), Some(expected));
        let message = stderr(&output);
        assert!(
            message.starts_with(&format!("sootprint: cannot run {program}: ")) && message.contains(next_step),
            "{message}"
        );
        let footprint = sandbox.report_json(&[]);
        assert_eq!(footprint["run"]["outcome"], "failed");
        assert!(footprint["notes"].to_string().contains(next_step), "{footprint}");
    }
}

#[test]
fn card_and_push_require_training_type() {
    let sandbox = TestSandbox::new();
    for option in [["--push", "me/digits"], ["--card", "README.md"]] {
        let output = sandbox.run(&[&["--out", "out"], &option[..]].concat(), "touch ran");
        assert_eq!(status(&output), Some(2));
        assert!(stderr(&output).contains("--pre-training"), "{}", stderr(&output));
        assert!(!sandbox.path("ran").exists() && !sandbox.path("out").exists());
    }
}

#[test]
fn setup_failure_prevents_command_start() {
    let sandbox = TestSandbox::new();
    fs::write(sandbox.path("file"), "").unwrap();
    let output = sandbox.run(&["--out", "file/out"], "touch ran");
    assert_eq!(status(&output), Some(125));
    assert!(stderr(&output).contains("file/out/sootprint"), "{}", stderr(&output));

    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "touch", "ran"]);
    let output = command.env("SOOTPRINT_PLACE", "Atlantis").output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(stderr(&output).contains("SOOTPRINT_PLACE"), "{}", stderr(&output));
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn closed_stderr_keeps_exit_status() {
    let sandbox = TestSandbox::new();
    let mut command =
        sandbox.sootprint_command(&["run", "--out", "out", "--pre-training", "--card", "no/README.md"]);
    let mut child = command.args(["--", "sh", "-c", "exit 0"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
}

#[test]
fn sootprint_off_runs_without_recording() {
    let sandbox = TestSandbox::new();
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "exit 3"]);
    let output = command.env("SOOTPRINT", "off").output().unwrap();
    assert_eq!(status(&output), Some(3));
    assert!(stderr(&output).contains("SOOTPRINT=off"), "{}", stderr(&output));
    assert!(!sandbox.path("out").exists());
}
