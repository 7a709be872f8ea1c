//! `sootprint push` against a fake Hub.

use std::fs;

use fake_hub::{FakeHub, HubFault, HubFaultKind};

use crate::sandbox::{TestSandbox, status, stderr, with_timeout};

/// A sandbox with a finished run and weights in `out`.
fn sandbox_with_weights() -> TestSandbox {
    let sandbox = TestSandbox::new();
    let script = r#"printf weights > "$SOOTPRINT_RUN_DIR/model.bpk""#;
    let output = sandbox.run(&["--pre-training", "--out", "out"], script);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    sandbox
}

fn run_push(sandbox: &TestSandbox, hub: &FakeHub, arguments: &[&str]) -> std::process::Output {
    let mut command = sandbox.sootprint_command(&[&["push", "out", "me/digits"], arguments].concat());
    command
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_TOKEN", hub.token())
        .env("HF_HOME", sandbox.path("home"));
    with_timeout("the push", move || command.output().unwrap())
}

#[test]
fn folder_is_pushed_once() {
    let (sandbox, hub) = (sandbox_with_weights(), FakeHub::start().unwrap());
    let output = run_push(&sandbox, &hub, &["--private"]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let head = hub.head_commit("me/digits").unwrap();
    let message = format!("sootprint: pushed to {}/me/digits in commit {head}\n", hub.endpoint());
    assert_eq!(stderr(&output), message);
    assert_eq!(hub.read_file("me/digits", "main", "model.bpk").unwrap(), b"weights");
    let card = String::from_utf8(hub.read_file("me/digits", "main", "README.md").unwrap()).unwrap();
    assert!(card.contains("co2_eq_emissions:"), "{card}");

    let output = run_push(&sandbox, &hub, &[]);
    assert!(stderr(&output).contains("is up to date at commit"), "{}", stderr(&output));
    assert_eq!(hub.head_commit("me/digits").unwrap(), head);
}

#[test]
fn dry_run_lists_without_sending() {
    let (sandbox, hub) = (sandbox_with_weights(), FakeHub::start().unwrap());
    fs::write(sandbox.path("out/train.log"), "").unwrap();
    let output = run_push(&sandbox, &hub, &["--dry-run", "--revision", "next"]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let message = String::from_utf8(output.stdout).unwrap();
    assert!(message.starts_with("me/digits, branch next: Publish weights and footprint ("), "{message}");
    assert!(message.contains("\n  README.md\n  footprint.json\n  model.bpk\n"), "{message}");
    assert!(
        message.ends_with("not pushed: sootprint/ (record of sootprint), train.log (log)\n"),
        "{message}"
    );
    assert!(hub.head_commit("me/digits").is_err());
}

#[test]
fn rejected_push_is_staged_with_hint() {
    let (sandbox, hub) = (sandbox_with_weights(), FakeHub::start().unwrap());
    hub.add_fault(HubFault::on_path("/preupload/", HubFaultKind::status(403)));
    let output = run_push(&sandbox, &hub, &[]);
    assert_eq!(status(&output), Some(1));
    let message = stderr(&output);
    assert!(
        message.contains("denied access while committing to me/digits") && message.contains("hf auth login"),
        "{message}"
    );
    assert!(message.contains("push staged; resume it with `sootprint push out me/digits`"), "{message}");
    assert!(!message.contains(hub.token()), "{message}");
    assert_eq!(status(&run_push(&sandbox, &hub, &[])), Some(0));
}

#[test]
fn staged_push_keeps_its_options() {
    let (sandbox, hub) = (sandbox_with_weights(), FakeHub::start().unwrap());
    hub.add_fault(HubFault::on_path("/commit/", HubFaultKind::status(503)).repeat(u32::MAX));
    let options =
        ["--private", "--revision", "v2", "--message", "It's done", "--ignore", "*.tmp", "--allow=-x"];
    let output = run_push(&sandbox, &hub, &options);
    assert_eq!(status(&output), Some(1));
    let message = stderr(&output);
    let command = message.split('`').find(|text| text.starts_with("sootprint push")).unwrap();
    assert_eq!(
        command,
        r#"sootprint push out me/digits --private --revision v2 --message "It's done" '--allow=-x' --ignore '*.tmp'"#
    );
    hub.clear_faults();
    // A push without the option keeps the repository private.
    assert_eq!(status(&run_push(&sandbox, &hub, &["--private"])), Some(0));
}

#[test]
fn new_card_has_the_given_metadata() {
    let (sandbox, hub) = (sandbox_with_weights(), FakeHub::start().unwrap());
    fs::create_dir_all(sandbox.path(".config/sootprint")).unwrap();
    let settings = "license = \"apache-2.0\"\nlanguage = [\"en\", \"de\"]\ndatasets = \"me/numbers\"\n";
    fs::write(sandbox.path(".config/sootprint/sootprint.toml"), settings).unwrap();
    let options = ["--license", "mit", "--pipeline-tag", "image-classification", "--metric", "accuracy"];
    hub.add_fault(HubFault::on_path("/commit/", HubFaultKind::status(503)).repeat(u32::MAX));
    let failed = run_push(&sandbox, &hub, &options);
    let advice = "--license mit --pipeline-tag image-classification --language en --language de --dataset me/numbers \
                  --metric accuracy`";
    assert!(stderr(&failed).contains(advice), "{}", stderr(&failed));
    hub.clear_faults();
    let output = run_push(&sandbox, &hub, &options);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let card = String::from_utf8(hub.read_file("me/digits", "main", "README.md").unwrap()).unwrap();
    for line in [
        "license: \"mit\"",
        "- \"en\"\n- \"de\"",
        "pipeline_tag: \"image-classification\"",
        "- \"me/numbers\"",
    ] {
        assert!(card.contains(&format!("\n{line}\n")), "{line}: {card}");
    }
    assert!(!card.contains("Choose a licence"), "{card}");
}

#[test]
fn pull_request_url_is_printed() {
    let (sandbox, hub) = (sandbox_with_weights(), FakeHub::start().unwrap());
    let output = run_push(&sandbox, &hub, &["--pr", "--card-alone"]);
    let message = stderr(&output);
    assert!(message.contains(&format!("opened {}/me/digits/discussions/1", hub.endpoint())), "{message}");
}

#[test]
fn hf_defaults_hidden_from_command() {
    let (sandbox, hub) = (TestSandbox::new(), FakeHub::start().unwrap());
    let script = r#"env > "$SOOTPRINT_RUN_DIR/../env"; printf weights > "$SOOTPRINT_RUN_DIR/model.bpk""#;
    let arguments =
        ["run", "--pre-training", "--out", "out", "--push", "me/digits", "--", "sh", "-c", script];
    let mut command = sandbox.sootprint_command(&arguments);
    command
        .env("HF_ENDPOINT", hub.endpoint())
        .env("HF_TOKEN", hub.token())
        .env("HF_HOME", sandbox.path("home"));
    command.env("HF_XET_CLIENT_READ_TIMEOUT", "7s");
    let output = with_timeout("the run", move || command.output().unwrap());
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    assert!(stderr(&output).contains("pushed to"), "{}", stderr(&output));
    let seen = fs::read_to_string(sandbox.path("env")).unwrap();
    assert!(seen.contains("HF_XET_CLIENT_READ_TIMEOUT=7s"), "{seen}");
    assert!(
        !seen.contains("TELEMETRY") && !seen.contains("RETRY") && !seen.contains("SET_VARIABLES"),
        "{seen}"
    );
}

#[test]
fn upload_options_need_push() {
    let sandbox = TestSandbox::new();
    let output = sandbox.output(&["run", "--pre-training", "--private", "--", "touch", "ran"]);
    assert_eq!(status(&output), Some(2));
    assert!(stderr(&output).contains("--private needs --push"), "{}", stderr(&output));
    assert!(!sandbox.path("ran").exists());
}
