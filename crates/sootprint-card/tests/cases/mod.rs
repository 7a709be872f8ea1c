//! The cards of the corpus, for the tests that use them.

use std::fs;
use std::path::{Path, PathBuf};

use sootprint_card::{CardError, CardUpdate, CardWriter};
use sootprint_core::Footprint;

/// The keys of the front matter that the crate writes.
pub(crate) const MANAGED_KEYS: [&str; 3] = ["co2_eq_emissions", "dia_version", "dia_report"];

/// The footprint in the expected cards.
pub(crate) fn footprint() -> Footprint {
    Footprint::from_json(include_str!("../footprint.json")).unwrap()
}

pub(crate) fn apply(text: &str, footprint: &Footprint) -> Result<(String, CardUpdate), CardError> {
    CardWriter::new(footprint).apply(text)
}

/// The cards of the corpus with a file of this extension next to them, and its content.
pub(crate) fn cases_with_extension(kind: &str) -> Vec<(PathBuf, String)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    let mut cases: Vec<_> = fs::read_dir(corpus)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|card| Some((fs::read_to_string(card.with_extension(kind)).ok()?, card)))
        .filter(|(_, card)| card.extension().is_some_and(|extension| extension == "md"))
        .map(|(wanted, card)| (card, wanted))
        .collect();
    cases.sort();
    cases
}

/// The cards that can be edited.
pub(crate) fn editable_cards() -> Vec<(PathBuf, String)> {
    let cards = cases_with_extension("expected.md").into_iter().chain(cases_with_extension("applied.md"));
    cards
        .map(|(path, _)| (fs::read_to_string(&path).unwrap(), path))
        .map(|(text, path)| (path, text))
        .collect()
}

/// The YAML of a card, with line feeds, located by a second implementation of the Hub's grammar.
pub(crate) fn front_matter_yaml(card: &str) -> String {
    let card = card.trim_start_matches('\u{feff}').trim_start().replace("\r\n", "\n");
    let Some(rest) = card.strip_prefix("---\n") else { return String::new() };
    let end = if rest.starts_with("---") { Some(0) } else { rest.find("\n---").map(|end| end + 1) };
    rest[..end.unwrap()].to_owned()
}
