//! Any bytes as a card: they are refused, or edited by the laws that `tests/laws.rs` and `tests/section_laws.rs` state.

#![no_main]

use std::sync::LazyLock;

use sootprint_card::{CardOptions, ModelCard, Relation, apply, apply_with};
use sootprint_core::Footprint;

use libfuzzer_sys::fuzz_target;

static PRE_TRAINING: LazyLock<Footprint> = LazyLock::new(|| {
    Footprint::from_json(include_str!("../../tests/footprint.json")).expect("the footprint is sound")
});

static FINE_TUNING: LazyLock<Footprint> = LazyLock::new(|| {
    let json = include_str!("../../tests/footprint.json").replace(
        "\"training_type\": \"pre-training\", \"base_model\": null",
        "\"training_type\": \"fine-tuning\", \"base_model\": \"org/base\"",
    );
    Footprint::from_json(&json).expect("the footprint is sound")
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(card) = ModelCard::from_bytes(bytes.to_vec()) else { return };
    let _ = card.emissions();
    let text = card.text().to_owned();
    let options = CardOptions::default().relation(Relation::Adapter);
    for footprint in [&*PRE_TRAINING, &*FINE_TUNING] {
        let Ok((once, _)) = apply_with(&text, footprint, &options) else { continue };
        let (twice, _) =
            apply_with(&once, footprint, &options).expect("what was written can be written again");
        assert_eq!(once, twice, "twice is once");
        let written = ModelCard::parse(once.as_str()).expect("what was written is a card");
        let emissions = written.emissions().expect("the emissions are a number").expect("and they are there");
        assert!((emissions.emissions.grams() - 40.6823).abs() < 1e-9);

        let back = written.without_section().expect("the region is sound");
        assert!(!back.text().contains("Accounted for by [sootprint]") || text.contains("Accounted for by"));
    }

    // A card that had nothing of ours comes back byte for byte.
    let mentions_ours = ["co2_eq_emissions", "dia_", "sootprint"].iter().any(|ours| text.contains(ours));
    let start =
        text.trim_start_matches(|character: char| character.is_whitespace() || character == '\u{feff}');
    let has_empty_front = start.starts_with("---");
    if mentions_ours || has_empty_front && card.without_emissions().is_err() {
        return;
    }
    let Ok((once, _)) = apply(&text, &PRE_TRAINING) else { return };
    let (no_report, _) = apply_with(&once, &PRE_TRAINING, &CardOptions::default().dia_report(false))
        .expect("the report can be taken away");
    let back = ModelCard::parse(no_report).and_then(|card| card.without_section()).expect("the section too");
    let back = back.without_emissions().expect("and the emissions").into_text();
    // A front matter without any key goes with ours: the Hub would take the text below it for YAML.
    if back != text {
        let is_empty = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
        let yaml = start.strip_prefix("---").unwrap_or_default();
        let yaml = yaml.lines().skip(1).take_while(|line| !line.starts_with("---"));
        assert!(has_empty_front && yaml.clone().all(is_empty), "{text:?} comes back as {back:?}");
    }
});
