//! The `dia_report` of a card: Data and Impact Accounting 0.1, for programs that sum up families of models.
//!
//! Its JSON schema and its description are by the Vector Institute (`ai-impact-accounting`, Apache-2.0).

use sootprint_core::format::{plain_decimal, significant_digits};
use sootprint_core::{ComponentKind, Footprint, IntensityKind, MeasurementMethod};

use crate::base_model::base_model_repo_id;
use crate::card::ModelCard;
use crate::emissions_block::{
    SHORT_VERSION, SOURCE_PREFIX, is_location_guessed, published_emissions, published_energy,
};
use crate::error::CardError;
use crate::impact_section::hardware::device_seconds;
use crate::keys::{KeyValue, without_key};
use crate::options::{BaseModelRelation, CardOptions};
use crate::yaml_quote::double_quote;

/// The key of the report.
pub(crate) const REPORT_KEY: &str = "dia_report";

/// The key of the schema version, next to the report.
pub(crate) const REPORT_VERSION_KEY: &str = "dia_version";

/// The schema version. It is a text, because as a number `0.10` would equal `0.1`.
const QUOTED_SCHEMA_VERSION: &str = "\"0.1\"";

/// The version and the report of this run.
pub(crate) fn report_values(
    footprint: &Footprint,
    options: &CardOptions,
) -> Result<[KeyValue; 2], CardError> {
    Ok([
        KeyValue::Whole { key: REPORT_VERSION_KEY, value: QUOTED_SCHEMA_VERSION.to_owned() },
        KeyValue::Whole { key: REPORT_KEY, value: render_report(footprint, options)? },
    ])
}

/// Returns the card without its report if this crate wrote it; another tool's report stays.
pub(crate) fn without_generated_report(card: &ModelCard) -> Result<ModelCard, CardError> {
    match is_generated(card) {
        true => without_key(&without_key(card, REPORT_KEY)?, REPORT_VERSION_KEY),
        false => Ok(card.clone()),
    }
}

/// Whether this crate wrote the card's report, judging by its `tool`.
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
/// It contains only what this run added (`scope: incremental`); the base model's footprint belongs to its own card.
/// Water is left out: it is not measured, and zero would state that none was used.
fn render_report(footprint: &Footprint, options: &CardOptions) -> Result<String, CardError> {
    let mut lines = vec![format!("scope: {}", double_quote("incremental"))];
    if let Some(base_model) = base_model_repo_id(footprint) {
        lines.push("lineage:".to_owned());
        lines.push(format!("  - model: {}", double_quote(base_model)));
        let relation = options.base_model_relation().map(BaseModelRelation::as_str);
        lines.extend(relation.map(|relation| format!("    relation: {}", double_quote(relation))));
    }
    lines.extend(compute_lines(footprint)?);
    // The same digits as in `co2_eq_emissions`.
    let kilowatt_hours = published_energy(footprint).kilowatt_hours();
    let kilowatt_hours = required("energy_kwh", kilowatt_hours, plain_decimal(kilowatt_hours, 9))?;
    let kilograms = published_emissions(footprint).grams() / 1e3;
    let kilograms = required("carbon_kgco2eq", kilograms, plain_decimal(kilograms, 9))?;
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
    let intensity = grid.intensity.grams_per_kilowatt_hour();
    let intensity = required("carbon_intensity", intensity, significant_digits(intensity))?;
    lines.push(format!("  carbon_intensity: {intensity}"));
    lines.push(format!("tool: {}", double_quote(&format!("{SOURCE_PREFIX}{SHORT_VERSION}"))));
    Ok(lines.join("\n") + "\n")
}

/// The GPUs and their device-hours. Several kinds of GPU are listed in one name.
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
    let hours = device_seconds(footprint, ComponentKind::Gpu) / 3_600.0;
    let hours = required("duration_gpu_hours", hours, significant_digits(hours))?;
    Ok(vec![
        "compute:".to_owned(),
        format!("  hardware:\n    gpu: {}\n    count: {count}", double_quote(&names.join(", "))),
        format!("  duration_gpu_hours: {hours}"),
    ])
}

/// `measured` only if every component was measured: a modelled CPU makes the sum an estimate.
fn energy_quality(footprint: &Footprint) -> &'static str {
    let is_measured = |method: Option<MeasurementMethod>| {
        matches!(method, Some(MeasurementMethod::Counter | MeasurementMethod::Integrated))
    };
    match footprint.components.iter().all(|component| is_measured(component.method)) {
        true => "measured",
        false => "estimated-from-hardware",
    }
}

/// Based on the intensity of the region; without a stated region, the location is guessed or the world average is used.
fn carbon_quality(footprint: &Footprint) -> &'static str {
    let grid = &footprint.grid;
    let is_named = grid.place.is_some() && !is_location_guessed(footprint);
    match is_named || grid.method == IntensityKind::UserProvided {
        true => "estimated-from-region",
        false => "imputed",
    }
}

fn required(key: &'static str, value: f64, text: Option<String>) -> Result<String, CardError> {
    text.ok_or(CardError::InvalidAmount { key, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixtures;
    use crate::keys::write_keys;

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
            value: 0.726
            quality: "estimated-from-hardware"
          carbon_kgco2eq:
            value: 0.0407
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
            value: 0.726
            quality: "measured"
          carbon_kgco2eq:
            value: 0.0407
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
        let card = ModelCard::parse("---\nlicense: mit # ours\n---\n# T\n").unwrap();
        let values = report_values(&footprint, &CardOptions::default()).unwrap();
        let with = write_keys(&card, &values).unwrap();
        assert!(is_generated(&with) && with.has_key(REPORT_VERSION_KEY));
        assert_eq!(without_generated_report(&with).unwrap(), card);
        let foreign =
            ModelCard::parse("---\ndia_version: 0.1\ndia_report: {scope: incremental}\n---\n").unwrap();
        assert_eq!(without_generated_report(&foreign).unwrap(), foreign);
    }
}
