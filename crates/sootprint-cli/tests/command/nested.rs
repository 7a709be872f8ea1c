//! A training that uses the sootprint library inside `sootprint run`: two real processes, one sampler.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use sootprint::{Footprint, Run};

use crate::sandbox::{RunningCommand, TestSandbox, WATTS, status, stderr, with_timeout};

/// Two epochs; the second writes `started` to file descriptor 3 and waits for a line on stdin. The measured command
/// starts this test binary again to run it.
#[test]
#[ignore = "run by the other tests in a separate process"]
fn nested_training() {
    let run = Run::fine_tuning("training", "me/base").start();
    println!("attached: {}", run.is_nested());
    for epoch in run.epochs(1..=2) {
        let _phase = run.phase("forward");
        run.add_samples(10);
        std::thread::sleep(Duration::from_millis(20));
        if epoch == 2 {
            // Flushed, so that a kill from here on loses none of this.
            assert!(run.handle().flush(Duration::from_secs(60)));
            let message = format!("started\n{}\n", std::process::id());
            OpenOptions::new().write(true).open("/dev/fd/3").unwrap().write_all(message.as_bytes()).unwrap();
            let _ = std::io::stdin().read_line(&mut String::new());
        }
    }
    let _ = run.finish();
}

/// A shell line that runs the training, with the output of the test harness in a file.
const TRAINING_COMMAND: &str =
    r#""$TRAINING" --ignored --exact nested::nested_training --nocapture >training.txt"#;

fn measured_command(sandbox: &TestSandbox, script: &str) -> Command {
    let script = format!("exec 3>&1; {script}");
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", &script]);
    command.env("TRAINING", std::env::current_exe().unwrap());
    command
}

/// Closes stdin, which ends the process that waits for a line.
fn close_stdin_and_wait(running: &mut RunningCommand) {
    drop(running.child.stdin.take());
    assert!(running.wait_for_exit().success());
}

/// The number and completeness of each epoch.
fn epoch_completion(footprint: &Value) -> Vec<(u64, bool)> {
    let epochs = footprint["epochs"].as_array().unwrap();
    epochs.iter().map(|it| (it["epoch"].as_u64().unwrap(), it["completed"].as_bool().unwrap())).collect()
}

/// Asserts that each joule of the scripted machine is counted once, in total and per epoch.
fn assert_counted_once(footprint: &Value) {
    let is_near = |section: &Value, joules: &str| {
        let (joules, seconds) = (section[joules].as_f64().unwrap(), section["duration_s"].as_f64().unwrap());
        (joules - WATTS * seconds).abs() <= 1e-6 * joules.max(1.0)
    };
    let total = footprint["energy"]["total_j"].as_f64().unwrap();
    let seconds = footprint["run"]["duration_s"].as_f64().unwrap();
    assert!((total - WATTS * seconds).abs() <= 1e-6 * total.max(1.0), "{total} J in {seconds} s");
    let epochs = footprint["epochs"].as_array().unwrap();
    assert!(epochs.iter().all(|epoch| is_near(epoch, "energy_j")), "{epochs:?}");
}

#[test]
fn nested_training_is_counted_once() {
    let sandbox = TestSandbox::new();
    let mut running = sandbox.start(measured_command(&sandbox, TRAINING_COMMAND));
    close_stdin_and_wait(&mut running);
    assert!(std::fs::read_to_string(sandbox.path("training.txt")).unwrap().contains("attached: true"));

    let outer = sandbox.report_json(&[]);
    assert_eq!(epoch_completion(&outer), [(1, true), (2, true)]);
    assert_eq!((&outer["run"]["outcome"], &outer["run"]["samples"]), (&"completed".into(), &20.into()));
    assert_eq!(outer["run"]["training_type"], "fine-tuning");
    assert_eq!(outer["phases"][0]["name"], "forward");
    assert_counted_once(&outer);

    let inner = Footprint::read(&sandbox.path("training/footprint.json")).unwrap();
    let inner = serde_json::to_value(&inner).unwrap();
    assert_eq!(epoch_completion(&inner), [(1, true), (2, true)]);
    assert_counted_once(&inner);
    assert!(inner["energy"]["total_j"].as_f64() <= outer["energy"]["total_j"].as_f64());
    assert!(!sandbox.path("training/sootprint").exists(), "the nested run writes no ledger");
}

#[test]
fn killed_training_leaves_epoch_incomplete() {
    let sandbox = TestSandbox::new();
    let mut running = sandbox.start(measured_command(&sandbox, &format!("{TRAINING_COMMAND}; exit 0")));
    let pid = running.read_line().trim().parse().unwrap();
    kill_process(Pid::from_raw(pid).unwrap(), Signal::KILL).unwrap();
    assert!(running.wait_for_exit().success());
    let footprint = sandbox.report_json(&[]);
    assert_eq!(epoch_completion(&footprint), [(1, true), (2, false)]);
    assert_counted_once(&footprint);
}

#[test]
fn first_nested_rank_reports_epochs() {
    let sandbox = TestSandbox::new();
    // The second rank ends at any time.
    let ranks = format!(
        "export SOOTPRINT_WORLD_SIZE=2; (export SOOTPRINT_RANK=1; {TRAINING_COMMAND}) 3>/dev/null </dev/null & \
         SOOTPRINT_RANK=0 {TRAINING_COMMAND}; wait"
    );
    let mut running = sandbox.start(measured_command(&sandbox, &ranks));
    close_stdin_and_wait(&mut running);
    let footprint = sandbox.report_json(&[]);
    assert_eq!(epoch_completion(&footprint), [(1, true), (2, true)]);
    assert_counted_once(&footprint);
}

#[test]
fn inner_run_defers_to_outer() {
    let sandbox = TestSandbox::new();
    let nested = format!(r#""$SOOTPRINT" run --out inner -- sh -c '{TRAINING_COMMAND}'"#);
    let mut command = measured_command(&sandbox, &nested);
    command.env("SOOTPRINT", env!("CARGO_BIN_EXE_sootprint"));
    let mut running = sandbox.start(command);
    close_stdin_and_wait(&mut running);
    let outer = sandbox.report_json(&[]);
    assert_eq!(epoch_completion(&outer), [(1, true), (2, true)]);
    assert_counted_once(&outer);
    assert!(!sandbox.path("inner/sootprint").exists(), "the record is the outer command's");
}

#[cfg(target_os = "linux")]
#[test]
fn kill_child_ends_command_with_sootprint() {
    let sandbox = TestSandbox::new();
    let script = "echo started; read -r word; echo alive";
    let words = ["run", "--kill-child", "--out", "out", "--", "sh", "-c", script];
    let mut running = sandbox.start(sandbox.sootprint_command(&words));
    kill_process(Pid::from_child(&running.child), Signal::KILL).unwrap();
    // Its output ends, and it has printed nothing more.
    assert_eq!(running.read_line(), "");
    assert!(!running.wait_for_exit().success());
}

#[cfg(target_os = "linux")]
#[test]
fn kill_child_keeps_exit_status() {
    let sandbox = TestSandbox::new();
    for (words, expected) in [(&["sh", "-c", "exit 7"][..], 7), (&["no-such-command"][..], 127)] {
        let mut command =
            sandbox.sootprint_command(&[&["run", "--kill-child", "--out", "out", "--"], words].concat());
        let output = with_timeout("the command's end", move || command.output().unwrap());
        assert_eq!(status(&output), Some(expected), "{}", stderr(&output));
    }
}
