//! Writes the cards of the corpus before and after an edit, and new cards, into a folder for another client to read.
//!
//! `tests/hub_reads_cards.py` is that client: `cargo run -p sootprint-card --example write_cards -- FOLDER`.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use sootprint_card::{BaseModelRelation, CardOptions, CardTemplate, CardWriter};
use sootprint_core::{Co2e, Footprint};

/// Grams, from the smallest to the largest amount that a card can hold.
const AMOUNTS: [f64; 10] =
    [1e-9, 0.000_049, 0.000_06, 0.001, 0.5, 7.125, 1_234.567_89, 98_765_432.1, 1e12, 9.9e15];

fn main() -> Result<(), Box<dyn Error>> {
    let folder = PathBuf::from(std::env::args().nth(1).ok_or("usage: write_cards FOLDER")?);
    fs::create_dir_all(&folder)?;
    let mut written = Vec::new();
    let footprint = Footprint::from_json(include_str!("../tests/footprint.json"))?;
    for path in editable_cards(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus"))? {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let before = fs::read_to_string(&path)?;
        fs::write(folder.join(format!("{name}.before.md")), &before)?;
        fs::write(folder.join(format!("{name}.md")), CardWriter::new(&footprint).apply(&before)?.0)?;
        written.push(json!({"name": name, "grams": footprint.emissions.best, "has_before": true}));
    }
    for (number, grams) in AMOUNTS.into_iter().enumerate() {
        let name = format!("amount-{number}");
        let mut footprint = footprint.clone();
        footprint.emissions.best = Co2e::from_grams(grams);
        let template = CardTemplate::default().title(&name).library("candle").tag("tests");
        let card = CardWriter::new(&footprint).template(template).render()?;
        fs::write(folder.join(format!("{name}.md")), card)?;
        written.push(json!({"name": name, "grams": grams, "has_before": false}));
    }
    let options = CardOptions::default().relation(BaseModelRelation::Adapter);
    let fine_tuning = fine_tuning_footprint()?;
    let (card, _) = CardWriter::new(&fine_tuning).options(options).apply("# Fine-tuned\n")?;
    fs::write(folder.join("fine-tuning.md"), card)?;
    written.push(json!({
        "name": "fine-tuning", "grams": footprint.emissions.best, "has_before": false,
        "base_model": "org/base", "base_model_relation": "adapter",
    }));
    fs::write(folder.join("written.json"), serde_json::to_string_pretty(&written)?)?;
    Ok(())
}

/// The cards of the corpus that can be edited, in order.
fn editable_cards(corpus: &Path) -> Result<Vec<PathBuf>, Box<dyn Error>> {
    let mut cards = Vec::new();
    for entry in fs::read_dir(corpus)? {
        let path = entry?.path();
        let has = |kind: &str| path.with_extension(kind).exists();
        if path.extension().is_some_and(|it| it == "md") && (has("expected.md") || has("applied.md")) {
            cards.push(path);
        }
    }
    cards.sort();
    Ok(cards)
}

fn fine_tuning_footprint() -> Result<Footprint, Box<dyn Error>> {
    let mut footprint: serde_json::Value = serde_json::from_str(include_str!("../tests/footprint.json"))?;
    footprint["run"]["training_type"] = "fine-tuning".into();
    footprint["run"]["base_model"] = "org/base".into();
    Ok(serde_json::from_value(footprint)?)
}
