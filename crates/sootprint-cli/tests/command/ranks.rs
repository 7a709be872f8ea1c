//! Ranks, attempts and job arrays in one folder.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value, json};

use crate::sandbox::{TestSandbox, status, stderr, stdout};

/// A script that kills sootprint, which leaves the record without its end.
const KILL_SOOTPRINT: &str = "kill -KILL $PPID";

fn run_with(sandbox: &TestSandbox, variables: &[(&str, &str)], options: &[&str], script: &str) -> Output {
    let arguments = [&["run", "--out", "out"], options, &["--", "sh", "-c", script]].concat();
    let mut command: Command = sandbox.sootprint_command(&arguments);
    command.envs(variables.iter().copied()).output().unwrap()
}

/// Number of runs in the folder, and the attempts of the newest one.
fn runs_and_attempts(sandbox: &TestSandbox) -> (usize, Value) {
    let all = sandbox.report_json(&["--all"]);
    let all = all.as_array().unwrap();
    (all.len(), all[0]["run"]["attempts"].clone())
}

/// As with `sbatch --array=1-2%1` after the first task was killed.
#[test]
fn resumed_array_task_continues_only_its_own_run() {
    let sandbox = TestSandbox::new();
    let start = |index: &str, job: &str, script: &str| {
        run_with(&sandbox, &[("SLURM_ARRAY_TASK_ID", index), ("SLURM_JOB_ID", job)], &["--resume"], script)
    };
    start("1", "100", KILL_SOOTPRINT);
    let second = start("2", "101", "true");
    assert_eq!(status(&second), Some(0), "{}", stderr(&second));
    assert_eq!(runs_and_attempts(&sandbox), (2, json!(1)));
    // The first task continues its own run, also as part of another job.
    assert_eq!(status(&start("1", "200", "true")), Some(0));
    let all = sandbox.report_json(&["--all"]);
    let runs: Vec<(&Value, &Value)> =
        all.as_array().unwrap().iter().map(|it| (&it["run"]["attempts"], &it["run"]["outcome"])).collect();
    assert_eq!(runs, [(&json!(1), &json!("completed")), (&json!(2), &json!("completed"))]);
    // Without an array, neither of them continues.
    assert_eq!(status(&run_with(&sandbox, &[], &["--resume"], "true")), Some(0));
    assert_eq!(runs_and_attempts(&sandbox), (3, json!(1)));
}

#[test]
fn array_tasks_run_at_the_same_time() {
    let sandbox = TestSandbox::new();
    let mut command =
        sandbox.sootprint_command(&["run", "--out", "out", "--", "sh", "-c", "echo started; read -r it"]);
    command.env("SLURM_ARRAY_TASK_ID", "1");
    let mut first = sandbox.start(command);
    for options in [&[][..], &["--resume"]] {
        let second = run_with(&sandbox, &[("SLURM_ARRAY_TASK_ID", "2")], options, "true");
        assert_eq!(status(&second), Some(0), "{}", stderr(&second));
        assert!(!stderr(&second).contains("another process"), "{}", stderr(&second));
    }
    drop(first.child.stdin.take());
    assert_eq!(first.wait_for_exit().code(), Some(1));
    assert_eq!(runs_and_attempts(&sandbox).0, 3);
}

/// An empty ledger, as a full disk leaves it, belongs to no task.
#[test]
fn empty_ledger_does_not_hide_run_to_resume() {
    let sandbox = TestSandbox::new();
    for index in ["1", "2"] {
        run_with(&sandbox, &[("SLURM_ARRAY_TASK_ID", index)], &[], KILL_SOOTPRINT);
    }
    let empty = sandbox.path("out/sootprint/00003-20260101T000000Z-0000.jsonl");
    fs::write(&empty, "").unwrap();
    run_with(&sandbox, &[("SLURM_ARRAY_TASK_ID", "1")], &["--resume"], "true");
    fs::remove_file(empty).unwrap();
    let all = sandbox.report_json(&["--all"]);
    let attempts: Vec<&Value> = all.as_array().unwrap().iter().map(|it| &it["run"]["attempts"]).collect();
    assert_eq!(attempts, [&json!(1), &json!(2)]);
}

