//! Every example in the README, in docs and in `--help` runs as written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fake_hub::FakeHub;

use crate::sandbox::{TestSandbox, status, stderr, stdout, with_timeout};

const SUBCOMMANDS: [&str; 11] = [
    "run",
    "estimate",
    "report",
    "verify",
    "card",
    "push",
    "grid",
    "doctor",
    "completions",
    "man",
    "--version",
];

#[test]
fn documented_examples_run() {
    let (sandbox, hub) = (sandbox_with_models(), FakeHub::start().unwrap());
    let examples = examples(&sandbox);
    assert!(examples.len() > 30, "too few examples: {examples:?}");
    for (origin, example) in &examples {
        // The examples share one folder, so they run in the order of the documents.
        let mut command = sandbox.sootprint_command(&[]);
        let variables: Vec<_> = command
            .get_envs()
            .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())))
            .collect();
        command = Command::new("sh");
        command.args(["-c", example]).current_dir(sandbox.path("")).env_clear().envs(variables);
        let path = std::env::var("PATH").unwrap();
        command
            .env("PATH", format!("{}:{path}", sandbox.path("bin").display()))
            .env("SCRATCH", sandbox.path(""));
        command.env("HF_ENDPOINT", hub.endpoint()).env("HF_TOKEN", hub.token());
        command.stdin(Stdio::null());
        let output = with_timeout(example, move || command.output().unwrap());
        let message = stderr(&output);
        assert_eq!(status(&output), Some(0), "{origin}: {example}\n{message}{}", stdout(&output));
        assert!(
            !message.contains("nothing pushed") && !message.contains("not written"),
            "{example}\n{message}"
        );
    }
}

/// Saves a model in the folder of the run.
const TRAINING_SCRIPT: &str = "#!/bin/sh\nprintf weights > \"$SOOTPRINT_RUN_DIR/model.bpk\"\n";

/// The lines in code blocks and help texts that call the command, without duplicates.
fn examples(sandbox: &TestSandbox) -> Vec<(String, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let docs = fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut pages: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|it| it == "md")).collect();
    pages.sort();
    pages.insert(0, root.join("README.md"));
    let mut found: Vec<(String, String)> = Vec::new();
    let mut add = |origin: &str, line: &str| {
        if let Some(example) = extract_call(line)
            && !found.iter().any(|(_, seen)| *seen == example)
        {
            found.push((origin.to_owned(), example));
        }
    };
    for page in pages {
        let mut in_code = false;
        for line in fs::read_to_string(&page).unwrap().lines() {
            if line.starts_with("```") {
                in_code = !in_code;
            } else if in_code {
                add(&page.display().to_string(), line);
            }
        }
    }
    for subcommand in SUBCOMMANDS.into_iter().chain(["card write", "card check", "card show"]) {
        let words: Vec<&str> = subcommand.split_whitespace().chain(["--help"]).collect();
        stdout(&sandbox.output(&words)).lines().for_each(|line| add(subcommand, line));
    }
    found
}

/// The call of the command in a line, if there is one. Launchers, variables and a `$` may precede it.
fn extract_call(line: &str) -> Option<String> {
    let line = line.trim().trim_start_matches("$ ");
    let is_prefix = |before: &str| {
        before.is_empty()
            || before.starts_with("srun ")
            || before.starts_with("mpirun ")
            || before.contains("SOOTPRINT_")
    };
    let (at, _) = line.match_indices("sootprint ").find(|(at, _)| is_prefix(&line[..*at]))?;
    let is_call = line[at..].split_whitespace().nth(1).is_some_and(|word| SUBCOMMANDS.contains(&word));
    // Synopses are no examples.
    (is_call && !line.contains(['[', '…']) && !line.contains("DIR")).then(|| line[at..].to_owned())
}

/// A sandbox with the files that the examples use: trained models, a card, scripts.
fn sandbox_with_models() -> TestSandbox {
    let sandbox = TestSandbox::new();
    fs::create_dir_all(sandbox.path("bin")).unwrap();
    symlink(env!("CARGO_BIN_EXE_sootprint"), sandbox.path("bin/sootprint")).unwrap();
    for script in ["bin/python", "train", "tune.sh"] {
        fs::write(sandbox.path(script), TRAINING_SCRIPT).unwrap();
        fs::set_permissions(sandbox.path(script), PermissionsExt::from_mode(0o755)).unwrap();
    }
    for folder in [".zfunc", ".config/fish/completions"] {
        fs::create_dir_all(sandbox.path(folder)).unwrap();
    }
    let script = r#"sleep 1; printf weights > "$SOOTPRINT_RUN_DIR/model.bpk""#;
    let first = "artifacts/digits";
    let output = sandbox.run(&["--fine-tuning", "me/base", "--out", first], script);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    for folder in ["artifacts/squares", "node1/digits", "node2/digits", "digits", "sootprint-run"] {
        fs::create_dir_all(sandbox.path(folder).parent().unwrap()).unwrap();
        let copy = Command::new("cp").arg("-r").arg(sandbox.path(first)).arg(sandbox.path(folder)).status();
        assert!(copy.unwrap().success());
    }
    fs::write(sandbox.path("README.md"), "---\nlicense: mit\nco2_eq_emissions: 12.3\n---\n# Digits\n")
        .unwrap();
    sandbox
}
