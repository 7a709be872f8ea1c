//! `card write`, `card show` and `card check`.

use std::fs;

use insta::assert_snapshot;
use serde_json::Value;

use crate::sandbox::{TestSandbox, status, stderr, stdout};

/// A sandbox with the footprint of a run that lost a GPU.
fn sandbox_with_footprint() -> TestSandbox {
    let sandbox = TestSandbox::new();
    fs::write(sandbox.path("footprint.json"), include_str!("../../../sootprint-report/tests/sample.json"))
        .unwrap();
    sandbox
}

#[test]
fn card_is_written_shown_and_valid() {
    let sandbox = sandbox_with_footprint();
    let write = ["card", "write", "README.md", "--footprint", "footprint.json", "--no-picture"];
    let output = sandbox.output(&write);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    assert_eq!(stdout(&output), "created README.md with the emissions\n");
    assert_eq!(stderr(&output), "sootprint: added the base model me/digits-base to the card\n");
    assert_eq!(stdout(&sandbox.output(&write)), "README.md already has these emissions\n");

    assert_snapshot!(stdout(&sandbox.output(&["card", "show", "README.md"])), @"
    emissions               35.40 g CO2e
    source                  sootprint 0.1 (GPU counter; CPU, memory modelled; GPU
                            not measured)
    training_type           fine-tuning
    geographical_location   France
    hardware_used           1 x NVIDIA H200
    energy_consumed         800.00 Wh
    ");
    let output = sandbox.output(&["card", "check", "README.md"]);
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    assert_snapshot!(stdout(&output), @"
    emissions               35.4
    source                  sootprint 0.1 (GPU counter; CPU, memory modelled; GPU
                            not measured)
    training_type           fine-tuning
    geographical_location   France
    hardware_used           1 x NVIDIA H200
    energy_consumed         0.8
    Hub     tagged co2_eq_emissions; emission filters use 35.4 g CO2e
    ");
}

#[test]
fn misread_values_fail_with_location() {
    let sandbox = TestSandbox::new();
    let card = "---\nco2_eq_emissions:\n  emissions: 0.5 kg\n  geographical_location: no\n---\n# Digits\n";
    fs::write(sandbox.path("README.md"), card).unwrap();
    let output = sandbox.output(&["card", "check", "README.md"]);
    assert_eq!(status(&output), Some(1));
    assert_snapshot!(stdout(&output), @"
    emissions               0.5 kg
    geographical_location   no
    Hub     tagged co2_eq_emissions; emission filters use 0.5 g CO2e
    Fault   line 3, column 14: the Hub's filter reads `emissions: 0.5 kg` as 0.5 g:
            units other than grams are ignored; write 500
    Fault   line 4, column 26: Python reads `geographical_location: no` as the
            boolean False; put the text in quotes
    ");
    assert_eq!(stderr(&output), "sootprint: README.md: the Hub misreads 2 values\n");

    let output = sandbox.output(&["card", "check", "README.md", "--json"]);
    assert_eq!(status(&output), Some(1));
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(
        (&found["is_sound"], &found["meant"], &found["filtered"]),
        (&false.into(), &500.0.into(), &0.5.into())
    );
    assert_eq!(found["findings"][1]["at"], serde_json::json!({"line": 4, "column": 26}));
    assert_eq!(fs::read_to_string(sandbox.path("README.md")).unwrap(), card, "check does not write");
}

#[test]
fn card_without_emissions_is_valid() {
    let sandbox = TestSandbox::new();
    fs::write(sandbox.path("README.md"), "---\nlicense: mit\n---\n").unwrap();
    assert_eq!(stdout(&sandbox.output(&["card", "show", "README.md"])), "README.md has no emissions\n");
    assert_eq!(stdout(&sandbox.output(&["card", "show", "README.md", "--json"])), "null\n");
    let output = sandbox.output(&["card", "check", "README.md"]);
    assert_eq!(
        (status(&output), stdout(&output)),
        (Some(0), "README.md has no emissions, so the Hub shows none\n".to_owned())
    );
}

#[test]
fn relation_and_no_report_are_applied() {
    let sandbox = sandbox_with_footprint();
    fs::write(sandbox.path("README.md"), "---\nlicense: mit\n---\n# Digits\n").unwrap();
    let write = ["card", "write", "README.md", "--footprint", ".", "--no-picture", "--no-report"];
    let output = sandbox.output(&[&write[..], &["--relation", "adapter", "--json"]].concat());
    assert_eq!(status(&output), Some(0), "{}", stderr(&output));
    let written: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&written["change"], &written["base_model"]), (&"edited".into(), &"me/digits-base".into()));
    let card = fs::read_to_string(sandbox.path("README.md")).unwrap();
    assert!(card.contains("base_model_relation: \"adapter\"") && !card.contains("dia_report"), "{card}");
}
