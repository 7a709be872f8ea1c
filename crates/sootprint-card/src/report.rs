//! The `dia_report` of a card: Data and Impact Accounting, version 0.1, for programs that add up model families.
//!
//! Its JSON schema and its prose are Vector Institute's (`ai-impact-accounting`, Apache-2.0).

use sootprint_core::format::plain_decimal;
use sootprint_core::{Footprint, Kind, Method};

use crate::block::{OWN_SOURCE, VERSION, is_guessed};
use crate::card::ModelCard;
use crate::error::CardError;
use crate::options::{CardOptions, Relation};
use crate::section::device_seconds;
use crate::text::quoted;
use crate::write::base_model_of;
use crate::{block, keys};

/// The key of the report.
pub(crate) const REPORT: &str = "dia_report";

/// The key of its version, beside it.
pub(crate) const REPORT_VERSION: &str = "dia_version";

/// The version of the schema; a text, since `0.10` would be another version and the same number.
const VERSION_WRITTEN: &str = "\"0.1\"";

/// The card with the report of this run, or without one of ours when it is switched off.
pub(crate) fn with_report(
    card: &ModelCard,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<ModelCard, CardError> {
    if options.has_report() {
        let card = keys::with_key(card, REPORT_VERSION, VERSION_WRITTEN)?;
        return keys::with_key(&card, REPORT, &report(footprint, options)?);
    }
    match is_own(card) {
        true => keys::without_key(&keys::without_key(card, REPORT)?, REPORT_VERSION),
        false => Ok(card.clone()),
    }
}

/// Whether this crate wrote the card's report, by its `tool`.
pub(crate) fn is_own(card: &ModelCard) -> bool {
    let tool = || {
        let document = &card.front()?.document;
        let report = document.find(REPORT)?;
        let tool = document.entries(report.value).find(|entry| document.name(*entry) == Some("tool"))?;
        document.text(tool.value)
    };
    tool().is_some_and(|tool| tool.starts_with(OWN_SOURCE))
}

/// The report as the lines of a mapping, not indented.
///
/// Only what this run added is in it (`scope: incremental`): the base model's footprint is its own card's to report.
/// Water is left out, because nothing here measures it and a zero would be a claim.
fn report(footprint: &Footprint, options: &CardOptions) -> Result<String, CardError> {
    let mut lines = vec![format!("scope: {}", quoted("incremental"))];
    if let Some(base_model) = base_model_of(footprint) {
        lines.push("lineage:".to_owned());
        lines.push(format!("  - model: {}", quoted(base_model)));
        let relation = options.known_relation().map(Relation::as_str);
        lines.extend(relation.map(|relation| format!("    relation: {}", quoted(relation))));
    }
    lines.extend(compute(footprint)?);
    let kilowatt_hours = number("energy_kwh", footprint.energy.facility.kilowatt_hours(), 9)?;
    // The grams of the block, with the same digits.
    let kilograms = number("carbon_kgco2eq", footprint.emissions.best.grams() / 1e3, 7)?;
    lines.push("footprint:".to_owned());
    for (metric, value, quality) in [
        ("energy_kwh", kilowatt_hours, quality_of_energy(footprint)),
        ("carbon_kgco2eq", kilograms, quality_of_carbon(footprint)),
    ] {
        lines.push(format!("  {metric}:\n    value: {value}\n    quality: {}", quoted(quality)));
    }
    lines.push("context:".to_owned());
    let grid = &footprint.grid;
    let region = [&grid.region, &grid.zone, &grid.place].into_iter().find_map(Option::as_deref);
    let region = region.filter(|_| !is_guessed(footprint));
    lines.extend(region.map(|region| format!("  region: {}", quoted(region))));
    let intensity = number("carbon_intensity", grid.intensity.grams_per_kilowatt_hour(), 4)?;
    lines.push(format!("  carbon_intensity: {intensity}"));
    lines.push(format!("tool: {}", quoted(&format!("{}{VERSION}", block::OWN_SOURCE))));
    Ok(lines.join("\n") + "\n")
}

/// The boards, in the first board's name when there are several kinds of them, and their hours.
fn compute(footprint: &Footprint) -> Result<Vec<String>, CardError> {
    let mut names: Vec<&str> = Vec::new();
    let boards = footprint.components.iter().filter(|component| component.kind == Kind::Gpu);
    let count = boards.clone().count();
    for board in boards {
        if !names.contains(&board.name.as_str()) {
            names.push(&board.name);
        }
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let hours = number("duration_gpu_hours", device_seconds(footprint, Kind::Gpu) / 3_600.0, 6)?;
    Ok(vec![
        "compute:".to_owned(),
        format!("  hardware:\n    gpu: {}\n    count: {count}", quoted(&names.join(", "))),
        format!("  duration_gpu_hours: {hours}"),
    ])
}

/// `measured` is said only where all of it was: a modelled processor makes the sum an estimate.
fn quality_of_energy(footprint: &Footprint) -> &'static str {
    let is_measured = |method: Option<Method>| matches!(method, Some(Method::Counter | Method::Integrated));
    match footprint.components.iter().all(|component| is_measured(component.method)) {
        true => "measured",
        false => "estimated-from-hardware",
    }
}

/// From the region's intensity; where nobody named a region, a guess or the world's mean fills the gap.
fn quality_of_carbon(footprint: &Footprint) -> &'static str {
    let grid = &footprint.grid;
    let is_named = grid.place.is_some() && !is_guessed(footprint);
    match is_named || grid.method == sootprint_core::Figure::Given {
        true => "estimated-from-region",
        false => "imputed",
    }
}

