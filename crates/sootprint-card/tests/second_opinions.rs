//! What others say of the written cards: a lossless YAML editor, and the report's own schema.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may stop at the first surprise")]

mod cases;

use std::str::FromStr as _;

use serde_json::{Value, json};
use sootprint_card::{CardOptions, Relation, apply, apply_with};
use sootprint_core::Footprint;
use yaml_edit::Document;

use cases::{OUR_KEYS, editable, footprint, yaml};

#[test]
fn a_lossless_editor_finds_every_other_value_byte_for_byte() {
    let mut compared = 0;
    for (path, card) in editable() {
        let (written, _) = apply(&card, &footprint()).unwrap();
        let (before, after) = (texts(&yaml(&card)), texts(&yaml(&written)));
        assert_eq!(before, after, "{}", path.display());
        compared += before.len();
    }
    assert!(compared > 120, "{compared} values of other keys");
}

/// The keys that are not ours and their values, as they are written, without the comments and blanks around them.
fn texts(yaml: &str) -> Vec<(String, String)> {
    if yaml.lines().all(|line| line.trim().is_empty() || line.trim_start().starts_with('#')) {
        return Vec::new();
    }
    let document = Document::from_str(yaml).unwrap();
    assert_eq!(document.to_string(), yaml, "the editor itself loses something");
    let mapping = document.as_mapping().unwrap();
    let entries = mapping.entries().map(|entry| {
        let text = |node: Option<yaml_edit::YamlNode>| node.map_or_else(String::new, |node| node.to_string());
        let value = text(entry.value_node());
        (text(entry.key_node()).trim().to_owned(), value.trim().to_owned())
    });
    entries.filter(|(key, _)| !OUR_KEYS.contains(&key.trim_matches(['"', '\'']))).collect()
}

#[test]
fn the_report_is_valid_by_its_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut checked = 0;
    for (path, card) in editable() {
        let (written, _) = apply(&card, &footprint()).unwrap();
        let errors: Vec<_> =
            validator.iter_errors(&report(&written)).map(|error| error.to_string()).collect();
        assert_eq!(errors, [""; 0], "{}", path.display());
        checked += 1;
    }
    assert!(checked >= 57, "{checked} reports");
}

#[test]
fn the_report_is_valid_for_every_kind_of_run() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let relations = [Relation::Finetune, Relation::Adapter, Relation::Quantized, Relation::Merge];
    for (what, footprint) in kinds_of_runs() {
        for relation in relations {
            let options = CardOptions::default().relation(relation);
            let (written, _) = apply_with("# T\n", &footprint, &options).unwrap();
            let report = report(&written);
            assert!(validator.is_valid(&report), "{what}: {report}");
            assert_eq!(report["scope"], "incremental");
            assert_eq!(report["footprint"].get("water_liters"), None, "nobody measured it");
        }
    }
    let (_, fine_tuning) = kinds_of_runs().remove(1);
    let options = CardOptions::default().relation(Relation::Adapter);
    let report = report(&apply_with("# T\n", &fine_tuning, &options).unwrap().0);
    assert_eq!(report["lineage"], json!([{"model": "org/base", "relation": "adapter"}]));
}

#[test]
fn the_schema_refuses_what_it_should() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let good = report(&apply("# T\n", &footprint()).unwrap().0);
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

fn schema() -> Value {
    serde_json::from_str(include_str!("dia_schema.json")).unwrap()
}

fn report(card: &str) -> Value {
    let values: Value = serde_yaml::from_str(&yaml(card)).unwrap();
    assert_eq!(values["dia_version"], "0.1");
    values["dia_report"].clone()
}

fn kinds_of_runs() -> Vec<(&'static str, Footprint)> {
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
            "on a processor alone",
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
