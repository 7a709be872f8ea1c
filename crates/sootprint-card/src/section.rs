//! What the card tells people: the template's lines, then what the template has no line for.

use sootprint::{
    Basis, ComponentSummary, EpochSummary, Figure, Footprint, Kind, Method, Outcome, TrainingType,
};

use crate::block::VERSION;
use crate::card::ModelCard;
use crate::number::plain_decimal;
use crate::options::CardOptions;
use crate::region::Around;
use crate::template::{LABELS, TITLE};
use crate::wording::{duration, figure, in_one_line, kind_name, listed, plain, without_paths};
use crate::write::base_model_of;

/// The file that the section shows, beside the card.
pub const PICTURE_FILE: &str = "sootprint.png";

/// A table of at most this many epochs is read; a longer one is scrolled past.
const MOST_EPOCHS: usize = 20;

/// The values of the template's lines; none for what is unknown.
pub(crate) fn values(footprint: &Footprint) -> [Option<String>; LABELS.len()] {
    let grid = &footprint.grid;
    let known = |text: &Option<String>| text.as_deref().map(plain).filter(|text| !text.is_empty());
    let region = match (known(&grid.region), known(&grid.place)) {
        (Some(region), Some(place)) => Some(format!("{region} ({place})")),
        (region, place) => region.or(place),
    };
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
    let kilograms = (grams >= 1_000.0).then(|| figure(grams / 1e3)).flatten();
    Some(match kilograms {
        Some(kilograms) => format!("{exact} g CO2eq ({kilograms} kg)"),
        None => format!("{exact} g CO2eq"),
    })
}

/// Device-hours: each board, or without boards each processor, for as long as it was in use.
fn hours(footprint: &Footprint) -> Option<String> {
    let of = |kind| footprint.components.iter().filter(move |component| component.kind == kind);
    let kind = if of(Kind::Gpu).next().is_some() { Kind::Gpu } else { Kind::Cpu };
    let count = of(kind).count();
    let seconds = device_seconds(footprint, kind);
    let hours = figure(seconds / 3_600.0).filter(|_| count > 0 && seconds > 0.0)?;
    Some(format!(
        "{hours} (device-hours of {count} {}{})",
        kind_name(kind),
        if count == 1 { "" } else { "s" }
    ))
}

/// The seconds for which all components of a kind were in use, added up.
pub(crate) fn device_seconds(footprint: &Footprint, kind: Kind) -> f64 {
    let components = footprint.components.iter().filter(|component| component.kind == kind);
    let seconds = components.map(|component| match component.measured_s + component.unmeasured_s {
        // What was never read was in use all the same.
        seconds if seconds <= 0.0 => footprint.run.duration_s,
        seconds => seconds,
    });
    seconds.sum()
}

fn energy(footprint: &Footprint) -> String {
    let energy = &footprint.energy;
    let parts: Vec<String> = [("GPU", energy.gpu), ("CPU", energy.cpu), ("memory", energy.memory)]
        .into_iter()
        .filter(|(_, energy)| energy.joules() > 0.0)
        .map(|(kind, energy)| format!("{kind} {energy}"))
        .collect();
    let parts = if parts.is_empty() { String::new() } else { format!(" ({})", listed(&parts)) };
    let exact = plain_decimal(energy.facility.kilowatt_hours(), 9);
    let exact = exact.map_or_else(|| energy.facility.to_string(), |exact| format!("{exact} kWh"));
    match energy.total == energy.facility {
        true => format!("{exact}{parts}"),
        false => format!("{exact} at the facility's meter; {} in the hardware{parts}", energy.total),
    }
}

fn range(footprint: &Footprint) -> Option<String> {
    let (emissions, energy) = (&footprint.emissions, &footprint.energy);
    let [low, high] = [emissions.low, emissions.high].map(|bound| figure(bound.grams()));
    Some(format!(
        "{} to {} g CO2eq; {} to {} in the hardware. Bounds under stated assumptions, not a confidence interval",
        low?, high?, energy.low, energy.high
    ))
}

