//! A training that uses sootprint itself, inside the command: two real processes, one meter.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sootprint::{Footprint, Run};

use crate::room::{Room, Started, WATTS, bounded, status, stderr};

/// Two epochs, and in the second a word on the descriptor 3 and one from the standard input. This program is started
/// again for it, by the command that is measured.
#[test]
#[ignore = "a part of the other tests, in a process of its own"]
fn the_training() {
    let run = Run::fine_tuning("training", "me/base").start();
    println!("attached: {}", run.is_attached());
    for epoch in run.epochs(1..=2) {
        let _phase = run.phase("forward");
        run.samples(10);
        std::thread::sleep(Duration::from_millis(20));
        if epoch == 2 {
            // Whoever is killed now has said all of this.
            assert!(run.handle().settle(Duration::from_secs(60)));
            let told = format!("started\n{}\n", std::process::id());
            OpenOptions::new().write(true).open("/dev/fd/3").unwrap().write_all(told.as_bytes()).unwrap();
            let _ = std::io::stdin().read_line(&mut String::new());
        }
    }
    let _ = run.finish();
}

/// A line of the shell that runs the training. What the tests' harness prints is nobody's business.
const TRAINING: &str = r#""$TRAINING" --ignored --exact attach::the_training --nocapture >training.txt"#;

fn measured(room: &Room, script: &str) -> Command {
    let script = format!("exec 3>&1; {script}");
    let mut command = room.sootprint(&["run", "--out", "out", "--", "sh", "-c", &script]);
    command.env("TRAINING", std::env::current_exe().unwrap());
    command
}

/// Ends the standard input, and with it what waits for a word.
fn let_go(started: &mut Started) {
    drop(started.child.stdin.take());
    assert!(started.ended().success());
}

/// Number and completeness of each epoch.
fn epochs(footprint: &Value) -> Vec<(u64, bool)> {
    let epochs = footprint["epochs"].as_array().unwrap();
    epochs.iter().map(|it| (it["epoch"].as_u64().unwrap(), it["completed"].as_bool().unwrap())).collect()
}

/// Every joule of the scripted machine is there once, over the whole and over each epoch.
fn is_counted_once(footprint: &Value) {
    let near = |of: &Value, joules: &str| {
        let (joules, seconds) = (of[joules].as_f64().unwrap(), of["duration_s"].as_f64().unwrap());
        (joules - WATTS * seconds).abs() <= 1e-6 * joules.max(1.0)
    };
    let total = footprint["energy"]["total_j"].as_f64().unwrap();
    let seconds = footprint["run"]["duration_s"].as_f64().unwrap();
    assert!((total - WATTS * seconds).abs() <= 1e-6 * total.max(1.0), "{total} J in {seconds} s");
    let epochs = footprint["epochs"].as_array().unwrap();
    assert!(epochs.iter().all(|epoch| near(epoch, "energy_j")), "{epochs:?}");
}

#[test]
fn the_epochs_of_a_training_inside_are_the_command_s_and_its_energy_is_counted_once() {
    let room = Room::new();
    let mut started = room.started_by(measured(&room, TRAINING));
    let_go(&mut started);
    assert!(std::fs::read_to_string(room.path("training.txt")).unwrap().contains("attached: true"));

    let outer = room.report(&[]);
    assert_eq!(epochs(&outer), [(1, true), (2, true)]);
    assert_eq!((&outer["run"]["outcome"], &outer["run"]["samples"]), (&"completed".into(), &20.into()));
    assert_eq!(outer["run"]["training_type"], "fine-tuning");
    assert_eq!(outer["phases"][0]["name"], "forward");
    is_counted_once(&outer);

    let inner = Footprint::read(&room.path("training/footprint.json")).unwrap();
    let inner = serde_json::to_value(&inner).unwrap();
    assert_eq!(epochs(&inner), [(1, true), (2, true)]);
    is_counted_once(&inner);
    assert!(inner["energy"]["total_j"].as_f64() <= outer["energy"]["total_j"].as_f64());
    assert!(!room.path("training/sootprint").exists(), "it keeps no record of its own");
}

#[test]
fn a_training_that_is_killed_leaves_its_epoch_incomplete() {
    let room = Room::new();
    let mut started = room.started_by(measured(&room, &format!("{TRAINING}; exit 0")));
    let pid = started.line().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert!(started.ended().success());
    let footprint = room.report(&[]);
    assert_eq!(epochs(&footprint), [(1, true), (2, false)]);
    is_counted_once(&footprint);
}

#[test]
fn of_the_ranks_inside_one_command_the_first_one_speaks_of_epochs() {
    let room = Room::new();
    // The second one comes to its end whenever it likes.
    let ranks = format!(
        "export SOOTPRINT_WORLD_SIZE=2; (export SOOTPRINT_RANK=1; {TRAINING}) 3>/dev/null </dev/null & \
         SOOTPRINT_RANK=0 {TRAINING}; wait"
    );
    let mut started = room.started_by(measured(&room, &ranks));
    let_go(&mut started);
    let footprint = room.report(&[]);
    assert_eq!(epochs(&footprint), [(1, true), (2, true)]);
    is_counted_once(&footprint);
}

#[test]
fn a_command_inside_a_command_leaves_the_training_to_the_outer_one() {
    let room = Room::new();
    let nested = format!(r#""$SOOTPRINT" run --out inner -- sh -c '{TRAINING}'"#);
    let mut command = measured(&room, &nested);
    command.env("SOOTPRINT", env!("CARGO_BIN_EXE_sootprint"));
    let mut started = room.started_by(command);
    let_go(&mut started);
    let outer = room.report(&[]);
    assert_eq!(epochs(&outer), [(1, true), (2, true)]);
    is_counted_once(&outer);
    assert!(!room.path("inner/sootprint").exists(), "the record is the outer command's");
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_may_be_told_to_end_with_sootprint() {
    let room = Room::new();
    let script = "echo started; read -r word; echo alive";
    let words = ["run", "--die-with-me", "--out", "out", "--", "sh", "-c", script];
    let mut started = room.started_by(room.sootprint(&words));
    kill_process(Pid::from_child(&started.child), Signal::KILL).unwrap();
    // Its output ends with it, and it has said nothing more.
    assert_eq!(started.line(), "");
    assert!(!started.ended().success());
}

#[cfg(target_os = "linux")]
#[test]
fn a_command_that_would_end_with_sootprint_has_its_own_exit_status() {
    let room = Room::new();
    for (words, expected) in [(&["sh", "-c", "exit 7"][..], 7), (&["no-such-command"][..], 127)] {
        let mut command = room.sootprint(&[&["run", "--die-with-me", "--out", "out", "--"], words].concat());
        let output = bounded("the command's end", move || command.output().unwrap());
        assert_eq!(status(&output), Some(expected), "{}", stderr(&output));
    }
}
