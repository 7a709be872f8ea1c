//! What the card tells people: the template's lines, then what the template has no line for.

mod epochs;
mod hardware;

use sootprint_core::format::{duration, join_list, plain_decimal, significant_digits};
use sootprint_core::{Basis, Figure, Footprint, Method, Outcome, TrainingType};

use crate::block::{VERSION, is_guessed};
use crate::card::ModelCard;
use crate::options::CardOptions;
use crate::region::Around;
use crate::template::{LABELS, TITLE};
use crate::wording::{in_one_line, plain, without_paths};
use crate::write::base_model_of;
use epochs::epochs;
use hardware::{at_rest, by_method, hours, missing};

pub(crate) use hardware::device_seconds;

/// The file that the section shows, beside the card.
pub const PICTURE_FILE: &str = "sootprint.png";

/// The values of the template's lines; none for what is unknown.
pub(crate) fn values(footprint: &Footprint) -> [Option<String>; LABELS.len()] {
    let grid = &footprint.grid;
    let known = |text: &Option<String>| text.as_deref().map(plain).filter(|text| !text.is_empty());
    let region = match (known(&grid.region), known(&grid.place)) {
        (Some(region), Some(place)) => Some(format!("{region} ({place})")),
        (region, place) => region.or(place),
    };
    let region = region.filter(|_| !is_guessed(footprint));
    [
        Some(plain(&footprint.hardware)).filter(|hardware| !hardware.is_empty()),
        hours(footprint),
        known(&grid.provider),
        region,
        grams(footprint.emissions.best.grams()),
    ]
}

/// The text between the marks.
pub(crate) fn content(footprint: &Footprint, options: &CardOptions, around: Around) -> String {
    let mut blocks = Vec::new();
    if !around.has_heading {
        blocks.push(format!("## {TITLE}"));
    }
    let template = LABELS.iter().zip(values(footprint)).zip(around.labels).filter(|(_, has)| !has);
    let template =
        template.map(|((label, value), _)| (*label, Some(value.unwrap_or_else(|| "not known".to_owned()))));
    let ours = [
        ("Energy", Some(energy(footprint))),
        ("Range", range(footprint)),
        ("Measured", by_method(footprint, |method| method != Method::Modelled)),
        ("Modelled", by_method(footprint, |method| method == Method::Modelled)),
        ("Not measured", missing(footprint)),
        ("At rest", at_rest(footprint)),
        ("Carbon intensity", Some(intensity(footprint))),
        ("PUE", Some(pue(footprint))),
        ("Training", Some(training(footprint))),
        ("Base model", lineage(footprint, options.card_of_base())),
        ("Not included", Some(not_included(footprint))),
    ];
    let lines = template.chain(ours).filter_map(|(label, value)| Some(format!("- **{label}:** {}", value?)));
    blocks.push(lines.collect::<Vec<_>>().join("\n"));
    blocks.extend(epochs(footprint));
    if options.has_picture() && !footprint.power.is_empty() {
        blocks.push(format!(
            "![Power over time with the epochs marked, and energy by component]({PICTURE_FILE})"
        ));
    }
    blocks.push(format!(
        "Accounted for by [sootprint]({}) {VERSION}; the same figures are in this card's metadata.",
        env!("CARGO_PKG_REPOSITORY")
    ));
    blocks.join("\n\n")
}

/// The grams with the digits of the metadata, and in kilograms where those are many.
fn grams(grams: f64) -> Option<String> {
    let exact = plain_decimal(grams, 4)?;
    let kilograms = (grams >= 1_000.0).then(|| significant_digits(grams / 1e3)).flatten();
    Some(match kilograms {
        Some(kilograms) => format!("{exact} g CO2eq ({kilograms} kg)"),
        None => format!("{exact} g CO2eq"),
    })
}

fn energy(footprint: &Footprint) -> String {
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
fn range(footprint: &Footprint) -> Option<String> {
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

fn intensity(footprint: &Footprint) -> String {
    let grid = &footprint.grid;
    let in_grams =
        |intensity: sootprint_core::CarbonIntensity| significant_digits(intensity.grams_per_kilowatt_hour());
    let value = in_grams(grid.intensity).unwrap_or_default();
    let bounds = match (in_grams(grid.low), in_grams(grid.high)) {
        (Some(low), Some(high)) if low != high => format!(" ({low} to {high})"),
        _ => String::new(),
    };
    let kind = match grid.method {
        Figure::Table => "yearly mean",
        Figure::Given => "given by the user",
        Figure::Live => "live, weighted by the energy of each part of the run",
        Figure::Forecast => "forecast, weighted by the energy of each part of the run",
        _ => "of another kind",
    };
    let place = match &grid.place {
        Some(place) if is_guessed(footprint) => {
            format!("{}, a guess from the machine's time zone", plain(place))
        }
        Some(place) => plain(place),
        None if grid.method == Figure::Given => "place not stated".to_owned(),
        None => "the world, since nobody said where the run was".to_owned(),
    };
    let year = grid.year.map_or_else(String::new, |year| format!(" of {year}"));
    let basis = match grid.basis {
        Basis::LifecycleGeneration => "; it counts the life cycle of the electricity generated there",
        Basis::DirectGeneration => "; it counts the stacks of the power stations there",
        Basis::DirectConsumption => "; it counts the stacks of the power stations that supply the place",
        _ => "",
    };
    let source = without_paths(&grid.source).map(plain).filter(|source| !source.is_empty());
    let source = source.filter(|_| grid.method != Figure::Given);
    let source = source.map_or_else(String::new, |source| format!("; source: {source}"));
    format!("{value} g CO2eq/kWh{bounds}, {place}, {kind}{year}{basis}{source}")
}

fn pue(footprint: &Footprint) -> String {
    let origin = match footprint.energy.pue_origin.as_str() {
        "argument" | "environment" => "given by the user".to_owned(),
        "assumed" => "assumed, since nobody said; the range above allows for 1.56".to_owned(),
        other => without_paths(other).map(plain).unwrap_or_default(),
    };
    format!("{:.2}, {origin}", footprint.energy.pue)
}

fn training(footprint: &Footprint) -> String {
    let run = &footprint.run;
    let label = run.training_type.map_or("of a kind that nobody stated", TrainingType::as_str);
    let attempts = if run.attempts > 1 { format!(" in {} attempts", run.attempts) } else { String::new() };
    let ranks = if run.ranks > 1 { format!(" on {} ranks", run.ranks) } else { String::new() };
    let outcome = match run.outcome {
        Outcome::Completed => String::new(),
        outcome => format!("; {}", outcome.as_str().replace('_', " ")),
    };
    format!("{label}, {}{attempts}{ranks}{outcome}", duration(run.duration_s))
}

/// The base model's own footprint: another model's, and so never added.
fn lineage(footprint: &Footprint, card: Option<&ModelCard>) -> Option<String> {
    if footprint.run.training_type != Some(TrainingType::FineTuning) {
        return None;
    }
    let name = base_model_of(footprint).map_or_else(|| "the base model".to_owned(), plain);
    let Some(card) = card else {
        return Some(format!("{name}; its own footprint is separate and not in these figures"));
    };
    let published = card.emissions().ok().flatten().and_then(|block| {
        let source = block.source.as_deref().and_then(without_paths).map(in_one_line);
        let source = source.map_or_else(String::new, |source| format!(" (source: {})", plain(&source)));
        Some(format!("{}{source}", grams(block.emissions.grams())?))
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

fn not_included(footprint: &Footprint) -> String {
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
