//! Reports of finished, killed and running runs.

use std::fs;
use std::io::Write as _;

use serde_json::Value;

use crate::sandbox::{TestSandbox, status, stderr};

#[test]
fn report_selects_newest_named_or_all() {
    let sandbox = TestSandbox::new();
    sandbox.run(&["--out", "out", "--pre-training"], "exit 0");
    let first = sandbox.report_json(&[])["run"]["id"].as_str().unwrap().to_owned();
    sandbox.run(&["--out", "out"], "exit 1");

    let newest = sandbox.report_json(&[]);
    assert_eq!(newest["run"]["outcome"], "failed");
    let named = sandbox.report_json(&["--run", &first]);
    assert_eq!((&named["run"]["id"], &named["run"]["outcome"]), (&first.clone().into(), &"completed".into()));
    assert_eq!(sandbox.report_json(&["--all"]), serde_json::json!([newest, named]));

    let output = sandbox.output(&["report", "out", "--all"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(
        text.contains(&first) && text.contains(", pre-training") && text.contains("training type not given")
    );

    let output = sandbox.output(&["report", "out", "--run", "another"]);
    assert_eq!(status(&output), Some(1));
    assert!(
        stderr(&output).starts_with("sootprint: no run another in out; recorded: "),
        "{}",
        stderr(&output)
    );
    assert!(stderr(&output).contains(&first));
}

#[test]
fn report_writes_nothing() {
    let sandbox = TestSandbox::new();
    sandbox.run(&["--out", "out"], "exit 0");
    fs::remove_file(sandbox.path("out/footprint.json")).unwrap();
    sandbox.report_json(&[]);
    sandbox.report_json(&["--all"]);
    let names: Vec<_> =
        fs::read_dir(sandbox.path("out")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names, ["sootprint"]);
}

#[test]
fn folder_without_runs_is_reported() {
    let sandbox = TestSandbox::new();
    fs::create_dir_all(sandbox.path("empty/sootprint")).unwrap();
    for dir in ["nowhere", "empty"] {
        let output = sandbox.output(&["report", dir, "--json"]);
        assert_eq!((status(&output), output.stdout.is_empty()), (Some(1), true));
        assert!(
            stderr(&output).starts_with(&format!("sootprint: no run recorded in {dir}; ")),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn damaged_ledger_does_not_hide_others() {
    let sandbox = TestSandbox::new();
    sandbox.run(&["--out", "out"], "exit 0");
    let whole = sandbox.report_json(&[]);
    fs::write(sandbox.path("out/sootprint/00002-damaged.jsonl"), "{\n").unwrap();
    let output = sandbox.output(&["report", "out", "--all", "--json"]);
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
fn killed_run_leaves_command_running() {
    let sandbox = TestSandbox::new();
    let mut running = sandbox.start_script("echo started; read -r word; echo $word");
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "running");
    assert!(!sandbox.path("out/footprint.json").exists());

    running.child.kill().unwrap();
    running.wait_for_exit();
    let killed = sandbox.report_json(&[]);
    assert_eq!(killed["run"]["outcome"], "killed");
    let output = sandbox.output(&["report", "out"]);
    assert!(String::from_utf8(output.stdout).unwrap().contains("killed"));

    running.child.stdin.as_mut().unwrap().write_all(b"alive\n").unwrap();
    assert_eq!(running.read_line(), "alive\n");
}

#[test]
fn verify_detects_changes_to_resumed_run() {
    let sandbox = TestSandbox::new();
    sandbox.run(&["--out", "out", "--pre-training"], "kill -9 $PPID; sleep 0.2");
    let killed = sandbox.report_json(&[]);
    assert_eq!(killed["run"]["outcome"], "killed");
    let output =
        sandbox.run(&["--out", "out", "--pre-training", "--resume", "--card", "out/README.md"], "true");
    assert!(output.status.success(), "{}", stderr(&output));
    let resumed = sandbox.report_json(&[]);
    assert_eq!((&resumed["run"]["id"], &resumed["run"]["attempts"]), (&killed["run"]["id"], &2.into()));

    let output = sandbox.output(&["verify", "out"]);
    assert!(output.status.success(), "{} {}", String::from_utf8_lossy(&output.stdout), stderr(&output));
    for (file, from, to, difference) in [
        ("out/footprint.json", "\"attempts\": 2", "\"attempts\": 1", "run.attempts is 1, the ledgers have 2"),
        (
            "out/README.md",
            "pre-training",
            "fine-tuning",
            "training_type is fine-tuning, the ledgers have pre-training",
        ),
    ] {
        let path = sandbox.path(file);
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "{text}");
        fs::write(&path, text.replacen(from, to, 1)).unwrap();
        let output = sandbox.output(&["verify", "out"]);
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
fn concurrent_runs_in_folder_are_recorded_separately() {
    let sandbox = TestSandbox::new();
    let mut first = sandbox.start_script("echo started; read -r word");
    let older = sandbox.report_json(&[])["run"]["id"].clone();
    let second = sandbox.run(&["--out", "out"], "exit 7");
    assert_eq!(second.status.code(), Some(7));
    assert!(stderr(&second).contains("another run is still being recorded in out"), "{}", stderr(&second));
    let saved =
        || serde_json::from_slice::<Value>(&fs::read(sandbox.path("out/footprint.json")).unwrap()).unwrap();
    let newer = saved()["run"]["id"].clone();
    assert_ne!(newer, older);

    first.child.stdin.as_mut().unwrap().write_all(b"end\n").unwrap();
    first.wait_for_exit();
    assert_eq!(saved()["run"]["id"], newer, "the older run ended later");
    let all = sandbox.output(&["report", "out", "--all", "--json"]);
    let all: Value = serde_json::from_slice(&all.stdout).unwrap();
    let statuses: Vec<_> =
        all.as_array().unwrap().iter().map(|run| (&run["run"]["id"], &run["run"]["outcome"])).collect();
    assert_eq!(statuses, [(&newer, &Value::from("failed")), (&older, &Value::from("completed"))]);
}

#[test]
fn killed_run_replaces_older_footprint() {
    let sandbox = TestSandbox::new();
    sandbox.run(&["--out", "out"], "true");
    assert!(sandbox.path("out/footprint.json").exists());
    sandbox.run(&["--out", "out"], "kill -9 $PPID; sleep 0.2");
    assert!(!sandbox.path("out/footprint.json").exists());
    assert_eq!(sandbox.report_json(&[])["run"]["outcome"], "killed");
    let output = sandbox.output(&["verify", "out"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(stderr(&output).contains("sootprint report out"), "{}", stderr(&output));
    let output = sandbox.output(&["card", "write", "README.md", "--footprint", "out", "--no-picture"]);
    assert_eq!(output.status.code(), Some(0), "{}", stderr(&output));
    let older = sandbox.report_json(&["--all"]);
    assert_eq!(older.as_array().unwrap().len(), 2);
}
