//! The exit status is the command's own, or says why there is none.

use std::fs;
use std::process::Stdio;

use crate::room::{Room, status, stderr};

#[test]
fn it_is_the_command_s() {
    let room = Room::new();
    for (script, expected, outcome) in [
        ("exit 0", 0, "completed"),
        ("exit 3", 3, "failed"),
        ("exit 255", 255, "failed"),
        ("kill -TERM $$", 143, "interrupted"),
        ("kill -KILL $$", 137, "failed"),
    ] {
        let output = room.run(&["--out", "out"], script);
        assert_eq!(status(&output), Some(expected), "{script}: {}", stderr(&output));
        assert_eq!(room.report(&[])["run"]["outcome"], outcome, "{script}");
    }
}

#[test]
fn a_command_that_cannot_run_is_told_from_one_that_is_not_there() {
    let room = Room::new();
    fs::write(room.path("data.csv"), "1,2\n").unwrap();
    for (program, expected, next_step) in [
        ("./no-such-program", 127, "PATH"),
        ("no-such-program", 127, "PATH"),
        ("./data.csv", 126, "executable"),
    ] {
        let output = room.output(&["run", "--out", "out", "--", program]);
        assert_eq!(status(&output), Some(expected));
        let said = stderr(&output);
        assert!(
            said.starts_with(&format!("sootprint: cannot run {program}: ")) && said.contains(next_step),
            "{said}"
        );
        let footprint = room.report(&[]);
        assert_eq!(footprint["run"]["outcome"], "failed");
        assert!(footprint["notes"].to_string().contains(next_step), "{footprint}");
    }
}

#[test]
fn a_card_or_a_publication_without_a_label_is_refused_before_anything_starts() {
    let room = Room::new();
    for option in [["--push", "me/digits"], ["--card", "README.md"]] {
        let output = room.run(&[&["--out", "out"], &option[..]].concat(), "touch ran");
        assert_eq!(status(&output), Some(2));
        assert!(stderr(&output).contains("--pre-training"), "{}", stderr(&output));
        assert!(!room.path("ran").exists() && !room.path("out").exists());
    }
}

#[test]
fn what_keeps_sootprint_from_measuring_keeps_the_command_from_starting() {
    let room = Room::new();
    fs::write(room.path("file"), "").unwrap();
    let output = room.run(&["--out", "file/out"], "touch ran");
    assert_eq!(status(&output), Some(125));
    assert!(stderr(&output).contains("file/out/sootprint"), "{}", stderr(&output));

    let mut command = room.sootprint(&["run", "--out", "out", "--", "touch", "ran"]);
    let output = command.env("SOOTPRINT_PLACE", "Atlantis").output().unwrap();
    assert_eq!(status(&output), Some(125));
    assert!(stderr(&output).contains("SOOTPRINT_PLACE"), "{}", stderr(&output));
    assert!(!room.path("ran").exists());
}

#[test]
fn a_stderr_that_nobody_reads_does_not_change_it() {
    let room = Room::new();
    let mut command = room.sootprint(&["run", "--out", "out", "--pre-training", "--card", "no/README.md"]);
    let mut child = command.args(["--", "sh", "-c", "exit 0"]).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stderr.take());
    assert_eq!(child.wait().unwrap().code(), Some(0));
    assert_eq!(room.report(&[])["run"]["outcome"], "completed");
}

#[test]
fn when_it_is_switched_off_the_command_runs_and_nothing_is_written() {
    let room = Room::new();
    let mut command = room.sootprint(&["run", "--out", "out", "--", "sh", "-c", "exit 3"]);
    let output = command.env("SOOTPRINT", "off").output().unwrap();
    assert_eq!(status(&output), Some(3));
    assert!(stderr(&output).contains("SOOTPRINT=off"), "{}", stderr(&output));
    assert!(!room.path("out").exists());
}
