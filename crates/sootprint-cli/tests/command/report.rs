//! Reports of finished, killed and running runs.

use std::fs;
use std::io::Write as _;

use crate::room::{Room, status, stderr};

#[test]
fn a_report_takes_the_newest_run_the_named_one_or_all() {
    let room = Room::new();
    room.run(&["--out", "out", "--pre-training"], "exit 0");
    let first = room.report(&[])["run"]["id"].as_str().unwrap().to_owned();
    room.run(&["--out", "out"], "exit 1");

    let newest = room.report(&[]);
    assert_eq!(newest["run"]["outcome"], "failed");
    let named = room.report(&["--run", &first]);
    assert_eq!((&named["run"]["id"], &named["run"]["outcome"]), (&first.clone().into(), &"completed".into()));
    assert_eq!(room.report(&["--all"]), serde_json::json!([newest, named]));

    let output = room.output(&["report", "out", "--all"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&first)
            && text.contains("completed, pre-training")
            && text.contains("failed, not labelled")
    );

    let output = room.output(&["report", "out", "--run", "another"]);
    assert_eq!(status(&output), Some(1));
    assert!(stderr(&output).starts_with("sootprint: out has no run another; it has "), "{}", stderr(&output));
    assert!(stderr(&output).contains(&first));
}

#[test]
fn a_report_writes_nothing() {
    let room = Room::new();
    room.run(&["--out", "out"], "exit 0");
    fs::remove_file(room.path("out/footprint.json")).unwrap();
    room.report(&[]);
    room.report(&["--all"]);
    let names: Vec<_> =
        fs::read_dir(room.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["sootprint"]);
}

#[test]
fn a_folder_without_a_record_is_named() {
    let room = Room::new();
    fs::create_dir_all(room.path("empty/sootprint")).unwrap();
    for dir in ["nowhere", "empty"] {
        let output = room.output(&["report", dir, "--json"]);
        assert_eq!((status(&output), output.stdout.is_empty()), (Some(1), true));
        assert!(
            stderr(&output).starts_with(&format!("sootprint: no run was recorded in {dir}; ")),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_damaged_ledger_hides_none_of_the_others() {
    let room = Room::new();
    room.run(&["--out", "out"], "exit 0");
    let whole = room.report(&[]);
    fs::write(room.path("out/sootprint/00002-damaged.jsonl"), "{\n").unwrap();
    let output = room.output(&["report", "out", "--all", "--json"]);
    assert_eq!(status(&output), Some(1));
    assert_eq!(
        serde_json::from_slice::<serde_json::Value>(&output.stdout).unwrap(),
        serde_json::json!([whole])
    );
    assert!(
        stderr(&output).contains("00002-damaged.jsonl") && stderr(&output).contains("1 of 2"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn a_run_is_running_until_it_is_killed_and_its_command_lives_on() {
    let room = Room::new();
    let mut started = room.started("echo started; read -r word; echo $word");
    assert_eq!(room.report(&[])["run"]["outcome"], "running");
    assert!(!room.path("out/footprint.json").exists());

    started.child.kill().unwrap();
    started.ended();
    let killed = room.report(&[]);
    assert_eq!(killed["run"]["outcome"], "killed");
    let output = room.output(&["report", "out"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("killed"));

    started.child.stdin.as_mut().unwrap().write_all(b"alive\n").unwrap();
    assert_eq!(started.line(), "alive\n");
}
