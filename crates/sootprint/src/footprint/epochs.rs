//! Epochs and phases of one ledger.

use sootprint_core::{Energy, EpochSummary, GridIntensity, PhaseSummary};

use super::FootprintBuilder;
use crate::ledger::{OpenEpoch, PhaseTotal, RunHeader, WorkCounts};

#[derive(Debug, Clone)]
pub(super) struct RecordedEpoch {
    pub(super) epoch: u32,
    pub(super) start: f64,
    pub(super) duration: f64,
    pub(super) energy: Vec<Energy>,
    pub(super) completed: bool,
    pub(super) counts: WorkCounts,
    pub(super) phases: Vec<PhaseTotal>,
}

/// What happened outside of epochs.
#[derive(Debug, Clone, Default)]
pub(super) struct OutsideEpochs {
    pub(super) counts: WorkCounts,
    pub(super) phases: Vec<PhaseTotal>,
}

impl RecordedEpoch {
    /// An epoch whose process left no word of its end.
    pub(super) fn from_interrupted(open: OpenEpoch, at: f64) -> Self {
        let OpenEpoch { epoch, start, energy } = open;
        let (counts, phases) = (WorkCounts::default(), Vec::new());
        Self { epoch, start, duration: at - start, energy, completed: false, counts, phases }
    }
}

impl OutsideEpochs {
    pub(super) fn add(&mut self, counts: WorkCounts, phases: Vec<PhaseTotal>) {
        self.counts.add(counts);
        for phase in phases {
            match self.phases.iter_mut().find(|known| known.name == phase.name) {
                Some(known) => {
                    known.seconds += phase.seconds;
                    known.energy.iter_mut().zip(phase.energy).for_each(|(sum, more)| *sum += more);
                }
                None => self.phases.push(phase),
            }
        }
    }
}

impl FootprintBuilder {
    pub(super) fn epoch_summary(
        &self,
        header: &RunHeader,
        grid: &GridIntensity,
        epoch: &RecordedEpoch,
    ) -> EpochSummary {
        let energy = self.total_energy(&header.components, &epoch.energy);
        EpochSummary {
            epoch: epoch.epoch,
            attempt: 1,
            start_s: Some(epoch.start),
            duration_s: epoch.duration,
            energy,
            emissions: energy * header.pue.factor() * grid.intensity,
            completed: epoch.completed,
            samples: epoch.counts.samples,
            tokens: epoch.counts.tokens,
            phases: epoch.phases.iter().map(|phase| self.phase_summary(header, grid, phase)).collect(),
        }
    }

    /// Another rank counted this, in the newest epoch of that number or in one that ends later.
    pub(super) fn add_counts(&mut self, epoch: Option<u32>, counts: WorkCounts) {
        let ended = self.epochs.iter_mut().rev().find(|ended| Some(ended.epoch) == epoch);
        match (ended, epoch) {
            (Some(ended), _) => ended.counts.add(counts),
            (None, Some(epoch)) => self.pending_counts.entry(epoch).or_default().add(counts),
            (None, None) => self.outside_epochs.counts.add(counts),
        }
    }

    /// What was counted in all epochs and between them.
    pub(super) fn total_counts(&self) -> WorkCounts {
        let mut counts = self.outside_epochs.counts;
        self.pending_counts.values().for_each(|ahead| counts.add(*ahead));
        self.epochs.iter().for_each(|epoch| counts.add(epoch.counts));
        counts
    }

    /// The phases of the whole run, in the order in which each was first heard of.
    pub(super) fn phase_summaries(&self, header: &RunHeader, grid: &GridIntensity) -> Vec<PhaseSummary> {
        let inside = self.epochs.iter().flat_map(|epoch| &epoch.phases);
        let each =
            inside.chain(&self.outside_epochs.phases).map(|phase| self.phase_summary(header, grid, phase));
        sum_phases(each)
    }

    fn phase_summary(&self, header: &RunHeader, grid: &GridIntensity, phase: &PhaseTotal) -> PhaseSummary {
        let energy = self.total_energy(&header.components, &phase.energy);
        PhaseSummary {
            name: phase.name.clone(),
            duration_s: phase.seconds,
            energy,
            emissions: energy * header.pue.factor() * grid.intensity,
        }
    }
}

/// Phases of one name added up.
pub(super) fn sum_phases(phases: impl IntoIterator<Item = PhaseSummary>) -> Vec<PhaseSummary> {
    let mut summed: Vec<PhaseSummary> = Vec::new();
    for phase in phases {
        match summed.iter_mut().find(|known| known.name == phase.name) {
            Some(known) => {
                known.duration_s += phase.duration_s;
                known.energy += phase.energy;
                known.emissions += phase.emissions;
            }
            None => summed.push(phase),
        }
    }
    summed
}
