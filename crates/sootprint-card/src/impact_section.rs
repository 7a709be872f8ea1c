//! What the card tells people: the template's lines, then what the template has no line for.

mod epochs;
mod hardware;

use sootprint_core::format::{format_duration, join_list, plain_decimal, significant_digits};
use sootprint_core::{EmissionScope, Footprint, IntensityKind, MeasurementMethod, RunStatus, TrainingType};

use crate::card::ModelCard;
use crate::card_writer::base_model_repo_id;
use crate::emissions_block::{SHORT_VERSION, is_location_guessed};
use crate::format::{escape_markdown, single_line, without_paths};
use crate::hub_template::{FIELD_LABELS, SECTION_TITLE};
use crate::managed_section::SectionContext;
use crate::options::CardOptions;
use epochs::epochs_text;
use hardware::{device_hours_text, idle_text, methods_text, unmeasured_text};

pub(crate) use hardware::device_seconds;

/// The file that the section shows, beside the card.
pub const PLOT_FILE: &str = "sootprint.png";

/// The values of the template's lines; none for what is unknown.
pub(crate) fn template_values(footprint: &Footprint) -> [Option<String>; FIELD_LABELS.len()] {
    let grid = &footprint.grid;
    let known = |text: &Option<String>| text.as_deref().map(escape_markdown).filter(|text| !text.is_empty());
    let region = match (known(&grid.region), known(&grid.place)) {
        (Some(region), Some(place)) => Some(format!("{region} ({place})")),
        (region, place) => region.or(place),
    };
    let region = region.filter(|_| !is_location_guessed(footprint));
    [
        Some(escape_markdown(&footprint.hardware)).filter(|hardware| !hardware.is_empty()),
        device_hours_text(footprint),
        known(&grid.provider),
        region,
        format_grams(footprint.emissions.best.grams()),
    ]
}

/// The text between the marks.
pub(crate) fn render_section(
    footprint: &Footprint,
    options: &CardOptions,
    context: SectionContext,
) -> String {
    let mut blocks = Vec::new();
    if !context.has_heading {
        blocks.push(format!("## {SECTION_TITLE}"));
    }
    let template = FIELD_LABELS
        .iter()
        .zip(template_values(footprint))
        .zip(context.existing_fields)
        .filter(|(_, has)| !has);
    let template =
        template.map(|((label, value), _)| (*label, Some(value.unwrap_or_else(|| "not known".to_owned()))));
    let ours = [
        ("Energy", Some(energy_text(footprint))),
        ("Range", bounds_text(footprint)),
        ("Measured", methods_text(footprint, |method| method != MeasurementMethod::Modelled)),
        ("Modelled", methods_text(footprint, |method| method == MeasurementMethod::Modelled)),
        ("Not measured", unmeasured_text(footprint)),
        ("At rest", idle_text(footprint)),
        ("Carbon intensity", Some(intensity_text(footprint))),
        ("PUE", Some(pue_text(footprint))),
        ("Training", Some(training_text(footprint))),
        ("Base model", base_model_text(footprint, options.base_model_card())),
        ("Not included", Some(exclusions_text(footprint))),
    ];
    let lines = template.chain(ours).filter_map(|(label, value)| Some(format!("- **{label}:** {}", value?)));
    blocks.push(lines.collect::<Vec<_>>().join("\n"));
    blocks.extend(epochs_text(footprint));
    if options.includes_plot() && !footprint.power.is_empty() {
        blocks
            .push(format!("![Power over time with the epochs marked, and energy by component]({PLOT_FILE})"));
    }
    blocks.push(format!(
        "Accounted for by [sootprint]({}) {SHORT_VERSION}; the same figures are in this card's metadata.",
        env!("CARGO_PKG_REPOSITORY")
    ));
    blocks.join("\n\n")
}

/// The grams with the digits of the metadata, and in kilograms where those are many.
fn format_grams(grams: f64) -> Option<String> {
    let exact = plain_decimal(grams, 4)?;
    let kilograms = (grams >= 1_000.0).then(|| significant_digits(grams / 1e3)).flatten();
    Some(match kilograms {
        Some(kilograms) => format!("{exact} g CO2eq ({kilograms} kg)"),
        None => format!("{exact} g CO2eq"),
    })
}

fn energy_text(footprint: &Footprint) -> String {
    let energy = &footprint.energy;
    let parts: Vec<String> = [("GPU", energy.gpu), ("CPU", energy.cpu), ("memory", energy.memory)]
        .into_iter()
        .filter(|(_, energy)| energy.joules() > 0.0)
        .map(|(kind, energy)| format!("{kind} {energy}"))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", join_list(&parts)) };
    let exact = plain_decimal(energy.facility.kilowatt_hours(), 9);
    let exact = exact.map_or_else(|| energy.facility.to_string(), |exact| format!("{exact} kWh"));
    match energy.total == energy.facility {
        true => format!("{exact}{parts}"),
        false => format!("{exact} at the facility's meter; {} in the hardware{parts}", energy.total),
    }
}

