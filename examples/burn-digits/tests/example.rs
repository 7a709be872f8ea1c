//! Runs the example program and checks its output, footprint and card.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;
use std::path::Path;
use std::process::Command;

use sootprint::{Footprint, RunStatus};

/// Runs the example in a folder, which receives its artifacts and the Hub client's cache, and returns its output.
fn run_example(folder: &Path) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_burn-digits"))
        .current_dir(folder)
        .env("HF_HOME", folder.join("huggingface"))
        .env("SOOTPRINT_PLACE", "FR")
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    printed
}

#[test]
fn second_run_keeps_first_footprint() {
    let folder = tempfile::tempdir().unwrap();
    let printed = run_example(folder.path());
    let accuracy = printed.lines().find_map(|line| line.strip_prefix("Accuracy on the test images: "));
    let accuracy: f64 = accuracy.unwrap().trim_end_matches(" %").parse().unwrap();
    assert!(accuracy > 95.0, "{printed}");
    assert_eq!(printed.lines().filter(|line| line.starts_with("epoch ")).count(), 20);
    assert!(printed.contains("Read back: 2 files byte for byte"), "{printed}");

    let artifacts = folder.path().join("artifacts/burn-digits");
    let footprint = Footprint::read(&artifacts.join("footprint.json")).unwrap();
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert_eq!(footprint.epochs.len(), 20);
    let card = fs::read_to_string(artifacts.join("README.md")).unwrap();
    assert!(
        card.contains("library_name: \"burn\"\n") && card.contains("## How to load the weights"),
        "{card}"
    );
    assert!(card.contains("training_type: \"pre-training\"\n"), "{card}");
    assert!(card.contains("geographical_location: \"France\"\n"), "{card}");

    run_example(folder.path());
    let runs = sootprint::list_runs(&artifacts).unwrap();
    assert_eq!(runs.len(), 2);
    assert_eq!(sootprint::load_footprint(&artifacts, Some(&runs[1])).unwrap(), footprint);
}
