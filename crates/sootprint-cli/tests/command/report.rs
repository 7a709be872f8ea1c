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

#[test]
fn a_command_that_is_resumed_is_one_run_and_verify_finds_what_was_changed() {
    let room = Room::new();
    room.run(&["--out", "out", "--pre-training"], "kill -9 $PPID; sleep 0.2");
    let killed = room.report(&[]);
    assert_eq!(killed["run"]["outcome"], "killed");
    let output = room.run(&["--out", "out", "--pre-training", "--resume", "--card", "out/README.md"], "true");
    assert!(output.status.success(), "{}", stderr(&output));
    let resumed = room.report(&[]);
    assert_eq!((&resumed["run"]["id"], &resumed["run"]["attempts"]), (&killed["run"]["id"], &2.into()));

    let output = room.output(&["verify", "out"]);
    assert!(output.status.success(), "{} {}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    for (file, from, to, difference) in [
        ("out/footprint.json", "\"attempts\": 2", "\"attempts\": 1", "run.attempts is 1, the ledgers say 2"),
        (
            "out/README.md",
            "pre-training",
            "fine-tuning",
            "training_type is fine-tuning, the ledgers say pre-training",
        ),
    ] {
        let path = room.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let output = room.output(&["verify", "out"]);
        assert_eq!(output.status.code(), Some(1));
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(difference),
            "{}",
            String::from_utf8_lossy(&output.stdout)
        );
        fs::write(&path, text).unwrap();
    }
}

#[test]
fn two_commands_do_not_record_into_one_folder_at_once() {
    let room = Room::new();
    let mut first = room.started("echo started; read -r word");
    let second = room.run(&["--out", "out"], "true");
    assert_eq!(second.status.code(), Some(125));
    assert!(stderr(&second).contains("a run is still being recorded in out"), "{}", stderr(&second));
    first.child.kill().unwrap();
    first.ended();
}
