//! The keys of sootprint.toml that are the command's: who is asked, and where it is published.

use std::fs;

use fake_hub::FakeHub;

use crate::room::{Room, bounded, status, stderr, stdout};

#[test]
fn the_repository_of_the_settings_is_published_to_where_none_is_named() {
    let (room, hub) = (Room::new(), FakeHub::start().unwrap());
    fs::write(room.path("sootprint.toml"), "repository = \"me/digits\"\nplace = \"France\"\n").unwrap();
    let script = r#"printf weights > "$SOOTPRINT_RUN_DIR/model.safetensors""#;
    let mut command =
        room.sootprint(&["run", "--pre-training", "--out", "out", "--push", "--", "sh", "-c", script]);
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", hub.token()).env("HF_HOME", room.path("home"));
    let output = bounded("the run", move || command.output().unwrap());
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    assert_eq!(hub.read("me/digits", "main", "model.safetensors").unwrap(), b"weights");

    let mut command = room.sootprint(&["push", "out", "--dry-run", "--json"]);
    command.env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", hub.token()).env("HF_HOME", room.path("home"));
    command.env("SOOTPRINT_REPOSITORY", "you/digits");
    let output = bounded("the plan", move || command.output().unwrap());
    let plan: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&plan["repo"], &plan["branch"]), (&"you/digits".into(), &"main".into()), "{plan}");
}

#[test]
fn a_provider_of_the_settings_that_nobody_knows_keeps_the_command_from_starting() {
    let room = Room::new();
    fs::write(room.path("sootprint.toml"), "provider = \"nobody\"\n").unwrap();
    let output = room.run(&["--out", "out"], "touch ran");
    assert_eq!(status(&output), Some(125));
    let said = stderr(&output);
    assert!(said.contains("`provider` in sootprint.toml") && said.contains("electricity-maps"), "{said}");
    assert!(!room.path("ran").exists());
}
