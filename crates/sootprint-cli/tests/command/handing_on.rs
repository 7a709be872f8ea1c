//! Card and publication after the command: done for what succeeded, and never at the cost of the exit status.

use std::fs;
use std::io::Read as _;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use crate::room::{Room, bounded, status, stderr};

const CARD: [&str; 5] = ["--pre-training", "--out", "out", "--card", "README.md"];

#[test]
fn a_card_is_made_for_a_command_that_succeeded() {
    let room = Room::new();
    let output = room.run(&CARD, "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let card = fs::read_to_string(room.path("README.md")).unwrap();
    assert!(
        card.contains("co2_eq_emissions:") && card.contains(r#"training_type: "pre-training""#),
        "{card}"
    );
}

#[test]
fn a_fine_tuning_names_its_base_and_how_it_came_from_it() {
    let room = Room::new();
    let options =
        ["--fine-tuning", "me/base", "--relation", "adapter", "--out", "out", "--card", "README.md"];
    let output = room.run(&options, "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let card = fs::read_to_string(room.path("README.md")).unwrap();
    assert!(card.contains("base_model: \"me/base\"\nbase_model_relation: \"adapter\"\n"), "{card}");
    for wrong in [["--relation", "adapter", "--pre-training"], ["--base-card", "--fine-tuning", "me/base"]] {
        assert_eq!(status(&room.run(&wrong, "touch ran")), Some(2), "{wrong:?}");
    }
    assert!(!room.path("ran").exists());
}

#[test]
fn a_command_that_failed_leaves_the_card_as_it_is() {
    let room = Room::new();
    let output = room.run(&CARD, "exit 3");
    assert_eq!(status(&output), Some(3));
    assert!(stderr(&output).contains("no card is written"), "{}", stderr(&output));
    assert!(!room.path("README.md").exists());
}

#[test]
fn a_card_that_cannot_be_written_is_named() {
    let room = Room::new();
    fs::write(room.path("README.md"), "---\na: 1\na: 2\n---\n").unwrap();
    let output = room.run(&CARD, "exit 0");
    assert_eq!(status(&output), Some(0));
    assert!(
        stderr(&output).contains("sootprint: the card is not written: README.md: line 3"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_publication_that_fails_is_an_error_with_a_next_step_and_no_more() {
    let room = Room::new();
    // A port where nobody listens: it was free a moment ago.
    let endpoint = format!("http://{}", TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap());
    let mut command = publishing(&room, &endpoint);
    let output = bounded("the failure", move || command.output().unwrap());
    assert_eq!(status(&output), Some(0));
    let said = stderr(&output);
    assert!(
        said.contains("sootprint: nothing is published: no answer from the Hub at http://127.0.0.1"),
        "{said}"
    );
    assert!(said.contains("HF_ENDPOINT"), "{said}");
    assert_eq!(room.report(&[])["run"]["outcome"], "completed");
}

#[test]
fn a_signal_ends_a_publication_with_the_command_s_status() {
    let room = Room::new();
    let hub = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut command = publishing(&room, &format!("http://{}", hub.local_addr().unwrap()));
    let mut child = command.stderr(Stdio::null()).spawn().unwrap();
    // The Hub is asked and never answers.
    let connection = bounded("the publication", move || {
        let (mut connection, _) = hub.accept().unwrap();
        assert!(connection.read(&mut [0; 1]).unwrap() > 0);
        connection
    });
    kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
    let ended = bounded("the end", move || child.wait().unwrap());
    assert_eq!(ended.code(), Some(0));
    drop(connection);
    assert_eq!(room.report(&[])["run"]["outcome"], "completed");
}

/// A run that saves weights and publishes them at the address.
fn publishing(room: &Room, endpoint: &str) -> Command {
    let script = r#"printf weights > "$SOOTPRINT_RUN_DIR/model.safetensors""#;
    let arguments =
        ["run", "--pre-training", "--out", "out", "--push", "me/digits", "--", "sh", "-c", script];
    let mut command = room.sootprint(&arguments);
    command.env("HF_ENDPOINT", endpoint).env("HF_TOKEN", "hf_token").env("HF_HOME", room.path("home"));
    command
}
