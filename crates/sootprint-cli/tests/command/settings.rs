//! The keys of sootprint.toml that only the command uses: `provider` and `repository`.

use std::fs;

use fake_hub::FakeHub;

use crate::sandbox::{TestSandbox, status, stderr, stdout, with_timeout};

#[test]
fn push_uses_repository_from_settings() {
    let (sandbox, hub) = (TestSandbox::new(), FakeHub::start().unwrap());
    fs::write(sandbox.path("sootprint.toml"), "repository = \"me/digits\"\nplace = \"France\"\n").unwrap();
    let script = r#"printf weights > "$SOOTPRINT_RUN_DIR/model.bpk""#;
    let mut command = sandbox.sootprint_command(&[
        "run",
        "--pre-training",
        "--out",
        "out",
        "--push",
        "--",
        "sh",
        "-c",
        script,
    ]);
    command
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_TOKEN", hub.token())
        .env("HF_HOME", sandbox.path("home"));
    let output = with_timeout("the run", move || command.output().unwrap());
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    assert_eq!(hub.read_file("me/digits", "main", "model.bpk").unwrap(), b"weights");

    let mut command = sandbox.sootprint_command(&["push", "out", "--dry-run", "--json"]);
    command
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_TOKEN", hub.token())
        .env("HF_HOME", sandbox.path("home"));
    command.env("SOOTPRINT_REPOSITORY", "you/digits");
    let output = with_timeout("the plan", move || command.output().unwrap());
    let plan: serde_json::Value = serde_json::from_str(&stdout(&output)).unwrap();
    assert_eq!((&plan["repo"], &plan["branch"]), (&"you/digits".into(), &"main".into()), "{plan}");
}

#[test]
fn unknown_provider_variable_prevents_start() {
    let sandbox = TestSandbox::new();
    let mut command = sandbox.sootprint_command(&["run", "--out", "out", "--", "touch", "ran"]);
    command.env("SOOTPRINT_LIVE", "unknown");
    let output = with_timeout("the error", move || command.output().unwrap());
    assert_eq!(status(&output), Some(125));
    let message = stderr(&output);
    assert!(message.contains("SOOTPRINT_LIVE") && message.contains("electricity-maps"), "{message}");
    assert!(!sandbox.path("ran").exists());
}

/// Runs a command in a folder with this settings file. Returns what sootprint printed.
fn run_with_project_file(sandbox: &TestSandbox, text: &str) -> String {
    fs::write(sandbox.path("sootprint.toml"), text).unwrap();
    let output = sandbox.run(&["--out", "out"], "echo ran > ran; exit 7");
    assert_eq!(status(&output), Some(7), "{}", stderr(&output));
    fs::remove_file(sandbox.path("ran")).unwrap();
    stderr(&output)
}

#[test]
fn fault_in_project_file_never_stops_run() {
    let sandbox = TestSandbox::new();
    for (text, warning) in [
        ("provider = \"unknown\"\n", "unknown provider `unknown`"),
        ("plaice = \"FR\"\n", "did you mean `place`?"),
        ("place = \"Atlantis\"\n", "Atlantis"),
        ("place = \n", "sootprint.toml, line 1"),
        ("baseline = 1e9\n", "must be between 0 and 60 s"),
        ("series = \"/dev/zero\"\n", "not a regular file"),
        ("nvml = \"/tmp/evil.so\"\n", "not allowed in the file of a project"),
    ] {
        let message = run_with_project_file(&sandbox, text);
        assert!(message.contains(warning), "{text}: {message}");
    }
}

#[test]
fn project_file_in_use_is_named() {
    let sandbox = TestSandbox::new();
    let message = run_with_project_file(&sandbox, "place = \"FR\"\npue = 1.1\n");
    let path = sandbox.path("sootprint.toml");
    assert!(message.contains(&format!("using {}: place, pue", path.display())), "{message}");
    assert_eq!(sandbox.report_json(&[])["grid"]["zone"], "FR");
}

#[cfg(unix)]
#[test]
fn project_file_of_others_is_not_used() {
    use std::os::unix::fs::PermissionsExt as _;

    let sandbox = TestSandbox::new();
    fs::set_permissions(sandbox.path(""), fs::Permissions::from_mode(0o1777)).unwrap();
    let message = run_with_project_file(&sandbox, "intensity = 0.5\n");
    assert!(message.contains("is not used: others can write to its folder"), "{message}");
    assert!(!message.contains("using /"), "{message}");
    assert_ne!(sandbox.report_json(&[])["grid"]["g_per_kwh"], 0.5);
    // A push must not go where others choose.
    let push = sandbox.output(&["push", "out", "--dry-run"]);
    assert_eq!(status(&push), Some(1), "{}", stderr(&push));
    assert!(stderr(&push).contains("is not used"), "{}", stderr(&push));
}

#[cfg(unix)]
#[test]
fn fifo_as_project_file_does_not_block() {
    let sandbox = TestSandbox::new();
    let path = sandbox.path("sootprint.toml");
    assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
    let output = sandbox.run(&["--out", "out"], "exit 7");
    assert_eq!(status(&output), Some(7), "{}", stderr(&output));
    assert!(stderr(&output).contains("not a regular file"), "{}", stderr(&output));
}