/// The bounds around the best estimate, which a line of the template that somebody else filled in may not name.
fn bounds_text(footprint: &Footprint) -> Option<String> {
    let (emissions, energy) = (&footprint.emissions, &footprint.energy);
    let [low, high] = [emissions.low, emissions.high].map(|bound| significant_digits(bound.grams()));
    let best = plain_decimal(emissions.best.grams(), 4)?;
    Some(format!(
        "{} to {} g CO2eq around {best} g; {} to {} in the hardware. These are bounds under [stated assumptions]({}), \
         not a confidence interval",
        low?,
        high?,
        energy.low,
        energy.high,
        concat!(env!("CARGO_PKG_REPOSITORY"), "/blob/main/docs/uncertainty.md"),
    ))
}

fn intensity_text(footprint: &Footprint) -> String {
    let grid = &footprint.grid;
    let in_grams =
        |intensity: sootprint_core::CarbonIntensity| significant_digits(intensity.grams_per_kilowatt_hour());
    let value = in_grams(grid.intensity).unwrap_or_default();
    let bounds = match (in_grams(grid.low), in_grams(grid.high)) {
        (Some(low), Some(high)) if low != high => format!(" ({low} to {high})"),
        _ => String::new(),
    };
    let kind = match grid.method {
        IntensityKind::Table => "yearly mean",
        IntensityKind::UserProvided => "given by the user",
        IntensityKind::Live => "live, weighted by the energy of each part of the run",
        IntensityKind::Forecast => "forecast, weighted by the energy of each part of the run",
        _ => "of another kind",
    };
    let place = match &grid.place {
        Some(place) if is_location_guessed(footprint) => {
            format!("{}, a guess from the machine's time zone", escape_markdown(place))
        }
        Some(place) => escape_markdown(place),
        None if grid.method == IntensityKind::UserProvided => "place not stated".to_owned(),
        None => "the world, since nobody said where the run was".to_owned(),
    };
    let year = grid.year.map_or_else(String::new, |year| format!(" of {year}"));
    let basis = match grid.basis {
        EmissionScope::LifecycleGeneration => "; it counts the life cycle of the electricity generated there",
        EmissionScope::DirectGeneration => "; it counts the stacks of the power stations there",
        EmissionScope::DirectConsumption => {
            "; it counts the stacks of the power stations that supply the place"
        }
        _ => "",
    };
    let source = without_paths(&grid.source).map(escape_markdown).filter(|source| !source.is_empty());
    let source = source.filter(|_| grid.method != IntensityKind::UserProvided);
    let source = source.map_or_else(String::new, |source| format!("; source: {source}"));
    format!("{value} g CO2eq/kWh{bounds}, {place}, {kind}{year}{basis}{source}")
}

fn pue_text(footprint: &Footprint) -> String {
    let origin = match footprint.energy.pue_origin.as_str() {
        "argument" | "environment" => "given by the user".to_owned(),
        "assumed" => "assumed, since nobody said; the range above allows for 1.56".to_owned(),
        other => without_paths(other).map(escape_markdown).unwrap_or_default(),
    };
    format!("{:.2}, {origin}", footprint.energy.pue)
}

fn training_text(footprint: &Footprint) -> String {
    let run = &footprint.run;
    let label = run.training_type.map_or("of a kind that nobody stated", TrainingType::as_str);
    let attempts = if run.attempts > 1 { format!(" in {} attempts", run.attempts) } else { String::new() };
    let ranks = if run.ranks > 1 { format!(" on {} ranks", run.ranks) } else { String::new() };
    let outcome = match run.outcome {
        RunStatus::Completed => String::new(),
        outcome => format!("; {}", outcome.as_str().replace('_', " ")),
    };
    format!("{label}, {}{attempts}{ranks}{outcome}", format_duration(run.duration_s))
}

/// The base model's own footprint: another model's, and so never added.
fn base_model_text(footprint: &Footprint, card: Option<&ModelCard>) -> Option<String> {
    if footprint.run.training_type != Some(TrainingType::FineTuning) {
        return None;
    }
    let name = base_model_repo_id(footprint).map_or_else(|| "the base model".to_owned(), escape_markdown);
    let Some(card) = card else {
        return Some(format!("{name}; its own footprint is separate and not in these figures"));
    };
    let published = card.emissions().ok().flatten().and_then(|block| {
        let source = block.source.as_deref().and_then(without_paths).map(single_line);
        let source =
            source.map_or_else(String::new, |source| format!(" (source: {})", escape_markdown(&source)));
        Some(format!("{}{source}", format_grams(block.emissions.grams())?))
    });
    Some(match published {
        Some(published) => {
            format!(
                "{name}; its card publishes {published}, which is separate and not added to these figures"
            )
        }
        None => format!("{name}; its card publishes no emissions, and they are not in these figures"),
    })
}

fn exclusions_text(footprint: &Footprint) -> String {
    let base = match footprint.run.training_type {
        Some(TrainingType::FineTuning) => ", the training of the base model",
        _ => "",
    };
    format!(
        "fans, disks, network and losses of power supplies, making and disposal of the hardware, other runs and \
         experiments{base}"
    )
}

#[cfg(test)]
mod tests;
