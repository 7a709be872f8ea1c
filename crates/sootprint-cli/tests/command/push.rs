//! Publishing a folder by hand.

use std::fs;

use fake_hub::{FakeHub, Fault, Misbehaviour};

use crate::room::{Room, bounded, status, stderr};

/// A room with a finished run and weights in `out`.
fn trained() -> Room {
    let room = Room::new();
    let script = r#"printf weights > "$SOOTPRINT_RUN_DIR/model.safetensors""#;
    let output = room.run(&["--pre-training", "--out", "out"], script);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    room
}

fn push(room: &Room, hub: &FakeHub, arguments: &[&str]) -> std::process::Output {
    let mut command = room.sootprint(&[&["push", "out", "me/digits"], arguments].concat());
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", hub.token()).env("HF_HOME", room.path("home"));
    bounded("the publication", move || command.output().unwrap())
}

#[test]
fn a_folder_is_published_once() {
    let (room, hub) = (trained(), FakeHub::start().unwrap());
    let output = push(&room, &hub, &["--private"]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let head = hub.head("me/digits").unwrap();
    let said = format!("sootprint: published at {}/me/digits in commit {head}\n", hub.endpoint());
    assert_eq!(stderr(&output), said);
    assert_eq!(hub.read("me/digits", "main", "model.safetensors").unwrap(), b"weights");
    let card = String::from_utf8(hub.read("me/digits", "main", "README.md").unwrap()).unwrap();
    assert!(card.contains("co2_eq_emissions:"), "{card}");

    let output = push(&room, &hub, &[]);
    assert!(stderr(&output).contains("everything was at"), "{}", stderr(&output));
    assert_eq!(hub.head("me/digits").unwrap(), head);
}

#[test]
fn a_dry_run_lists_the_files_and_sends_nothing() {
    let (room, hub) = (trained(), FakeHub::start().unwrap());
    fs::write(room.path("out/train.log"), "").unwrap();
    let output = push(&room, &hub, &["--dry-run", "--revision", "next"]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let said = String::from_utf8(output.stdout).unwrap();
    assert!(said.starts_with("me/digits, branch next: Publish weights and footprint ("), "{said}");
    assert!(said.contains("\n  README.md\n  footprint.json\n  model.safetensors\n"), "{said}");
    assert!(said.ends_with("not published: train.log\n"), "{said}");
    assert!(hub.head("me/digits").is_err());
}

#[test]
fn a_refusal_says_what_to_do_and_that_it_is_staged() {
    let (room, hub) = (trained(), FakeHub::start().unwrap());
    hub.add_fault(Fault::at("/preupload/", Misbehaviour::status(403)));
    let output = push(&room, &hub, &[]);
    assert_eq!(status(&output), Some(1));
    let said = stderr(&output);
    assert!(
        said.contains("the token may not write to me/digits") && said.contains("hf auth login"),
        "{said}"
    );
    assert!(said.contains("it is staged; publish it with `sootprint push out me/digits`"), "{said}");
    assert!(!said.contains(hub.token()), "{said}");
    assert_eq!(status(&push(&room, &hub, &[])), Some(0));
}

#[test]
fn a_pull_request_is_named() {
    let (room, hub) = (trained(), FakeHub::start().unwrap());
    let output = push(&room, &hub, &["--pr", "--card-alone"]);
    let said = stderr(&output);
    assert!(said.contains(&format!("proposed at {}/me/digits/discussions/1", hub.endpoint())), "{said}");
}

#[test]
fn the_storage_s_client_is_told_and_the_measured_command_is_not() {
    let (room, hub) = (Room::new(), FakeHub::start().unwrap());
    let script = r#"env > "$SOOTPRINT_RUN_DIR/env"; printf weights > "$SOOTPRINT_RUN_DIR/model.safetensors""#;
    let arguments =
        ["run", "--pre-training", "--out", "out", "--push", "me/digits", "--", "sh", "-c", script];
    let mut command = room.sootprint(&arguments);
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", hub.token()).env("HF_HOME", room.path("home"));
    command.env("HF_XET_CLIENT_READ_TIMEOUT", "7s");
    let output = bounded("the run", move || command.output().unwrap());
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("published at"), "{}", stderr(&output));
    let seen = fs::read_to_string(room.path("out/env")).unwrap();
    assert!(seen.contains("HF_XET_CLIENT_READ_TIMEOUT=7s"), "{seen}");
    assert!(
        !seen.contains("TELEMETRY") && !seen.contains("RETRY") && !seen.contains("SET_VARIABLES"),
        "{seen}"
    );
}
