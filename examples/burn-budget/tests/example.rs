//! Runs the example program and checks its output, footprint and card.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::path::Path;
use std::process::Command;

use sootprint::{Footprint, RunStatus};

/// Runs the example with this budget and returns the footprint.
fn run_example(folder: &Path, joules: &str) -> Footprint {
    let output = Command::new(env!("CARGO_BIN_EXE_burn-budget"))
        .arg(joules)
        .current_dir(folder)
        .env("HF_HOME", folder.join("huggingface"))
        .env("SOOTPRINT_PLACE", "FR")
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    assert!(printed.contains("Accuracy on the test images: "), "{printed}");
    Footprint::read(&folder.join("artifacts/burn-budget/footprint.json")).unwrap()
}

/// One joule is exceeded within the first epochs on any machine with a measured or modelled component.
#[test]
fn small_budget_stops_training() {
    let folder = tempfile::tempdir().unwrap();
    let footprint = run_example(folder.path(), "1");
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
    assert!(footprint.notes.iter().any(|note| note.contains("budget")), "{:?}", footprint.notes);
}

#[test]
fn large_budget_trains_to_convergence() {
    let folder = tempfile::tempdir().unwrap();
    let footprint = run_example(folder.path(), "1e9");
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
    assert!(footprint.epochs.len() > 3 && footprint.epochs.iter().all(|epoch| epoch.completed));
    assert!(!footprint.notes.iter().any(|note| note.contains("budget")), "{:?}", footprint.notes);
}