fn number(key: &'static str, value: f64, decimals: usize) -> Result<String, CardError> {
    plain_decimal(value, decimals).ok_or(CardError::Amount { key, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn written(footprint: &Footprint, options: &CardOptions) -> String {
        report(footprint, options).unwrap().replace(VERSION, "X.Y")
    }

    #[test]
    fn a_fine_tuning_on_two_boards() {
        let options = CardOptions::default().relation(Relation::Adapter);
        insta::assert_snapshot!(written(&sample::fine_tuning("org/base"), &options), @r#"
        scope: "incremental"
        lineage:
          - model: "org/base"
            relation: "adapter"
        compute:
          hardware:
            gpu: "NVIDIA H200"
            count: 2
          duration_gpu_hours: 1
        footprint:
          energy_kwh:
            value: 0.726469444
            quality: "estimated-from-hardware"
          carbon_kgco2eq:
            value: 0.0406823
            quality: "estimated-from-region"
        context:
          region: "FR"
          carbon_intensity: 56
        tool: "sootprint X.Y"
        "#);
    }

    #[test]
    fn what_is_not_known_is_left_out() {
        let mut footprint = sample::fine_tuning("/home/alice/base");
        footprint.grid.place = None;
        footprint.grid.zone = None;
        footprint.components.retain(|component| component.kind != Kind::Gpu);
        footprint.components.iter_mut().for_each(|component| component.method = Some(Method::Counter));
        insta::assert_snapshot!(written(&footprint, &CardOptions::default()), @r#"
        scope: "incremental"
        footprint:
          energy_kwh:
            value: 0.726469444
            quality: "measured"
          carbon_kgco2eq:
            value: 0.0406823
            quality: "imputed"
        context:
          carbon_intensity: 56
        tool: "sootprint X.Y"
        "#);
    }

    #[test]
    fn a_region_that_is_guessed_is_left_out_and_said_to_be_filled_in() {
        let mut footprint = sample::footprint();
        assert!(written(&footprint, &CardOptions::default()).contains("region: \"FR\""));
        footprint.grid.origin = sootprint_core::Origin::TimeZone;
        let report = written(&footprint, &CardOptions::default());
        assert!(!report.contains("region:") && report.contains("quality: \"imputed\""), "{report}");
    }

    #[test]
    fn switched_off_it_takes_away_its_own_and_no_other() {
        let footprint = sample::footprint();
        let off = CardOptions::default().dia_report(false);
        let card = ModelCard::parse("---\nlicense: mit # ours\n---\n# T\n").unwrap();
        let with = with_report(&card, &footprint, &CardOptions::default()).unwrap();
        assert!(is_own(&with) && with.has(REPORT_VERSION));
        assert_eq!(with_report(&with, &footprint, &off).unwrap(), card);
        let foreign =
            ModelCard::parse("---\ndia_version: 0.1\ndia_report: {scope: incremental}\n---\n").unwrap();
        assert_eq!(with_report(&foreign, &footprint, &off).unwrap(), foreign);
    }
}
