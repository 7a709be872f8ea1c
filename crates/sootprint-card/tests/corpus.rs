//! Cards of every shape that is known to be difficult, before and after, byte by byte.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a helper of a test may stop at the first surprise")]

use std::fs;
use std::path::{Path, PathBuf};

use serde_yaml::{Mapping, Value};
use sootprint::{Co2e, Energy};
use sootprint_card::{EmissionsBlock, ModelCard};

fn block() -> EmissionsBlock {
    let mut block = EmissionsBlock::new(Co2e::from_grams(40.682_29));
    block.source = Some("sootprint 0.1 (GPU counter; CPU, memory modelled)".to_owned());
    block.training_type = Some("pre-training".to_owned());
    block.geographical_location = Some("France".to_owned());
    block.hardware_used = Some("2 x NVIDIA H200".to_owned());
    block.energy_consumed = Some(Energy::from_joules(2_615_290.0));
    block
}

/// The cards of the corpus with this kind of file beside them.
fn cases(beside: &str) -> Vec<(PathBuf, String)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut cases: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|card| Some((fs::read_to_string(card.with_extension(beside)).ok()?, card)))
        .filter(|(_, card)| card.extension().is_some_and(|extension| extension == "md"))
        .map(|(wanted, card)| (card, wanted))
        .collect();
    cases.sort();
    cases
}

#[test]
fn the_block_is_written_and_no_other_byte_moves() {
    let cases = cases("expected.md");
    assert_eq!(cases.len(), 29);
    for (path, wanted) in cases {
        let card = ModelCard::open(&path).unwrap();
        let written =
            card.with_emissions(&block()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(written.text(), wanted, "{}", path.display());
        let again = written.with_emissions(&block()).unwrap();
        assert_eq!(again.text(), wanted, "{}, written twice", path.display());
    }
}

#[test]
fn another_parser_reads_the_same_of_all_other_keys() {
    for (path, wanted) in cases("expected.md") {
        let before = values(&fs::read_to_string(&path).unwrap());
        let mut after = values(&wanted);
        let ours = after.shift_remove("co2_eq_emissions").unwrap();
        let mut others = before;
        let old = others.shift_remove("co2_eq_emissions");
        assert_eq!(after, others, "{}", path.display());

        assert_eq!(ours["emissions"].as_f64(), Some(40.6823), "{}", path.display());
        assert_eq!(ours["energy_consumed"].as_f64(), Some(0.726_469_444), "{}", path.display());
        assert_eq!(ours["training_type"], "pre-training", "{}", path.display());
        assert_eq!(ours["geographical_location"], "France", "{}", path.display());
        assert_eq!(ours["hardware_used"], "2 x NVIDIA H200", "{}", path.display());
        for (key, value) in old.as_ref().and_then(Value::as_mapping).into_iter().flatten() {
            if !["emissions", "source", "training_type"].contains(&key.as_str().unwrap()) {
                assert_eq!(ours[key], *value, "{}: {key:?}", path.display());
            }
        }
    }
}

#[test]
fn what_cannot_be_edited_is_refused_with_its_place() {
    let cases = cases("error");
    assert_eq!(cases.len(), 18);
    for (path, wanted) in cases {
        let error = ModelCard::open(&path).and_then(|card| card.with_emissions(&block())).unwrap_err();
        assert_eq!(error.problem().to_string(), wanted.trim_end(), "{}", path.display());
    }
}

/// The front matter as another parser reads it, found by another reading of the Hub's grammar.
fn values(card: &str) -> Mapping {
    let card = card.trim_start_matches('\u{feff}').trim_start().replace("\r\n", "\n");
    let Some(rest) = card.strip_prefix("---\n") else { return Mapping::new() };
    let end = if rest.starts_with("---") { Some(0) } else { rest.find("\n---").map(|end| end + 1) };
    match serde_yaml::from_str(&rest[..end.unwrap()]).unwrap() {
        Value::Null => Mapping::new(),
        Value::Mapping(mapping) => mapping,
        other => panic!("{other:?} is no mapping"),
    }
}
