//! The epochs in the section.

use sootprint_core::format::{format_duration, significant_digits};
use sootprint_core::{Co2e, Energy, EpochSummary, Footprint};

use super::energy_unit::EnergyUnit;

/// The maximum number of epochs in a table; more are summed up in a sentence.
const MAX_TABLE_EPOCHS: usize = 20;

/// A table, or for many epochs a sentence with their sum; `None` without epochs.
pub(crate) fn epochs_text(footprint: &Footprint) -> Option<String> {
    let epochs = &footprint.epochs;
    match epochs.len() {
        0 => None,
        1..=MAX_TABLE_EPOCHS => Some(epochs_table(epochs)),
        count => {
            let joules = epochs.iter().map(|epoch| epoch.energy.joules());
            let sum: Energy = epochs.iter().map(|epoch| epoch.energy).sum();
            let unit = EnergyUnit::of(sum);
            let [least, most] = [joules.clone().fold(f64::INFINITY, f64::min), joules.fold(0.0, f64::max)]
                .map(|joules| unit.format(Energy::from_joules(joules)));
            let sum = unit.format(sum);
            Some(format!(
                "The {count} epochs used {sum} at the components, {least} to {most} each; the rest of the total was used \
                 before, between and after them."
            ))
        }
    }
}

fn epochs_table(epochs: &[EpochSummary]) -> String {
    let has_attempts = epochs.iter().any(|epoch| epoch.attempt > 1);
    let attempt = |text: String| if has_attempts { format!(" {text} |") } else { String::new() };
    let joules = epochs.iter().map(|epoch| epoch.energy.joules()).fold(0.0, f64::max);
    let unit = EnergyUnit::of(Energy::from_joules(joules));
    let grams = |emissions: Co2e| significant_digits(emissions.grams()).unwrap_or_default();
    let mut lines = vec![
        format!("| Epoch |{} Time | Energy | CO2e |", attempt("Attempt".to_owned())),
        format!("|---:|{}---:|---:|---:|", if has_attempts { "---:|" } else { "" }),
    ];
    lines.extend(epochs.iter().map(|epoch| {
        format!(
            "| {}{} |{} {} | {} | {} g |",
            epoch.epoch,
            if epoch.completed { "" } else { " (incomplete)" },
            attempt(epoch.attempt.to_string()),
            format_duration(epoch.duration_s),
            unit.format(epoch.energy),
            grams(epoch.emissions)
        )
    }));
    lines.join("\n")
}
