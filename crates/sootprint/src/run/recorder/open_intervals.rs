//! The open epoch and the open phases of a run.

use std::time::Duration;

use sootprint_core::Energy;
use sootprint_power::SampleView;

use crate::ledger::PhaseTotal;
use crate::run::event::PhaseId;

/// A moment that separates epochs or phases, and the energy of each component up to it.
pub(crate) struct EpochBoundary {
    pub(crate) now: Duration,
    pub(crate) energy: Vec<Energy>,
}

impl EpochBoundary {
    pub(crate) fn from_sample(sample: &SampleView<'_>) -> Self {
        Self { now: sample.now, energy: sample.accumulator.energy_at(sample.now) }
    }
}

/// An epoch that has started and not ended.
#[derive(Debug)]
pub(crate) struct ActiveEpoch {
    pub(crate) number: u32,
    pub(crate) start: Duration,
    pub(crate) start_energy: Vec<Energy>,
}

/// The open phases, and the totals of those that ended since the last ledger entry with phases.
#[derive(Debug, Default)]
pub(crate) struct PhaseAccumulator {
    open: Vec<ActivePhase>,
    totals: Vec<PhaseTotal>,
}

#[derive(Debug)]
struct ActivePhase {
    id: PhaseId,
    name: String,
    start: Duration,
    start_energy: Vec<Energy>,
}

impl PhaseAccumulator {
    pub(crate) fn start_phase(&mut self, id: PhaseId, name: String, now: Duration, energy: Vec<Energy>) {
        self.open.push(ActivePhase { id, name, start: now, start_energy: energy });
    }

    pub(crate) fn end_phase(&mut self, id: PhaseId, now: Duration, energy: &[Energy]) {
        if let Some(position) = self.open.iter().position(|open| open.id == id) {
            let open = self.open.swap_remove(position);
            self.add_phase(&open, now, energy);
        }
    }

    /// Splits the open phases at an epoch boundary: their usage up to here belongs before the boundary.
    pub(crate) fn split_open_phases(&mut self, now: Duration, energy: &[Energy]) {
        for mut open in std::mem::take(&mut self.open) {
            self.add_phase(&open, now, energy);
            (open.start, open.start_energy) = (now, energy.to_vec());
            self.open.push(open);
        }
    }

    pub(crate) fn take_totals(&mut self) -> Vec<PhaseTotal> {
        std::mem::take(&mut self.totals)
    }

    fn add_phase(&mut self, open: &ActivePhase, now: Duration, energy: &[Energy]) {
        let seconds = now.saturating_sub(open.start).as_secs_f64();
        let used = energy_between(&open.start_energy, energy);
        match self.totals.iter_mut().find(|sum| sum.name == open.name) {
            Some(sum) => {
                sum.seconds += seconds;
                sum.energy.resize(sum.energy.len().max(used.len()), Energy::ZERO);
                sum.energy.iter_mut().zip(used).for_each(|(sum, used)| *sum += used);
            }
            None => self.totals.push(PhaseTotal { name: open.name.clone(), seconds, energy: used }),
        }
    }
}

/// The energy of each component between two boundaries. Components that are added in between count from then on.
pub(crate) fn energy_between(before: &[Energy], after: &[Energy]) -> Vec<Energy> {
    // Boundary energies are interpolated, so the later of two boundaries that nearly touch may come out lower.
    let before = before.iter().copied().chain(std::iter::repeat(Energy::ZERO));
    after.iter().zip(before).map(|(after, before)| (*after - before).max(Energy::ZERO)).collect()
}
