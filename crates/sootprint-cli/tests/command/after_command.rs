//! Card and push after the command: only for a successful command, and without changing the exit status.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::sandbox::{TestSandbox, status, stderr, with_timeout};

const CARD_OPTIONS: [&str; 5] = ["--pre-training", "--out", "out", "--card", "README.md"];

#[test]
fn successful_command_gets_card() {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&CARD_OPTIONS, "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let card = fs::read_to_string(sandbox.path("README.md")).unwrap();
    assert!(
        card.contains("co2_eq_emissions:") && card.contains(r#"training_type: "pre-training""#),
        "{card}"
    );
}

#[test]
fn fine_tuning_card_names_base_model() {
    let sandbox = TestSandbox::new();
    let options =
        ["--fine-tuning", "me/base", "--relation", "adapter", "--out", "out", "--card", "README.md"];
    let output = sandbox.run(&options, "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let card = fs::read_to_string(sandbox.path("README.md")).unwrap();
    assert!(card.contains("base_model: \"me/base\"\nbase_model_relation: \"adapter\"\n"), "{card}");
    for wrong in [["--relation", "adapter", "--pre-training"], ["--base-card", "--fine-tuning", "me/base"]] {
        assert_eq!(status(&sandbox.run(&wrong, "touch ran")), Some(2), "{wrong:?}");
    }
    assert!(!sandbox.path("ran").exists());
}

#[test]
fn failed_command_leaves_card_untouched() {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&CARD_OPTIONS, "exit 3");
    assert_eq!(status(&output), Some(3));
    assert!(stderr(&output).contains("card not written"), "{}", stderr(&output));
    assert!(!sandbox.path("README.md").exists());
}

#[test]
fn unwritable_card_is_reported() {
    let sandbox = TestSandbox::new();
    fs::write(sandbox.path("README.md"), "---\na: 1\na: 2\n---\n").unwrap();
    let output = sandbox.run(&CARD_OPTIONS, "exit 0");
    assert_eq!(status(&output), Some(0));
    assert!(
        stderr(&output).contains("sootprint: card not written: README.md: line 3"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn failed_push_suggests_next_step() {
    let sandbox = TestSandbox::new();
    // A port without a listener: it was free a moment ago.
    let endpoint = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let mut command = push_command(&sandbox, &endpoint);
    let output = with_timeout("the failure", move || command.output().unwrap());
    assert_eq!(status(&output), Some(0));
    let message = stderr(&output);
    assert!(
        message.contains("sootprint: nothing pushed: no answer from the Hub at http://127.0.0.1"),
        "{message}"
    );
    assert!(message.contains("HF_ENDPOINT"), "{message}");
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
}

#[test]
fn signal_during_push_keeps_status() {
    let sandbox = TestSandbox::new();
    let hub = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = push_command(&sandbox, &format!("http://{}", hub.local_addr().unwrap()));
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // The server accepts the request and never responds.
    let connection = with_timeout("the push", move || {
        let (mut connection, _) = hub.accept().unwrap();
        assert!(connection.read(&mut [0; 1]).unwrap() > 0);
        connection
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let exit_status = with_timeout("the end", move || child.wait().unwrap());
    assert_eq!(exit_status.code(), Some(0));
    drop(connection);
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "completed");
}

/// A run that saves weights and pushes them to the endpoint.
fn push_command(sandbox: &TestSandbox, endpoint: &str) -> Command {
    let script = r#"printf weights > "$SOOTPRINT_RUN_DIR/model.bpk""#;
    let arguments =
        ["run", "--pre-training", "--out", "out", "--push", "me/digits", "--", "sh", "-c", script];
    let mut command = sandbox.sootprint_command(&arguments);
    command.env("HF_ENDPOINT", endpoint).env("HF_TOKEN", "hf_token").env("HF_HOME", sandbox.path("home"));
    command
}
