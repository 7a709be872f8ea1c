//! The `dia_report` of a card: Data and Impact Accounting, version 0.1, for programs that add up model families.
//!
//! Its JSON schema and its prose are Vector Institute's (`ai-impact-accounting`, Apache-2.0).

use sootprint_core::format::plain_decimal;
use sootprint_core::{ComponentKind, Footprint, MeasurementMethod};

use crate::card::ModelCard;
use crate::card_writer::base_model_repo_id;
use crate::emissions_block::{SHORT_VERSION, SOURCE_PREFIX, is_location_guessed};
use crate::error::CardError;
use crate::impact_section::device_seconds;
use crate::options::{BaseModelRelation, CardOptions};
use crate::text::double_quote;
use crate::{emissions_block, keys};

/// The key of the report.
pub(crate) const REPORT_KEY: &str = "dia_report";

/// The key of its version, beside it.
pub(crate) const REPORT_VERSION_KEY: &str = "dia_version";

/// The version of the schema; a text, since `0.10` would be another version and the same number.
const QUOTED_SCHEMA_VERSION: &str = "\"0.1\"";

/// The card with the report of this run, or without one of ours when it is switched off.
pub(crate) fn with_dia_report(
    card: &ModelCard,
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<ModelCard, CardError> {
    if options.includes_dia_report() {
        let card = keys::with_key(card, REPORT_VERSION_KEY, QUOTED_SCHEMA_VERSION)?;
        return keys::with_key(&card, REPORT_KEY, &render_report(footprint, options)?);
    }
    match is_generated(card) {
        true => keys::without_key(&keys::without_key(card, REPORT_KEY)?, REPORT_VERSION_KEY),
        false => Ok(card.clone()),
    }
}

/// Whether this crate wrote the card's report, by its `tool`.
pub(crate) fn is_generated(card: &ModelCard) -> bool {
    let tool = || {
        let document = &card.front_matter()?.document;
        let report = document.find_entry(REPORT_KEY)?;
        let tool = document.entries(report.value).find(|entry| document.entry_key(*entry) == Some("tool"))?;
        document.scalar_text(tool.value)
    };
    tool().is_some_and(|tool| tool.starts_with(SOURCE_PREFIX))
}

/// The report as the lines of a mapping, not indented.
///
/// Only what this run added is in it (`scope: incremental`): the base model's footprint is its own card's to report.
/// Water is left out, because nothing here measures it and a zero would be a claim.
fn render_report(footprint: &Footprint, options: &CardOptions) -> Result<String, CardError> {
    let mut lines = vec![format!("scope: {}", double_quote("incremental"))];
    if let Some(base_model) = base_model_repo_id(footprint) {
        lines.push("lineage:".to_owned());
        lines.push(format!("  - model: {}", double_quote(base_model)));
        let relation = options.base_model_relation().map(BaseModelRelation::as_str);
        lines.extend(relation.map(|relation| format!("    relation: {}", double_quote(relation))));
    }
    lines.extend(compute_lines(footprint)?);
    let kilowatt_hours = format_number("energy_kwh", footprint.energy.facility.kilowatt_hours(), 9)?;
    // The grams of the block, with the same digits.
    let kilograms = format_number("carbon_kgco2eq", footprint.emissions.best.grams() / 1e3, 7)?;
    lines.push("footprint:".to_owned());
    for (metric, value, quality) in [
        ("energy_kwh", kilowatt_hours, energy_quality(footprint)),
        ("carbon_kgco2eq", kilograms, carbon_quality(footprint)),
    ] {
        lines.push(format!("  {metric}:\n    value: {value}\n    quality: {}", double_quote(quality)));
    }
    lines.push("context:".to_owned());
    let grid = &footprint.grid;
    let region = [&grid.region, &grid.zone, &grid.place].into_iter().find_map(Option::as_deref);
    let region = region.filter(|_| !is_location_guessed(footprint));
    lines.extend(region.map(|region| format!("  region: {}", double_quote(region))));
    let intensity = format_number("carbon_intensity", grid.intensity.grams_per_kilowatt_hour(), 4)?;
    lines.push(format!("  carbon_intensity: {intensity}"));
    lines.push(format!(
        "tool: {}",
        double_quote(&format!("{}{SHORT_VERSION}", emissions_block::SOURCE_PREFIX))
    ));
    Ok(lines.join("\n") + "\n")
}

/// The boards, in the first board's name when there are several kinds of them, and their hours.
fn compute_lines(footprint: &Footprint) -> Result<Vec<String>, CardError> {
    let mut names: Vec<&str> = Vec::new();
    let gpus = footprint.components.iter().filter(|component| component.kind == ComponentKind::Gpu);
    let count = gpus.clone().count();
    for gpu in gpus {
        if !names.contains(&gpu.name.as_str()) {
            names.push(&gpu.name);
        }
    }
    if count == 0 {
        return Ok(Vec::new());
    }
    let hours =
        format_number("duration_gpu_hours", device_seconds(footprint, ComponentKind::Gpu) / 3_600.0, 6)?;
    Ok(vec![
        "compute:".to_owned(),
        format!("  hardware:\n    gpu: {}\n    count: {count}", double_quote(&names.join(", "))),
        format!("  duration_gpu_hours: {hours}"),
    ])
}

/// `measured` is said only where all of it was: a modelled processor makes the sum an estimate.
fn energy_quality(footprint: &Footprint) -> &'static str {
    let is_measured = |method: Option<MeasurementMethod>| {
        matches!(method, Some(MeasurementMethod::Counter | MeasurementMethod::Integrated))
    };
    match footprint.components.iter().all(|component| is_measured(component.method)) {
        true => "measured",
        false => "estimated-from-hardware",
    }
}

