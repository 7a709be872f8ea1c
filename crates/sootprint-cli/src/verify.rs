//! `sootprint verify`: compares `footprint.json` and the model card with a footprint rebuilt from the ledgers.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use sootprint::{Footprint, load_footprint};
use sootprint_card::{EmissionsBlock, ModelCard};

use crate::args::VerifyArgs;
use crate::records::recorded_runs;
use crate::terminal::{eprint_message, print, to_pretty_json};

/// Allowed relative difference: the rebuilt figures may be summed in another order.
const RELATIVE_TOLERANCE: f64 = 1e-9;

/// Half a unit of the card's last decimal.
const GRAMS_TOLERANCE: f64 = 5e-5;
const KILOWATT_HOURS_TOLERANCE: f64 = 5e-10;

/// The prefix of `source` in a block that sootprint wrote.
const OWN_SOURCE_PREFIX: &str = "sootprint ";

/// Prints the differences.
///
/// # Errors
/// If anything differs, or there is nothing to compare.
pub(crate) fn verify(arguments: &VerifyArgs) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    let path = dir.join(Footprint::FILE_NAME);
    if !path.exists() && !recorded_runs(dir)?.is_empty() {
        let dir = dir.display();
        bail!(
            "nothing to verify in {dir}: the newest run was killed or is still running; see `sootprint report {dir}`"
        );
    }
    let saved = Footprint::read(&path).with_context(|| format!("cannot use {}", path.display()))?;
    let rebuilt = load_footprint(dir, Some(&saved.run.id))
        .with_context(|| format!("cannot rebuild {} from its ledgers", path.display()))?;
    let mut differences = footprint_differences(&saved, &rebuilt)?;
    let card = card_path(arguments);
    match &card {
        Some(path) => differences.extend(card_differences(path, &rebuilt)?),
        None => eprint_message(format_args!("no card to compare in {}", dir.display())),
    }

    let run = saved.run.id.as_str();
    if arguments.json {
        let report = VerifyReport { run, card: card.as_deref(), differences: &differences };
        print(&to_pretty_json(&report)?)?;
    } else if differences.is_empty() {
        print(&format!("run {run} matches its ledgers\n"))?;
    } else {
        print(&(differences.join("\n") + "\n"))?;
    }
    match differences.len() {
        0 => Ok(()),
        1 => bail!("run {run} does not match its ledgers: 1 difference"),
        count => bail!("run {run} does not match its ledgers: {count} differences"),
    }
}

/// The outcome as JSON.
#[derive(Serialize)]
struct VerifyReport<'a> {
    run: &'a str,
    /// The compared card, if one was found.
    card: Option<&'a Path>,
    differences: &'a [String],
}

fn card_path(arguments: &VerifyArgs) -> Option<PathBuf> {
    let readme = arguments.dir.join("README.md");
    arguments.card.clone().or_else(|| readme.is_file().then_some(readme))
}

fn footprint_differences(saved: &Footprint, rebuilt: &Footprint) -> anyhow::Result<Vec<String>> {
    let mut differences = Vec::new();
    collect_differences("", &comparable_values(saved)?, &comparable_values(rebuilt)?, &mut differences);
    Ok(differences.into_iter().map(|it| format!("{}: {it}", Footprint::FILE_NAME)).collect())
}

/// The footprint without its notes: a recorder can note losses that the ledger does not show.
fn comparable_values(footprint: &Footprint) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(footprint)?;
    if let Some(footprint) = value.as_object_mut() {
        footprint.remove("notes");
    }
    Ok(value)
}

