//! `sootprint verify`: the footprint again from the ledgers, against what was written of it.

use std::fs;
use std::path::Path;

use anyhow::{Context as _, bail};
use serde::Serialize;
use serde_json::Value;
use sootprint::{FILE_NAME, Footprint, recover};
use sootprint_card::{EmissionsBlock, ModelCard};

use crate::arguments::VerifyArguments;
use crate::terminal::{json, print, say};

/// Figures that are computed again in another order may differ by so much of themselves.
const ROUNDING: f64 = 1e-9;

/// Half a step of the card's last decimal.
const GRAMS: f64 = 5e-5;
const KILOWATT_HOURS: f64 = 5e-10;

/// How the `source` of a block begins that sootprint wrote.
const OWN_SOURCE: &str = "sootprint ";

/// Prints what differs.
///
/// # Errors
/// When anything differs, or when there is nothing to compare.
pub(crate) fn verify(arguments: &VerifyArguments) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    let path = dir.join(FILE_NAME);
    let saved = Footprint::read(&path)?;
    let again = recover(dir, Some(&saved.run.id))
        .with_context(|| format!("the run of {} cannot be made again", path.display()))?;
    let mut differences = Vec::new();
    compare("", &figures(&saved)?, &figures(&again)?, &mut differences);
    let differences: Vec<String> = differences.into_iter().map(|it| format!("{FILE_NAME}: {it}")).collect();
    let card = card(arguments);
    let in_card = match &card {
        Some(path) => card_differences(path, &again)?,
        None => {
            say(format_args!("{} has no card to compare", dir.display()));
            Vec::new()
        }
    };
    let all = [differences, in_card].concat();
    if arguments.json {
        print(&json(&Verified { run: &saved.run.id, card: card.as_deref(), differences: &all })?)?;
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
struct Verified<'a> {
    run: &'a str,
    /// The card that was compared; none when there is none.
    card: Option<&'a Path>,
    differences: &'a [String],
}

fn card(arguments: &VerifyArguments) -> Option<std::path::PathBuf> {
    let readme = arguments.dir.join("README.md");
    arguments.card.clone().or_else(|| readme.is_file().then_some(readme))
}

/// All but the notes: who writes a ledger hears of losses that who reads it cannot know.
fn figures(footprint: &Footprint) -> anyhow::Result<Value> {
    let mut value = serde_json::to_value(footprint)?;
    if let Some(footprint) = value.as_object_mut() {
        footprint.remove("notes");
    }
    Ok(value)
}

fn compare(at: &str, saved: &Value, again: &Value, differences: &mut Vec<String>) {
    let inside = |key: &str| if at.is_empty() { key.to_owned() } else { format!("{at}.{key}") };
    match (saved, again) {
        (Value::Object(saved), Value::Object(again)) => {
            let keys = saved.keys().chain(again.keys().filter(|key| !saved.contains_key(*key)));
            for key in keys {
                let [one, other] = [saved, again].map(|it| it.get(key).unwrap_or(&Value::Null));
                compare(&inside(key), one, other, differences);
            }
        }
        (Value::Array(saved), Value::Array(again)) if saved.len() == again.len() => {
            for (index, (one, other)) in saved.iter().zip(again).enumerate() {
                compare(&format!("{at}[{index}]"), one, other, differences);
            }
        }
        (Value::Array(saved), Value::Array(again)) => {
            differences.push(format!("{at} has {} entries, the ledgers say {}", saved.len(), again.len()));
        }
        (Value::Number(one), Value::Number(other)) if is_near(one.as_f64(), other.as_f64()) => {}
        (saved, again) if saved == again => {}
        (saved, again) => differences.push(format!("{at} is {saved}, the ledgers say {again}")),
    }
}

fn is_near(one: Option<f64>, other: Option<f64>) -> bool {
    let (Some(one), Some(other)) = (one, other) else { return false };
    (one - other).abs() <= ROUNDING * one.abs().max(other.abs())
}

fn card_differences(path: &Path, again: &Footprint) -> anyhow::Result<Vec<String>> {
    let name = path.display();
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {name}"))?;
    let Some(found) =
        ModelCard::parse(text).and_then(|card| card.emissions()).with_context(|| format!("{name}"))?
    else {
        say(format_args!("{name} has no emissions to compare"));
        return Ok(Vec::new());
    };
    if !found.source.as_deref().is_some_and(|source| source.starts_with(OWN_SOURCE)) {
        return Ok(vec![format!("{name}: its emissions are not from sootprint")]);
    }
    let wanted = EmissionsBlock::from_footprint(again)?;
    let mut differences = Vec::new();
    let mut number = |key: &str, found: Option<f64>, wanted: Option<f64>, rounding: f64| {
        let is_same = match (found, wanted) {
            // What is below the last decimal is written as one step of it.
            (Some(found), Some(wanted)) => {
                let slack = if wanted < 2.0 * rounding { 2.0 * rounding } else { rounding };
                (found - wanted).abs() <= slack * (1.0 + ROUNDING)
            }
            (found, wanted) => found == wanted,
        };
        if !is_same {
            differences.push(format!("{name}: {key} is {}, the ledgers say {}", said(found), said(wanted)));
        }
    };
    let energy = |block: &EmissionsBlock| block.energy_consumed.map(|energy| energy.kilowatt_hours());
    number("emissions", Some(found.emissions.grams()), Some(wanted.emissions.grams()), GRAMS);
    number("energy_consumed", energy(&found), energy(&wanted), KILOWATT_HOURS);
    for (key, found, wanted) in [
        ("source", &found.source, &wanted.source),
        ("training_type", &found.training_type, &wanted.training_type),
        ("geographical_location", &found.geographical_location, &wanted.geographical_location),
        ("hardware_used", &found.hardware_used, &wanted.hardware_used),
    ] {
        if found != wanted {
            let [found, wanted] = [found, wanted].map(|it| it.as_deref().unwrap_or("nothing"));
            differences.push(format!("{name}: {key} is {found}, the ledgers say {wanted}"));
        }
    }
    Ok(differences)
}

fn said(figure: Option<f64>) -> String {
    figure.map_or_else(|| "nothing".to_owned(), |figure| figure.to_string())
}
