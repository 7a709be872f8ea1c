//! The keys of sootprint.toml that only the command uses: `provider` and `repository`.

use std::fs;

use fake_hub::FakeHub;

use crate::sandbox::{TestSandbox, status, stderr, stdout, with_timeout};

#[test]
fn push_uses_repository_from_settings() {
    let (sandbox, hub) = (TestSandbox::new(), FakeHub::start().unwrap());
    fs::write(sandbox.path("sootprint.toml"), "repository = \"me/digits\"\nplace = \"France\"\n").unwrap();
    let script = r#"printf weights > "$SOOTPRINT_RUN_DIR/model.safetensors""#;
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
    assert_eq!(hub.read_file("me/digits", "main", "model.safetensors").unwrap(), b"weights");

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
fn unknown_provider_setting_prevents_start() {
    let sandbox = TestSandbox::new();
    fs::write(sandbox.path("sootprint.toml"), "provider = \"unknown\"\n").unwrap();
    let output = sandbox.run(&["--out", "out"], "touch ran");
    assert_eq!(status(&output), Some(125));
    let message = stderr(&output);
    assert!(
        message.contains("`provider` in sootprint.toml") && message.contains("electricity-maps"),
        "{message}"
    );
    assert!(!sandbox.path("ran").exists());
}
