//! Checks written cards with independent tools: a lossless YAML editor, and the schema of the report.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

mod cases;

use std::str::FromStr as _;

use serde_json::{Value, json};
use sootprint_card::{BaseModelRelation, CardOptions, CardWriter};
use sootprint_core::Footprint;
use yaml_edit::Document;

use cases::{MANAGED_KEYS, apply, editable_cards, footprint, front_matter_yaml};

#[test]
fn yaml_edit_reads_same_other_values() {
    let mut compared = 0;
    for (path, card) in editable_cards() {
        let (written, _) = apply(&card, &footprint()).unwrap();
        let (before, after) =
            (other_entries(&front_matter_yaml(&card)), other_entries(&front_matter_yaml(&written)));
        assert_eq!(before, after, "{}", path.display());
        compared += before.len();
    }
    assert!(compared > 120, "{compared} values of other keys");
}

/// The keys that the crate does not write and their values, as written, without surrounding comments and blanks.
fn other_entries(yaml: &str) -> Vec<(String, String)> {
    if yaml.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Vec::new();
    }
    let document = Document::from_str(yaml).unwrap();
    assert_eq!(document.to_string(), yaml, "the YAML editor itself is lossless");
    let mapping = document.as_mapping().unwrap();
    let entries = mapping.entries().map(|entry| {
        let text = |node: Option<yaml_edit::YamlNode>| node.map_or_else(String::new, |node| node.to_string());
        let value = text(entry.value_node());
        (text(entry.key_node()).trim().to_owned(), value.trim().to_owned())
    });
    entries.filter(|(key, _)| !MANAGED_KEYS.contains(&key.trim_matches(['"', '\'']))).collect()
}

#[test]
fn report_matches_schema() {
    let validator = jsonschema::validator_for(&dia_schema()).unwrap();
    let mut checked = 0;
    for (path, card) in editable_cards() {
        let (written, _) = apply(&card, &footprint()).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&parse_report(&written)).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 57, "{checked} reports");
}

#[test]
fn report_matches_schema_for_all_runs() {
    let validator = jsonschema::validator_for(&dia_schema()).unwrap();
    let relations = [
        BaseModelRelation::Finetune,
        BaseModelRelation::Adapter,
        BaseModelRelation::Quantized,
        BaseModelRelation::Merge,
    ];
    for (what, footprint) in run_variants() {
        for relation in relations {
            let options = CardOptions::default().relation(relation);
            let (written, _) = CardWriter::new(&footprint).options(options).apply("# T\n").unwrap();
            let report = parse_report(&written);
            assert!(validator.is_valid(&report), "{what}: {report}");
            assert_eq!(report["scope"], "incremental");
            assert_eq!(report["footprint"].get("water_liters"), None, "water is not measured");
        }
    }
    let (_, fine_tuning) = run_variants().remove(1);
    let options = CardOptions::default().relation(BaseModelRelation::Adapter);
    let report = parse_report(&CardWriter::new(&fine_tuning).options(options).apply("# T\n").unwrap().0);
    assert_eq!(report["lineage"], json!([{"model": "org/base", "relation": "adapter"}]));
}

#[test]
fn schema_rejects_invalid_reports() {
    let validator = jsonschema::validator_for(&dia_schema()).unwrap();
    let good = parse_report(&apply("# T\n", &footprint()).unwrap().0);
    assert!(validator.is_valid(&good));
    for (pointer, bad) in [
        ("/scope", json!("cumulative")),
        ("/footprint/energy_kwh/quality", json!("guessed")),
        ("/footprint/carbon_kgco2eq/value", json!("0.04")),
        ("/compute/hardware/count", json!(0)),
    ] {
        let mut report = good.clone();
        *report.pointer_mut(pointer).unwrap() = bad;
        assert!(!validator.is_valid(&report), "{pointer}");
    }
}

fn dia_schema() -> Value {
    serde_json::from_str(include_str!("dia_schema.json")).unwrap()
}

fn parse_report(card: &str) -> Value {
    let values: Value = serde_yaml::from_str(&front_matter_yaml(card)).unwrap();
    assert_eq!(values["dia_version"], "0.1");
    values["dia_report"].clone()
}

fn run_variants() -> Vec<(&'static str, Footprint)> {
    let with = |change: fn(&mut Value)| {
        let mut footprint: Value = serde_json::from_str(include_str!("footprint.json")).unwrap();
        change(&mut footprint);
        serde_json::from_value(footprint).unwrap()
    };
    vec![
        ("pre-training", with(|_| ())),
        (
            "fine-tuning",
            with(|it| {
                it["run"]["training_type"] = "fine-tuning".into();
                it["run"]["base_model"] = "org/base".into();
            }),
        ),
        (
            "on a CPU only",
            with(|it| {
                it["components"].as_array_mut().unwrap().drain(..2);
            }),
        ),
        (
            "at an unknown place",
            with(|it| {
                it["grid"]["place"] = Value::Null;
                it["grid"]["zone"] = Value::Null;
            }),
        ),
        ("without any emissions", with(|it| it["emissions"]["grams"] = 0.into())),
        (
            "in a region of a cloud",
            with(|it| {
                it["grid"]["provider"] = "aws".into();
                it["grid"]["region"] = "eu-west-3".into();
            }),
        ),
    ]
}
