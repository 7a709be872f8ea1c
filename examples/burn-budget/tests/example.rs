//! The example as people run it, from its first line to the card.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise")]

use std::path::Path;
use std::process::Command;

use sootprint::{Footprint, Outcome};

/// Runs the example with a budget and gives the footprint.
fn run(folder: &Path, joules: &str) -> Footprint {
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
    assert!(printed.contains("Accuracy on images that it never saw: "), "{printed}");
    Footprint::read(&folder.join("artifacts/burn-budget/footprint.json")).unwrap()
}

/// A joule is used up within the first epochs, wherever anything is measured or modelled.
#[test]
fn a_small_budget_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let footprint = run(folder.path(), "1");
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    assert!(footprint.notes.iter().any(|note| note.contains("budget")), "{:?}", footprint.notes);
}

#[test]
fn with_a_large_one_it_learns_all_it_can() {
    let folder = tempfile::tempdir().unwrap();
    let footprint = run(folder.path(), "1e9");
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    assert!(footprint.epochs.len() > 3 && footprint.epochs.iter().all(|epoch| epoch.completed));
    assert!(!footprint.notes.iter().any(|note| note.contains("budget")), "{:?}", footprint.notes);
}
