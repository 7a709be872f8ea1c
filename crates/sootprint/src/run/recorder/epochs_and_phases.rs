//! Recording of epochs and phases.

use std::time::Duration;

use super::open_intervals::{ActiveEpoch, EpochBoundary, energy_between};
use super::{RecorderState, RunRecorder};
use crate::ledger::{LedgerEntry, WorkCounts};
use crate::run::event::{EpochTotals, PhaseId};

impl RunRecorder {
    /// Starts an epoch; one that is still open ends here, incomplete. The counts belong to the epoch that ends, or to no
    /// epoch.
    pub(crate) fn start_epoch(
        &mut self,
        number: u32,
        boundary: &EpochBoundary,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        if self.state != RecorderState::Recording {
            return None;
        }
        let previous_totals = if self.epoch.is_some() {
            self.end_epoch(false, boundary, counts)
        } else {
            self.close_outside_epochs(boundary, counts);
            None
        };
        self.epoch = Some(ActiveEpoch { number, start: boundary.now, start_energy: boundary.energy.clone() });
        previous_totals
    }

    /// Ends the open epoch and returns its totals. `None` if no epoch is open.
    pub(crate) fn end_epoch(
        &mut self,
        completed: bool,
        boundary: &EpochBoundary,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        let ActiveEpoch { number, start, start_energy } = self.epoch.take()?;
        self.phases.split_open_phases(boundary.now, &boundary.energy);
        let used = energy_between(&start_energy, &boundary.energy);
        let total = self.builder.total_energy(&used);
        let phases = self.phases.take_totals();
        self.record(LedgerEntry::Epoch {
            epoch: number,
            start: start.as_secs_f64(),
            end: boundary.now.as_secs_f64(),
            energy: used,
            completed,
            counts,
            phases,
        });
        self.sync();
        let duration = boundary.now.saturating_sub(start);
        Some(EpochTotals { duration, energy: total, emissions: self.builder.emissions(total) })
    }

    pub(crate) fn start_phase(&mut self, id: PhaseId, name: String, boundary: &EpochBoundary) {
        if self.state == RecorderState::Recording {
            self.phases.start_phase(id, name, boundary.now, boundary.energy.clone());
        }
    }

    pub(crate) fn end_phase(&mut self, id: PhaseId, boundary: &EpochBoundary) {
        self.phases.end_phase(id, boundary.now, &boundary.energy);
    }

    /// Splits the open phases where an epoch starts or the run ends, and writes the work outside of epochs up to here.
    pub(crate) fn close_outside_epochs(&mut self, boundary: &EpochBoundary, counts: WorkCounts) {
        self.phases.split_open_phases(boundary.now, &boundary.energy);
        self.write_outside_epochs(boundary.now, counts);
    }

    /// Writes the work counted outside of epochs, and the phases that ended there, if there are any.
    pub(crate) fn write_outside_epochs(&mut self, now: Duration, counts: WorkCounts) {
        let phases = self.phases.take_totals();
        if counts != WorkCounts::default() || !phases.is_empty() {
            self.record(LedgerEntry::OutsideEpochs { at: now.as_secs_f64(), counts, phases });
        }
    }
}