fn collect_differences(path: &str, saved: &Value, rebuilt: &Value, differences: &mut Vec<String>) {
    let child_path = |key: &str| if path.is_empty() { key.to_owned() } else { format!("{path}.{key}") };
    match (saved, rebuilt) {
        (Value::Object(saved), Value::Object(rebuilt)) => {
            let keys = saved.keys().chain(rebuilt.keys().filter(|key| !saved.contains_key(*key)));
            for key in keys {
                let [one, other] = [saved, rebuilt].map(|it| it.get(key).unwrap_or(&Value::Null));
                collect_differences(&child_path(key), one, other, differences);
            }
        }
        (Value::Array(saved), Value::Array(rebuilt)) if saved.len() == rebuilt.len() => {
            for (index, (one, other)) in saved.iter().zip(rebuilt).enumerate() {
                collect_differences(&format!("{path}[{index}]"), one, other, differences);
            }
        }
        (Value::Array(saved), Value::Array(rebuilt)) => {
            differences.push(format!(
                "{path} has {} entries, the ledgers have {}",
                saved.len(),
                rebuilt.len()
            ));
        }
        (Value::Number(one), Value::Number(other)) if is_close(one.as_f64(), other.as_f64()) => {}
        (saved, rebuilt) if saved == rebuilt => {}
        (saved, rebuilt) => differences.push(format!("{path} is {saved}, the ledgers have {rebuilt}")),
    }
}

fn is_close(one: Option<f64>, other: Option<f64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    (one - other).abs() <= RELATIVE_TOLERANCE * one.abs().max(other.abs())
}

fn card_differences(path: &Path, rebuilt: &Footprint) -> anyhow::Result<Vec<String>> {
    let name = path.display();
    let Some(actual) = ModelCard::open(path)?.emissions().with_context(|| format!("{name}"))? else {
        eprint_message(format_args!("no emissions to compare in {name}"));
        return Ok(Vec::new());
    };
    if !actual.source.as_deref().is_some_and(|source| source.starts_with(OWN_SOURCE_PREFIX)) {
        return Ok(vec![format!("{name}: emissions not written by sootprint")]);
    }
    let expected = EmissionsBlock::from_footprint(rebuilt)?;
    Ok(block_differences(&actual, &expected).into_iter().map(|it| format!("{name}: {it}")).collect())
}

fn block_differences(actual: &EmissionsBlock, expected: &EmissionsBlock) -> Vec<String> {
    let mut differences = Vec::new();
    let grams = |block: &EmissionsBlock| Some(block.emissions.grams());
    let energy = |block: &EmissionsBlock| block.energy_consumed.map(|energy| energy.kilowatt_hours());
    for (key, actual, expected, tolerance) in [
        ("emissions", grams(actual), grams(expected), GRAMS_TOLERANCE),
        ("energy_consumed", energy(actual), energy(expected), KILOWATT_HOURS_TOLERANCE),
    ] {
        if !is_rounded_equal(actual, expected, tolerance) {
            let [actual, expected] = [actual, expected].map(number_or_nothing);
            differences.push(format!("{key} is {actual}, the ledgers have {expected}"));
        }
    }
    for (key, actual, expected) in [
        ("source", &actual.source, &expected.source),
        ("training_type", &actual.training_type, &expected.training_type),
        ("geographical_location", &actual.geographical_location, &expected.geographical_location),
        ("hardware_used", &actual.hardware_used, &expected.hardware_used),
    ] {
        if actual != expected {
            let [actual, expected] = [actual, expected].map(|it| it.as_deref().unwrap_or("nothing"));
            differences.push(format!("{key} is {actual}, the ledgers have {expected}"));
        }
    }
    differences
}

/// Whether the value in the card is the expected one, rounded to the card's last decimal.
fn is_rounded_equal(actual: Option<f64>, expected: Option<f64>, rounding: f64) -> bool {
    match (actual, expected) {
        (Some(actual), Some(expected)) => {
            // A value below the last decimal is written as one unit of it.
            let tolerance = if expected < 2.0 * rounding { 2.0 * rounding } else { rounding };
            (actual - expected).abs() <= tolerance * (1.0 + RELATIVE_TOLERANCE)
        }
        (actual, expected) => actual == expected,
    }
}

fn number_or_nothing(value: Option<f64>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |figure| figure.to_string())
}
