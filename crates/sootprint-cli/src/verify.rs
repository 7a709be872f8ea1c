//! `sootprint verify`: the footprint again from the ledgers, against what was written of it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use sootprint::{Footprint, load_footprint};
use sootprint_card::{EmissionsBlock, ModelCard};

use crate::args::VerifyArgs;
use crate::terminal::{eprint_message, print, to_pretty_json};

/// Figures that are computed again in another order may differ by so much of themselves.
const RELATIVE_TOLERANCE: f64 = 1e-9;

/// Half a step of the card's last decimal.
const GRAMS_TOLERANCE: f64 = 5e-5;
const KILOWATT_HOURS_TOLERANCE: f64 = 5e-10;

/// How the `source` of a block begins that sootprint wrote.
const OWN_SOURCE_PREFIX: &str = "sootprint ";

/// Prints what differs.
///
/// # Errors
/// When anything differs, or when there is nothing to compare.
pub(crate) fn verify(arguments: &VerifyArgs) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    let path = dir.join(Footprint::FILE_NAME);
    let saved = Footprint::read(&path)?;
    let rebuilt = load_footprint(dir, Some(&saved.run.id))
        .with_context(|| format!("the run of {} cannot be made again", path.display()))?;
    let mut differences = Vec::new();
    collect_differences("", &comparable_values(&saved)?, &comparable_values(&rebuilt)?, &mut differences);
    let differences: Vec<String> =
        differences.into_iter().map(|it| format!("{}: {it}", Footprint::FILE_NAME)).collect();
    let card = card_path(arguments);
    let in_card = match &card {
        Some(path) => card_differences(path, &rebuilt)?,
        None => {
            eprint_message(format_args!("{} has no card to compare", dir.display()));
            Vec::new()
        }
    };
    let all = [differences, in_card].concat();
    if arguments.json {
        print(&to_pretty_json(&VerifyReport {
            run: &saved.run.id,
            card: card.as_deref(),
            differences: &all,
        })?)?;
    } else if all.is_empty() {
        print(&format!("{} is what its ledgers say\n", saved.run.id))?;
    } else {
        print(&(all.join("\n") + "\n"))?;
    }
    if all.is_empty() {
        return Ok(());
    }
    bail!("of the run {} the ledgers say something else: differences {}", saved.run.id, all.len())
}

/// The outcome as JSON.
#[derive(Serialize)]
struct VerifyReport<'a> {
    run: &'a str,
    /// The card that was compared; none when there is none.
    card: Option<&'a Path>,
    differences: &'a [String],
}

fn card_path(arguments: &VerifyArgs) -> Option<std::path::PathBuf> {
    let readme = arguments.dir.join("README.md");
    arguments.card.clone().or_else(|| readme.is_file().then_some(readme))
}

/// All but the notes: who writes a ledger hears of losses that who reads it cannot know.
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
                "{path} has {} entries, the ledgers say {}",
                saved.len(),
                rebuilt.len()
            ));
        }
        (Value::Number(one), Value::Number(other)) if is_close(one.as_f64(), other.as_f64()) => {}
        (saved, rebuilt) if saved == rebuilt => {}
        (saved, rebuilt) => differences.push(format!("{path} is {saved}, the ledgers say {rebuilt}")),
    }
}

fn is_close(one: Option<f64>, other: Option<f64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    (one - other).abs() <= RELATIVE_TOLERANCE * one.abs().max(other.abs())
}

fn card_differences(path: &Path, rebuilt: &Footprint) -> anyhow::Result<Vec<String>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let Some(actual) =
        ModelCard::parse(text).and_then(|card| card.emissions()).with_context(|| format!("{name}"))?
    else {
        eprint_message(format_args!("{name} has no emissions to compare"));
        return Ok(Vec::new());
    };
    if !actual.source.as_deref().is_some_and(|source| source.starts_with(OWN_SOURCE_PREFIX)) {
        return Ok(vec![format!("{name}: its emissions are not from sootprint")]);
    }
    let expected = EmissionsBlock::from_footprint(rebuilt)?;
    let mut differences = Vec::new();
    let mut number = |key: &str, actual: Option<f64>, expected: Option<f64>, rounding: f64| {
        let is_same = match (actual, expected) {
            // What is below the last decimal is written as one step of it.
            (Some(actual), Some(expected)) => {
                let tolerance = if expected < 2.0 * rounding { 2.0 * rounding } else { rounding };
                (actual - expected).abs() <= tolerance * (1.0 + RELATIVE_TOLERANCE)
            }
            (actual, expected) => actual == expected,
        };
        if !is_same {
            differences.push(format!(
                "{name}: {key} is {}, the ledgers say {}",
                number_or_nothing(actual),
                number_or_nothing(expected)
            ));
        }
    };
    let energy = |block: &EmissionsBlock| block.energy_consumed.map(|energy| energy.kilowatt_hours());
    number("emissions", Some(actual.emissions.grams()), Some(expected.emissions.grams()), GRAMS_TOLERANCE);
    number("energy_consumed", energy(&actual), energy(&expected), KILOWATT_HOURS_TOLERANCE);
    for (key, actual, expected) in [
        ("source", &actual.source, &expected.source),
        ("training_type", &actual.training_type, &expected.training_type),
        ("geographical_location", &actual.geographical_location, &expected.geographical_location),
        ("hardware_used", &actual.hardware_used, &expected.hardware_used),
    ] {
        if actual != expected {
            let [actual, expected] = [actual, expected].map(|it| it.as_deref().unwrap_or("nothing"));
            differences.push(format!("{name}: {key} is {actual}, the ledgers say {expected}"));
        }
    }
    Ok(differences)
}

fn number_or_nothing(value: Option<f64>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |figure| figure.to_string())
}