/// The hardware whose energy was found in one of these ways, and its part of the total.
fn by_method(footprint: &Footprint, is_meant: impl Fn(Method) -> bool) -> Option<String> {
    let mut groups: Vec<(&ComponentSummary, usize, f64)> = Vec::new();
    for component in footprint.components.iter().filter(|it| it.method.is_some_and(&is_meant)) {
        let same = |(first, ..): &&mut (&ComponentSummary, usize, f64)| {
            (first.kind, &first.name, first.method, first.shared)
                == (component.kind, &component.name, component.method, component.shared)
        };
        match groups.iter_mut().find(same) {
            Some((_, count, joules)) => {
                *count += 1;
                *joules += component.energy.joules();
            }
            None => groups.push((component, 1, component.energy.joules())),
        }
    }
    let total = footprint.energy.total.joules();
    let parts: Vec<String> = groups
        .into_iter()
        .map(|(component, count, joules)| {
            let part = (total > 0.0).then(|| figure(100.0 * joules / total)).flatten();
            let part = part.map_or_else(String::new, |part| format!(", {part} % of the energy"));
            format!("{}{}{part}", group(component, count), how(component, count))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn group(component: &ComponentSummary, count: usize) -> String {
    let times = if count > 1 { format!("{count} x ") } else { String::new() };
    format!("{times}{} ({})", kind_name(component.kind), plain(&component.name))
}

fn how(component: &ComponentSummary, count: usize) -> String {
    let by = match component.method {
        Some(Method::Counter) if count > 1 => " by their energy counters",
        Some(Method::Counter) => " by its energy counter",
        Some(Method::Integrated) => " by power readings over time",
        _ => "",
    };
    let part = (component.share < 1.0).then(|| figure(100.0 * component.share)).flatten();
    let part = part.map_or_else(String::new, |part| format!(", the {part} % of it that the job was given"));
    format!("{by}{part}{}", if component.shared { ", used by others at the same time" } else { "" })
}

/// What is not in the total although it was in use.
fn missing(footprint: &Footprint) -> Option<String> {
    let run = &footprint.run;
    let mut parts = Vec::new();
    if !run.missing_ranks.is_empty() {
        parts.push(format!("{} of {} ranks", run.missing_ranks.len(), run.ranks_expected));
    }
    for kind in [Kind::Gpu, Kind::Cpu, Kind::Memory] {
        let of_kind = footprint.components.iter().filter(|component| component.kind == kind);
        let unread = of_kind.clone().filter(|component| component.method.is_none()).count();
        if unread > 0 {
            parts.push(format!("{unread} x {} that could not be read", kind_name(kind)));
        }
        let unmeasured: f64 = of_kind
            .filter(|component| component.method.is_some())
            .map(|component| component.unmeasured_s)
            .sum();
        if unmeasured > 0.0 {
            parts.push(format!("{} of {}", duration(unmeasured), kind_name(kind)));
        }
    }
    let parts = (!parts.is_empty()).then(|| listed(&parts));
    match (parts, run.partial) {
        (Some(parts), _) => Some(format!("{parts}; not in the figures above")),
        (None, true) => Some("a part of the run; the figures above are too low by it".to_owned()),
        (None, false) => None,
    }
}

/// Beside the total, never subtracted from it.
fn at_rest(footprint: &Footprint) -> Option<String> {
    let how = match footprint.energy.idle_method.as_deref()? {
        "baseline" => "measured before the run",
        _ => "at the lowest power that was seen",
    };
    Some(format!(
        "the same hardware would have used {} in that time ({how}); it is included",
        footprint.energy.idle?
    ))
}

fn intensity(footprint: &Footprint) -> String {
    let grid = &footprint.grid;
    let figure = |intensity: sootprint::CarbonIntensity| figure(intensity.grams_per_kilowatt_hour());
    let value = figure(grid.intensity).unwrap_or_default();
    let bounds = match (figure(grid.low), figure(grid.high)) {
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

/// A table when it is short, else the sum of it in a sentence.
fn epochs(footprint: &Footprint) -> Option<String> {
    let epochs = &footprint.epochs;
    match epochs.len() {
        0 => None,
        1..=MOST_EPOCHS => Some(table(epochs)),
        count => {
            let joules = epochs.iter().map(|epoch| epoch.energy.joules());
            let [least, most] = [joules.clone().fold(f64::INFINITY, f64::min), joules.fold(0.0, f64::max)]
                .map(sootprint::Energy::from_joules);
            let sum: sootprint::Energy = epochs.iter().map(|epoch| epoch.energy).sum();
            Some(format!(
                "The {count} epochs used {sum} in the hardware, each {least} to {most}; what is missing of the total \
                 was used between and around them."
            ))
        }
    }
}

fn table(epochs: &[EpochSummary]) -> String {
    let has_attempts = epochs.iter().any(|epoch| epoch.attempt > 1);
    let attempt = |text: String| if has_attempts { format!(" {text} |") } else { String::new() };
    let mut lines = vec![
        format!("| Epoch |{} Time | Energy | CO2eq |", attempt("Attempt".to_owned())),
        format!("|---:|{}---:|---:|---:|", if has_attempts { "---:|" } else { "" }),
    ];
    lines.extend(epochs.iter().map(|epoch| {
        format!(
            "| {}{} |{} {} | {} | {} |",
            epoch.epoch,
            if epoch.completed { "" } else { " (not finished)" },
            attempt(epoch.attempt.to_string()),
            duration(epoch.duration_s),
            epoch.energy,
            epoch.emissions
        )
    }));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    fn section(footprint: &Footprint, options: &CardOptions) -> String {
        content(footprint, options, Around::default()).replace(VERSION, "X.Y")
    }

    #[test]
    fn everything_about_a_run_on_two_boards() {
        insta::assert_snapshot!(section(&sample::with_epochs(), &CardOptions::default().picture(true)), @r"
        ## Environmental Impact

        - **Hardware Type:** 2 x NVIDIA H200
        - **Hours used:** 1 (device-hours of 2 GPUs)
        - **Cloud Provider:** not known
        - **Compute Region:** France
        - **Carbon Emitted:** 40.6823 g CO2eq
        - **Energy:** 0.726469444 kWh (GPU 666.67 Wh, CPU 50.00 Wh and memory 9.80 Wh)
        - **Range:** 30 to 70 g CO2eq; 666.67 Wh to 805.56 Wh in the hardware. Bounds under stated assumptions, not a confidence interval
        - **Measured:** 2 x GPU (NVIDIA H200) by their energy counters, 91.8 % of the energy
        - **Modelled:** CPU (a processor), the 50 % of it that the job was given, 6.88 % of the energy; memory (64 GiB), the 50 % of it that the job was given, 1.35 % of the energy
        - **Carbon intensity:** 56 g CO2eq/kWh (47.6 to 64.4), France, yearly mean of 2024; it counts the life cycle of the electricity generated there; source: Ember
        - **PUE:** 1.00, assumed, since nobody said; the range above allows for 1.56
        - **Training:** pre-training, 30.0 min
        - **Not included:** fans, disks, network and losses of power supplies, making and disposal of the hardware, other runs and experiments

        | Epoch | Time | Energy | CO2eq |
        |---:|---:|---:|---:|
        | 1 | 9.7 min | 236.11 Wh | 13.22 g |
        | 2 | 9.7 min | 238.89 Wh | 13.38 g |
        | 3 (not finished) | 9.7 min | 241.67 Wh | 13.53 g |

        ![Power over time with the epochs marked, and energy by component](sootprint.png)

        Accounted for by [sootprint](https://github.com/sootprint/sootprint) X.Y; the same figures are in this card's metadata.
        ");
    }

    #[test]
    fn losses_and_guesses_are_said() {
        let mut footprint = sample::fine_tuning("org/base");
        footprint.grid.place = None;
        footprint.grid.source = "/home/alice/hours.csv".to_owned();
        footprint.components[1].method = None;
        footprint.components[2].unmeasured_s = 10.0;
        footprint.components[2].shared = true;
        footprint.run.partial = true;
        footprint.run.attempts = 2;
        footprint.run.outcome = Outcome::StoppedEarly;
        insta::assert_snapshot!(section(&footprint, &CardOptions::default()), @r"
        ## Environmental Impact

        - **Hardware Type:** 2 x NVIDIA H200
        - **Hours used:** 1 (device-hours of 2 GPUs)
        - **Cloud Provider:** not known
        - **Compute Region:** not known
        - **Carbon Emitted:** 40.6823 g CO2eq
        - **Energy:** 0.726469444 kWh (GPU 666.67 Wh, CPU 50.00 Wh and memory 9.80 Wh)
        - **Range:** 30 to 70 g CO2eq; 666.67 Wh to 805.56 Wh in the hardware. Bounds under stated assumptions, not a confidence interval
        - **Measured:** GPU (NVIDIA H200) by its energy counter, 45.9 % of the energy
        - **Modelled:** CPU (a processor), the 50 % of it that the job was given, used by others at the same time, 6.88 % of the energy; memory (64 GiB), the 50 % of it that the job was given, 1.35 % of the energy
        - **Not measured:** 1 x GPU that could not be read and 10.0 s of CPU; not in the figures above
        - **Carbon intensity:** 56 g CO2eq/kWh (47.6 to 64.4), the world, since nobody said where the run was, yearly mean of 2024; it counts the life cycle of the electricity generated there
        - **PUE:** 1.00, assumed, since nobody said; the range above allows for 1.56
        - **Training:** fine-tuning, 30.0 min in 2 attempts; stopped early
        - **Base model:** org/base; its own footprint is separate and not in these figures
        - **Not included:** fans, disks, network and losses of power supplies, making and disposal of the hardware, other runs and experiments, the training of the base model

        Accounted for by [sootprint](https://github.com/sootprint/sootprint) X.Y; the same figures are in this card's metadata.
        ");
    }

    #[test]
    fn the_base_model_s_published_footprint_is_named_and_not_added() {
        let base =
            ModelCard::parse("---\nco2_eq_emissions: {emissions: 1710, source: CodeCarbon}\n---\n").unwrap();
        let options = CardOptions::default().base_card(base);
        let text = section(&sample::fine_tuning("org/base"), &options);
        assert!(
            text.contains(
                "- **Base model:** org/base; its card publishes 1710 g CO2eq (1.71 kg) (source: CodeCarbon), which is \
                 separate and not added to these figures\n"
            ),
            "{text}"
        );
        assert!(text.contains("- **Carbon Emitted:** 40.6823 g CO2eq\n"), "{text}");
        let silent = CardOptions::default().base_card(ModelCard::parse("# Base\n").unwrap());
        assert!(
            section(&sample::fine_tuning("org/base"), &silent).contains("its card publishes no emissions")
        );
        assert!(!section(&sample::footprint(), &options).contains("Base model"), "a pre-training has none");
        let hidden = section(&sample::fine_tuning("/home/alice/base"), &options);
        assert!(hidden.contains("- **Base model:** the base model; its card") && !hidden.contains("alice"));
    }

    #[test]
    fn many_epochs_are_a_sentence() {
        let mut footprint = sample::with_epochs();
        footprint.epochs = vec![footprint.epochs[0].clone(); 21];
        let text = section(&footprint, &CardOptions::default());
        assert!(text.contains("The 21 epochs used ") && !text.contains("| Epoch |"), "{text}");
    }

    #[test]
    fn what_the_section_has_already_is_not_said_again() {
        let around = Around { has_heading: true, labels: [true, true, false, true, true] };
        let text = content(&sample::footprint(), &CardOptions::default(), around);
        assert!(text.starts_with("- **Cloud Provider:** not known\n- **Energy:** "), "{text}");
        assert!(!text.contains("Carbon Emitted") && !text.contains(PICTURE_FILE));
    }

    #[test]
    fn a_run_on_processors_counts_their_hours() {
        let mut footprint = sample::footprint();
        footprint.components.retain(|component| component.kind != Kind::Gpu);
        assert_eq!(hours(&footprint).unwrap(), "0.5 (device-hours of 1 CPU)");
        assert_eq!(hours(&sample::footprint()).unwrap(), "1 (device-hours of 2 GPUs)");
    }
}
