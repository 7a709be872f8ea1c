//! Invalid input: an error on stderr, nothing on stdout, and no file overwritten.

use std::fs;

use crate::sandbox::{TestSandbox, status, stderr};

const CARD: &str = "---\nlicense: mit\n---\n# Mine\n";

/// A sandbox with a finished run in `out`, and an invalid file of each kind.
fn invalid_input_sandbox() -> TestSandbox {
    let sandbox = TestSandbox::new();
    let output = sandbox.run(&["--out", "out", "--pre-training"], "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    fs::write(sandbox.path("README.md"), CARD).unwrap();
    fs::write(sandbox.path("foreign.json"), "{\"schema_version\": 3}\n").unwrap();
    fs::write(sandbox.path("words.json"), "no JSON").unwrap();
    fs::write(
        sandbox.path("future.json"),
        include_str!("../../../sootprint-report/tests/sample.json").replace("sootprint/1", "sootprint/2"),
    )
    .unwrap();
    fs::write(sandbox.path("broken.md"), "---\na: 1\na: 2\n---\n").unwrap();
    fs::create_dir_all(sandbox.path("damaged/sootprint")).unwrap();
    fs::write(sandbox.path("damaged/sootprint/00001-20261123T081500Z-5f3a.jsonl"), "{\n").unwrap();
    sandbox
}

#[test]
fn invalid_input_fails_without_changes() {
    let sandbox = invalid_input_sandbox();
    for (words, expected, reason) in [
        // Invalid arguments.
        ("", 2, "Usage"),
        ("measure", 2, "unrecognized subcommand"),
        ("report", 2, "DIR"),
        ("report out --json --csv", 2, "cannot be used with"),
        ("report out --plot power.svg", 2, "PNG"),
        ("report out --all --plot power.png", 2, "cannot be used with"),
        ("grid Atlantis", 2, "Atlantis"),
        ("grid France --year 12", 2, "12"),
        ("estimate --hardware H100 --hours 1", 2, "H100"),
        ("estimate --hardware H200 --hours -1", 2, "-1"),
        ("doctor --check 0", 2, "0"),
        ("card write README.md", 2, "--footprint"),
        ("card write README.md --footprint out --relation cousin", 2, "finetune"),
        ("card", 2, "Usage"),
        ("push out digits", 2, "owner/name"),
        ("push out", 2, "SOOTPRINT_REPOSITORY"),
        ("run --pre-training --push -- true", 2, "SOOTPRINT_REPOSITORY"),
        ("completions cmd.exe", 2, "bash"),
        // Missing files.
        ("report nowhere", 1, "no run recorded in nowhere"),
        ("verify nowhere", 1, "nowhere/footprint.json"),
        ("push nowhere me/digits", 1, "no run recorded in nowhere"),
        ("report foreign.json", 1, "foreign.json is not a folder"),
        ("verify foreign.json", 1, "foreign.json is not a folder"),
        ("push foreign.json me/digits", 1, "foreign.json is not a folder"),
        ("push out datasets/digits", 2, "owner/name"),
        ("card write README.md --footprint nowhere.json", 1, "nowhere.json"),
        ("card show nowhere.md", 1, "nowhere.md"),
        ("card check nowhere.md", 1, "nowhere.md"),
        ("report out --plot nowhere/power.png", 1, "power"),
        ("man march", 1, "march"),
        // Invalid files.
        ("card write README.md --footprint foreign.json", 1, "foreign.json"),
        ("card write README.md --footprint words.json", 1, "words.json"),
        ("card write README.md --footprint future.json", 1, "sootprint/2"),
        ("card write broken.md --footprint out", 1, "broken.md: line 3"),
        ("card write README.md --footprint out --base-card broken.md", 1, "broken.md: line 3"),
        ("card check broken.md", 1, "broken.md: line 3"),
        ("report damaged", 1, "00001-20261123T081500Z-5f3a.jsonl"),
        ("report README.md", 1, "README.md"),
    ] {
        let output = sandbox.output(&words.split_whitespace().collect::<Vec<_>>());
        let message = stderr(&output);
        assert_eq!(status(&output), Some(expected), "{words}: {message}");
        assert!(message.contains(reason), "{words}: {message}");
        assert!(message.matches("os error").count() <= 1, "the cause is repeated: {message}");
        // The report is printed before the plot is written.
        assert!(output.stdout.is_empty() || words.contains("--plot nowhere"), "{words}");
    }
    assert_eq!(fs::read_to_string(sandbox.path("README.md")).unwrap(), CARD);
    assert_eq!(fs::read_to_string(sandbox.path("broken.md")).unwrap(), "---\na: 1\na: 2\n---\n");
    assert!(!sandbox.path("power.png").exists() && !sandbox.path("sootprint.png").exists());
    assert!(!sandbox.path("sootprint-run").exists(), "the command was not run");
}

/// A file left by a full disk, with a higher number than any run.
#[test]
fn unreadable_newest_ledger_hides_no_run() {
    let sandbox = invalid_input_sandbox();
    let first = sandbox.report_json(&[])["run"]["id"].as_str().unwrap().to_owned();
    fs::write(sandbox.path("out/sootprint/99999998-x.jsonl"), "").unwrap();
    let reported = |words: &[&str]| {
        let output = sandbox.output(words);
        let message = stderr(&output);
        assert_eq!(status(&output), Some(1), "{message}");
        assert!(message.contains("99999998-x.jsonl") && message.contains("not the newest run"), "{message}");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        report["run"]["id"].as_str().unwrap().to_owned()
    };
    assert_eq!(reported(&["report", "out", "--json"]), first);
    // A later run keeps a number that is read again.
    assert_eq!(status(&sandbox.run(&["--out", "out"], "exit 0")), Some(0));
    let second = reported(&["report", "out", "--json"]);
    assert!(second.starts_with("00002-"), "{second}");
    // What is published is never an older run.
    let output = sandbox.output(&["card", "write", "README.md", "--footprint", "out"]);
    assert_eq!(status(&output), Some(1), "{}", stderr(&output));
    assert_eq!(fs::read_to_string(sandbox.path("README.md")).unwrap(), CARD);
}

#[test]
fn card_that_is_no_regular_file_is_refused() {
    let sandbox = invalid_input_sandbox();
    let fifo = std::process::Command::new("mkfifo").arg(sandbox.path("fifo.md")).status();
    assert!(fifo.unwrap().success());
    let huge = fs::File::create(sandbox.path("huge.md")).unwrap();
    huge.set_len(3 << 30).unwrap();
    for (card, reason) in [("fifo.md", "not a regular file"), ("huge.md", "larger than 65536 KB")] {
        for words in [
            &["verify", "out", "--card", card][..],
            &["card", "check", card],
            &["card", "show", card],
            &["card", "write", card, "--footprint", "out"],
            &["card", "write", "README.md", "--footprint", "out", "--base-card", card],
        ] {
            let output = sandbox.output(words);
            assert_eq!(status(&output), Some(1), "{words:?}");
            assert!(stderr(&output).contains(reason), "{words:?}: {}", stderr(&output));
        }
    }
}

/// Escape sequences would reach a terminal through `less -R`.
#[test]
fn report_in_a_pipe_has_no_controls() {
    let sandbox = TestSandbox::new();
    let script = r#"{"components": [{"kind": "gpu", "name": "GPU \u001b[31mred", "watts": [[1.0, 100.0]]}]}"#;
    fs::write(sandbox.path("script.json"), script).unwrap();
    let output = sandbox.run(&["--out", "out"], "exit 0");
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let report = sandbox.output(&["report", "out"]).stdout;
    let report = String::from_utf8(report).unwrap();
    assert!(report.contains("red") && !report.contains('\u{1b}'), "{report}");
    let json = sandbox.report_json(&[]);
    assert_eq!(json["components"][0]["name"], "GPU \u{1b}[31mred", "other programs receive it unchanged");
}

#[test]
fn foreign_footprints_are_rejected() {
    let sandbox = invalid_input_sandbox();
    let future =
        include_str!("../../../sootprint-report/tests/sample.json").replace("sootprint/1", "sootprint/2");
    for (text, reason) in [(future.as_str(), "sootprint/2"), ("{}", "not a footprint")] {
        fs::create_dir_all(sandbox.path("copied")).unwrap();
        fs::write(sandbox.path("copied/footprint.json"), text).unwrap();
        for words in [&["verify", "copied"][..], &["push", "copied", "me/digits", "--dry-run"]] {
            let output = sandbox.output(words);
            assert_eq!(status(&output), Some(1));
            assert!(stderr(&output).contains(reason), "{words:?}: {}", stderr(&output));
        }
        assert_eq!(fs::read_to_string(sandbox.path("copied/footprint.json")).unwrap(), text);
    }
}

#[test]
fn unknown_setting_gets_suggestion() {
    let sandbox = TestSandbox::new();
    fs::create_dir_all(sandbox.path(".config/sootprint")).unwrap();
    fs::write(sandbox.path(".config/sootprint/sootprint.toml"), "repositry = \"me/digits\"\n").unwrap();
    let output = sandbox.run(&["--out", "out"], "touch ran");
    assert_eq!(status(&output), Some(125));
    assert!(stderr(&output).contains("did you mean `repository`?"), "{}", stderr(&output));
    assert!(!sandbox.path("ran").exists());
    let output = sandbox.output(&["push", "out"]);
    assert_eq!(status(&output), Some(1));
    assert!(stderr(&output).contains("did you mean `repository`?"), "{}", stderr(&output));
}
