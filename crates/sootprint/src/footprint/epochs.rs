//! The recorded epochs of one ledger.

use std::collections::HashMap;

use sootprint_core::Energy;

use crate::ledger::{OpenEpoch, PhaseTotal, WorkCounts};

#[derive(Debug, Clone)]
pub(super) struct RecordedEpoch {
    pub(super) epoch: u32,
    /// Seconds since the start of the run.
    pub(super) start: f64,
    /// Seconds.
    pub(super) duration: f64,
    /// The energy of each component during the epoch.
    pub(super) energy: Vec<Energy>,
    pub(super) completed: bool,
    pub(super) counts: WorkCounts,
    pub(super) phases: Vec<PhaseTotal>,
}

impl RecordedEpoch {
    /// An epoch whose process ended without recording its end.
    pub(super) fn from_interrupted(open: OpenEpoch, at: f64) -> Self {
        let OpenEpoch { epoch, start, energy } = open;
        let (counts, phases) = (WorkCounts::default(), Vec::new());
        Self { epoch, start, duration: at - start, energy, completed: false, counts, phases }
    }
}

/// Work and phases outside of epochs.
#[derive(Debug, Clone, Default)]
pub(super) struct OutsideEpochs {
    pub(super) counts: WorkCounts,
    pub(super) phases: Vec<PhaseTotal>,
    /// The index of each phase by its name.
    positions: HashMap<String, usize>,
}

impl OutsideEpochs {
    pub(super) fn add(&mut self, counts: WorkCounts, phases: Vec<PhaseTotal>) {
        self.counts.add(counts);
        for phase in phases {
            let position = self.positions.get(&phase.name).copied();
            match position.and_then(|position| self.phases.get_mut(position)) {
                Some(known) => {
                    known.seconds += phase.seconds;
                    known.energy.iter_mut().zip(phase.energy).for_each(|(sum, more)| *sum += more);
                }
                None => {
                    self.positions.insert(phase.name.clone(), self.phases.len());
                    self.phases.push(phase);
                }
            }
        }
    }
}
