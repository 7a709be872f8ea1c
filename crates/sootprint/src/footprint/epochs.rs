//! Epochs and phases of one ledger.

use sootprint_core::{Answer, Energy, EpochSummary, PhaseSummary};

use super::Fold;
use crate::ledger::{Counts, OpenEpoch, Opened, Phase};

#[derive(Debug, Clone)]
pub(super) struct Epoch {
    pub(super) epoch: u32,
    pub(super) start: f64,
    pub(super) duration: f64,
    pub(super) energy: Vec<Energy>,
    pub(super) completed: bool,
    pub(super) counts: Counts,
    pub(super) phases: Vec<Phase>,
}

/// What happened outside of epochs.
#[derive(Debug, Clone, Default)]
pub(super) struct Between {
    pub(super) counts: Counts,
    pub(super) phases: Vec<Phase>,
}

impl Epoch {
    /// An epoch whose process left no word of its end.
    pub(super) fn cut(open: OpenEpoch, at: f64) -> Self {
        let OpenEpoch { epoch, start, energy } = open;
        let (counts, phases) = (Counts::default(), Vec::new());
        Self { epoch, start, duration: at - start, energy, completed: false, counts, phases }
    }
}

impl Between {
    pub(super) fn add(&mut self, counts: Counts, phases: Vec<Phase>) {
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

impl Fold {
    pub(super) fn epoch(&self, opened: &Opened, grid: &Answer, epoch: &Epoch) -> EpochSummary {
        let energy = self.sum(&opened.components, &epoch.energy);
        EpochSummary {
            epoch: epoch.epoch,
            attempt: 1,
            start_s: Some(epoch.start),
            duration_s: epoch.duration,
            energy,
            emissions: energy * opened.pue.factor() * grid.intensity,
            completed: epoch.completed,
            samples: epoch.counts.samples,
            tokens: epoch.counts.tokens,
            phases: epoch.phases.iter().map(|phase| self.phase(opened, grid, phase)).collect(),
        }
    }

    /// Another rank counted this, in the newest epoch of that number or in one that ends later.
    pub(super) fn count(&mut self, epoch: Option<u32>, counts: Counts) {
        let ended = self.epochs.iter_mut().rev().find(|ended| Some(ended.epoch) == epoch);
        match (ended, epoch) {
            (Some(ended), _) => ended.counts.add(counts),
            (None, Some(epoch)) => self.ahead.entry(epoch).or_default().add(counts),
            (None, None) => self.between.counts.add(counts),
        }
    }

    /// What was counted in all epochs and between them.
    pub(super) fn counted(&self) -> Counts {
        let mut counts = self.between.counts;
        self.ahead.values().for_each(|ahead| counts.add(*ahead));
        self.epochs.iter().for_each(|epoch| counts.add(epoch.counts));
        counts
    }

    /// The phases of the whole run, in the order in which each was first heard of.
    pub(super) fn phases(&self, opened: &Opened, grid: &Answer) -> Vec<PhaseSummary> {
        let inside = self.epochs.iter().flat_map(|epoch| &epoch.phases);
        let each = inside.chain(&self.between.phases).map(|phase| self.phase(opened, grid, phase));
        united(each)
    }

    fn phase(&self, opened: &Opened, grid: &Answer, phase: &Phase) -> PhaseSummary {
        let energy = self.sum(&opened.components, &phase.energy);
        PhaseSummary {
            name: phase.name.clone(),
            duration_s: phase.seconds,
            energy,
            emissions: energy * opened.pue.factor() * grid.intensity,
        }
    }
}

/// Phases of one name added up.
pub(super) fn united(phases: impl IntoIterator<Item = PhaseSummary>) -> Vec<PhaseSummary> {
    let mut united: Vec<PhaseSummary> = Vec::new();
    for phase in phases {
        match united.iter_mut().find(|known| known.name == phase.name) {
            Some(known) => {
                known.duration_s += phase.duration_s;
                known.energy += phase.energy;
                known.emissions += phase.emissions;
            }
            None => united.push(phase),
        }
    }
    united
}
