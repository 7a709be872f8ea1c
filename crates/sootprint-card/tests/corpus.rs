//! Cards of every layout that is known to be difficult, before and after an edit, byte by byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "test helpers may panic")]

mod cases;

use std::fs;

use serde_yaml::{Mapping, Value};
use sootprint_card::{CardOptions, CardWriter, EmissionsBlock, ModelCard};

use cases::{MANAGED_KEYS, apply, cases_with_extension, editable_cards, footprint, front_matter_yaml};

fn expected_block() -> EmissionsBlock {
    let mut block = EmissionsBlock::from_footprint(&footprint()).unwrap();
    // The expected cards do not depend on the version of the crate.
    block.source = Some("sootprint 0.1 (GPU counter; CPU, memory modelled)".to_owned());
    block
}

/// The card with the version number of the expected cards.
fn with_fixed_version(card: &str) -> String {
    let version =
        concat!("sootprint ", env!("CARGO_PKG_VERSION_MAJOR"), ".", env!("CARGO_PKG_VERSION_MINOR"));
    card.replace(version, "sootprint 0.1")
}

#[test]
fn corpus_size_is_unchanged() {
    let count = |kind| cases_with_extension(kind).len();
    assert_eq!((count("expected.md"), count("applied.md"), count("error")), (47, 10, 22));
}

#[test]
fn block_edit_changes_no_other_byte() {
    for (path, wanted) in cases_with_extension("expected.md") {
        let card = ModelCard::open(&path).unwrap();
        let written = card
            .with_emissions(&expected_block())
            .unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(written.text(), wanted, "{}", path.display());
        let again = written.with_emissions(&expected_block()).unwrap();
        assert_eq!(again.text(), wanted, "{}, written twice", path.display());
    }
}

#[test]
fn full_edit_changes_no_other_byte() {
    for (path, wanted) in cases_with_extension("applied.md") {
        let card = fs::read_to_string(&path).unwrap();
        let (written, _) =
            apply(&card, &footprint()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(with_fixed_version(&written), wanted, "{}", path.display());
    }
}

#[test]
fn full_edit_is_idempotent_and_reversible() {
    let mut compared = 0;
    for (path, card) in editable_cards() {
        let (once, _) =
            apply(&card, &footprint()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let (twice, _) = apply(&once, &footprint()).unwrap();
        assert_eq!(once, twice, "{}", path.display());
        assert_eq!(once.matches("<!-- sootprint:end -->").count(), 1, "{}", path.display());

        // Removing the generated parts restores the card byte for byte, except for replaced values and an empty front
        // matter.
        let had_managed_keys =
            front_matter_yaml(&card).contains("co2_eq_emissions") || card.contains("dia_report");
        if had_managed_keys || card.starts_with("---") && front_matter_yaml(&card).trim().is_empty() {
            continue;
        }
        let no_report = CardOptions::default().dia_report(false);
        let (block_and_section, _) = CardWriter::new(&footprint()).options(no_report).apply(&once).unwrap();
        assert_eq!(without_generated_parts(&block_and_section), card, "{}", path.display());
        compared += 1;
    }
    assert!(compared >= 32, "{compared} cards");
}

fn without_generated_parts(card: &str) -> String {
    ModelCard::parse(card).unwrap().without_emissions().unwrap().without_section().unwrap().into_text()
}

#[test]
fn serde_yaml_reads_same_other_keys() {
    for (path, card) in editable_cards() {
        let (written, _) = apply(&card, &footprint()).unwrap();
        let (mut before, mut after) = (parse_front_matter(&card), parse_front_matter(&written));
        let old_emissions = before.shift_remove("co2_eq_emissions");
        let emissions = after.shift_remove("co2_eq_emissions").unwrap();
        let report = after.get("dia_report").unwrap()["footprint"]["energy_kwh"]["value"].as_f64();
        assert_eq!(report, Some(0.726), "{}", path.display());
        for key in MANAGED_KEYS {
            before.shift_remove(key);
            after.shift_remove(key);
        }
        assert_eq!(debug_text(&after), debug_text(&before), "{}", path.display());

        assert_eq!(emissions["emissions"].as_f64(), Some(40.7), "{}", path.display());
        assert_eq!(emissions["energy_consumed"].as_f64(), Some(0.726), "{}", path.display());
        assert_eq!(emissions["training_type"], "pre-training", "{}", path.display());
        assert_eq!(emissions["geographical_location"], "France", "{}", path.display());
        assert_eq!(emissions["hardware_used"], "2 x NVIDIA H200", "{}", path.display());
        let managed = [
            "emissions",
            "source",
            "training_type",
            "geographical_location",
            "hardware_used",
            "energy_consumed",
        ];
        for (key, value) in old_emissions.as_ref().and_then(Value::as_mapping).into_iter().flatten() {
            if !managed.contains(&key.as_str().unwrap()) {
                assert_eq!(emissions[key], *value, "{}: {key:?}", path.display());
            }
        }
    }
}

#[test]
fn uneditable_cards_are_left_untouched() {
    let dir = tempfile::tempdir().unwrap();
    for (path, wanted) in cases_with_extension("error") {
        let card = dir.path().join("README.md");
        let bytes = fs::read(&path).unwrap();
        fs::write(&card, &bytes).unwrap();
        let error = CardWriter::new(&footprint()).write(&card).unwrap_err();
        assert_eq!(error.without_path().to_string(), wanted.trim_end(), "{}", path.display());
        assert!(error.to_string().starts_with(&format!("{}: line ", card.display())), "{error}");
        assert_eq!(fs::read(&card).unwrap(), bytes, "{} is modified", path.display());
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1, "{} leaves a file behind", path.display());
    }
}

/// The front matter, parsed by another YAML parser.
fn parse_front_matter(card: &str) -> Mapping {
    match serde_yaml::from_str(&front_matter_yaml(card)).unwrap() {
        Value::Null => Mapping::new(),
        Value::Mapping(mapping) => mapping,
        other => panic!("{other:?} is not a mapping"),
    }
}

/// The mapping as text, in which NaN equals NaN.
fn debug_text(mapping: &Mapping) -> String {
    format!("{mapping:?}")
}