#[test]
fn complete_run_is_not_continued() {
    let sandbox = TestSandbox::new();
    let start = |job: &str, rank: &str, script: &str| {
        let variables = [("SOOTPRINT_RANK", rank), ("SOOTPRINT_WORLD_SIZE", "2"), ("SOOTPRINT_JOB", job)];
        let output = run_with(&sandbox, &variables, &["--resume"], script);
        (runs_and_attempts(&sandbox), status(&output))
    };
    start("a", "1", KILL_SOOTPRINT);
    assert_eq!(start("a", "1", "true"), ((1, json!(2)), Some(0)));
    start("a", "0", "true");
    // Rank 1 completed in the second attempt, rank 0 in the only one that it needed.
    assert_eq!(start("b", "1", "true"), ((2, json!(1)), Some(0)));
}

#[test]
fn report_names_killed_rank() {
    let sandbox = TestSandbox::new();
    let start = |rank: &str, script: &str| {
        let variables = [("SOOTPRINT_RANK", rank), ("SOOTPRINT_WORLD_SIZE", "2"), ("SOOTPRINT_JOB", "a")];
        run_with(&sandbox, &variables, &[], script)
    };
    start("1", KILL_SOOTPRINT);
    start("0", "true");

    let report = sandbox.report_json(&[]);
    let processes: Vec<(&Value, &Value, &Value)> = report["run"]["processes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|it| (&it["rank"], &it["attempt"], &it["outcome"]))
        .collect();
    assert_eq!(
        processes,
        [(&json!(0), &json!(1), &json!("completed")), (&json!(1), &json!(1), &json!("killed"))]
    );
    let text = stdout(&sandbox.output(&["report", "out"]));
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        text.contains("Note rank 1 was killed: energy of up to two seconds before is not in the total"),
        "{text}"
    );
    assert!(text.contains(", 2 ranks, training type not given"), "{text}");

    let csv = stdout(&sandbox.output(&["report", "out", "--csv"]));
    let rows: Vec<csv::StringRecord> =
        csv::Reader::from_reader(csv.as_bytes()).records().map(Result::unwrap).collect();
    let rows: Vec<(&str, &str, &str)> =
        rows.iter().filter(|row| &row[1] == "process").map(|row| (&row[2], &row[5], &row[15])).collect();
    assert_eq!(rows, [("0", "1", "completed"), ("1", "1", "killed")]);
}

#[test]
fn missing_ledger_of_attempt_is_noted() {
    let sandbox = TestSandbox::new();
    run_with(&sandbox, &[], &[], KILL_SOOTPRINT);
    run_with(&sandbox, &[], &["--resume"], "true");
    let report = sandbox.report_json(&[]);
    assert_eq!((&report["run"]["attempts"], &report["run"]["partial"]), (&json!(2), &json!(false)));
    let killed = "attempt 1 was killed: energy of up to two seconds before is not in the total";
    assert!(report["notes"].as_array().unwrap().contains(&json!(killed)), "{}", report["notes"]);

    let is_first = |name: &str| !name.contains("attempt") && name.ends_with(".jsonl");
    let names: Vec<String> = fs::read_dir(sandbox.path("out/sootprint"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let first = names.iter().filter(|name| name.ends_with(".jsonl")).min_by_key(|name| name.len()).unwrap();
    assert!(is_first(first), "{names:?}");
    fs::remove_file(sandbox.path("out/sootprint").join(first)).unwrap();
    let report = sandbox.report_json(&[]);
    assert_eq!((&report["run"]["attempts"], &report["run"]["partial"]), (&json!(2), &json!(true)));
    let missing = "attempt 1 has no ledger: its energy is not in the total";
    assert!(report["notes"].as_array().unwrap().contains(&json!(missing)), "{}", report["notes"]);
}

#[test]
fn rank_that_is_no_longer_part_does_not_decide_outcome() {
    let sandbox = TestSandbox::new();
    for rank in ["0", "1"] {
        let variables = [("SOOTPRINT_RANK", rank), ("SOOTPRINT_WORLD_SIZE", "2"), ("SOOTPRINT_JOB", "a")];
        run_with(&sandbox, &variables, &[], KILL_SOOTPRINT);
    }
    run_with(&sandbox, &[], &["--resume"], "true");
    let run = &sandbox.report_json(&[])["run"];
    assert_eq!((&run["attempts"], &run["outcome"]), (&json!(2), &json!("completed")), "{run}");
    // The run is complete, so it is not continued again.
    run_with(&sandbox, &[], &["--resume"], "true");
    assert_eq!(runs_and_attempts(&sandbox), (2, json!(1)));
}
