//! Runs the example program and checks its output, footprint and card.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::fs;
use std::process::Command;

use sootprint::{Footprint, RunStatus};

#[test]
fn example_trains_and_pushes() {
    let folder = tempfile::tempdir().unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_burn-custom-loop"))
        .current_dir(folder.path())
        .env("HF_HOME", folder.path().join("huggingface"))
        .env("SOOTPRINT_PLACE", "FR")
        .env_remove("HF_TOKEN")
        .output()
        .unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{printed}\n{}", String::from_utf8_lossy(&output.stderr));
    let accuracy = printed.lines().find_map(|line| line.strip_prefix("Accuracy on the test images: "));
    let accuracy: f64 = accuracy.unwrap().trim_end_matches(" %").parse().unwrap();
    assert!(accuracy > 90.0, "{printed}");
    assert!(printed.contains("Read back: 2 files byte for byte"), "{printed}");

    let artifacts = folder.path().join("artifacts/burn-custom-loop");
    let footprint = Footprint::read(&artifacts.join("footprint.json")).unwrap();
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert_eq!(footprint.epochs.len(), 15);
    assert!(footprint.epochs.iter().all(|epoch| epoch.completed && epoch.energy.joules() > 0.0));
    assert!(footprint.epochs.iter().all(|epoch| epoch.samples == Some(1_293)));
    let phases: Vec<&str> = footprint.phases.iter().map(|phase| phase.name.as_str()).collect();
    assert_eq!(phases, ["training", "validation"]);
    assert!(fs::read_to_string(artifacts.join("README.md")).unwrap().contains("co2_eq_emissions"));
}
