//! Adds up phases with the same name.

use std::collections::HashMap;
use std::ops::Add;

use sootprint_core::PhaseSummary;

/// Phases that ran one after the other: durations and energies are added.
pub(super) fn sum_phases(phases: impl IntoIterator<Item = PhaseSummary>) -> Vec<PhaseSummary> {
    combine_phases(phases, f64::add)
}

/// Phases of ranks that trained simultaneously: energies are added, and the longest duration counts.
pub(super) fn merge_parallel_phases(ranks: impl IntoIterator<Item = Vec<PhaseSummary>>) -> Vec<PhaseSummary> {
    combine_phases(ranks.into_iter().flatten(), f64::max)
}

/// One summary per name, in the order of first appearance.
fn combine_phases(
    phases: impl IntoIterator<Item = PhaseSummary>,
    combine_durations: fn(f64, f64) -> f64,
) -> Vec<PhaseSummary> {
    let mut combined: Vec<PhaseSummary> = Vec::new();
    let mut positions: HashMap<String, usize> = HashMap::new();
    for phase in phases {
        let position = positions.get(&phase.name).copied();
        match position.and_then(|position| combined.get_mut(position)) {
            Some(known) => {
                known.duration_s = combine_durations(known.duration_s, phase.duration_s);
                known.energy += phase.energy;
                known.emissions += phase.emissions;
            }
            None => {
                positions.insert(phase.name.clone(), combined.len());
                combined.push(phase);
            }
        }
    }
    combined
}