/// From the region's intensity; where nobody named a region, a guess or the world's mean fills the gap.
fn carbon_quality(footprint: &Footprint) -> &'static str {
    let grid = &footprint.grid;
    let is_named = grid.place.is_some() && !is_location_guessed(footprint);
    match is_named || grid.method == sootprint_core::IntensityKind::UserProvided {
        true => "estimated-from-region",
        false => "imputed",
    }
}

fn format_number(key: &'static str, value: f64, decimals: usize) -> Result<String, CardError> {
    plain_decimal(value, decimals).ok_or(CardError::InvalidAmount { key, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;

    fn rendered_report(footprint: &Footprint, options: &CardOptions) -> String {
        render_report(footprint, options).unwrap().replace(SHORT_VERSION, "X.Y")
    }

    #[test]
    fn fine_tuning_report_for_two_gpus() {
        let options = CardOptions::default().relation(BaseModelRelation::Adapter);
        insta::assert_snapshot!(rendered_report(&fixtures::fine_tuning("org/base"), &options), @r#"
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
    fn unknown_values_are_omitted() {
        let mut footprint = fixtures::fine_tuning("/home/alice/base");
        footprint.grid.place = None;
        footprint.grid.zone = None;
        footprint.components.retain(|component| component.kind != ComponentKind::Gpu);
        footprint
            .components
            .iter_mut()
            .for_each(|component| component.method = Some(MeasurementMethod::Counter));
        insta::assert_snapshot!(rendered_report(&footprint, &CardOptions::default()), @r#"
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
    fn guessed_region_is_imputed() {
        let mut footprint = fixtures::footprint();
        assert!(rendered_report(&footprint, &CardOptions::default()).contains("region: \"FR\""));
        footprint.grid.origin = sootprint_core::LocationSource::TimeZone;
        let report = rendered_report(&footprint, &CardOptions::default());
        assert!(!report.contains("region:") && report.contains("quality: \"imputed\""), "{report}");
    }

    #[test]
    fn disabling_removes_generated_report_only() {
        let footprint = fixtures::footprint();
        let off = CardOptions::default().dia_report(false);
        let card = ModelCard::parse("---\nlicense: mit # ours\n---\n# T\n").unwrap();
        let with = with_dia_report(&card, &footprint, &CardOptions::default()).unwrap();
        assert!(is_generated(&with) && with.has_key(REPORT_VERSION_KEY));
        assert_eq!(with_dia_report(&with, &footprint, &off).unwrap(), card);
        let foreign =
            ModelCard::parse("---\ndia_version: 0.1\ndia_report: {scope: incremental}\n---\n").unwrap();
        assert_eq!(with_dia_report(&foreign, &footprint, &off).unwrap(), foreign);
    }
}
