//! Recording of epochs and phases.

use sootprint_power::SampleView;

use super::open_intervals::{ActiveEpoch, energy_between};
use super::{RecorderState, RunRecorder};
use crate::ledger::{LedgerEntry, WorkCounts};
use crate::run::event::{EpochTotals, PhaseId};

impl RunRecorder {
    /// Starts an epoch; one that is still open ends here, incomplete. The counts belong to the epoch that ends, or to no
    /// epoch.
    pub(crate) fn start_epoch(
        &mut self,
        number: u32,
        sample: &SampleView<'_>,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        if self.state != RecorderState::Recording {
            return None;
        }
        let previous_totals = if self.epoch.is_some() {
            self.end_epoch(false, sample, counts)
        } else {
            self.close_outside_epochs(sample, counts);
            None
        };
        let energy = sample.accumulator.energy_at(sample.now);
        self.epoch = Some(ActiveEpoch { number, start: sample.now, start_energy: energy });
        previous_totals
    }

    /// Ends the open epoch and returns its totals. `None` if no epoch is open.
    pub(crate) fn end_epoch(
        &mut self,
        completed: bool,
        sample: &SampleView<'_>,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        let ActiveEpoch { number, start, start_energy } = self.epoch.take()?;
        let energy_now = sample.accumulator.energy_at(sample.now);
        self.phases.split_open_phases(sample.now, &energy_now);
        let used = energy_between(&start_energy, &energy_now);
        let total = self.builder.total_energy(sample.components, &used);
        let phases = self.phases.take_totals();
        self.record(LedgerEntry::Epoch {
            epoch: number,
            start: start.as_secs_f64(),
            end: sample.now.as_secs_f64(),
            energy: used,
            completed,
            counts,
            phases,
        });
        self.sync();
        let duration = sample.now.saturating_sub(start);
        Some(EpochTotals { duration, energy: total, emissions: self.builder.emissions(total) })
    }

    pub(crate) fn start_phase(&mut self, id: PhaseId, name: String, sample: &SampleView<'_>) {
        if self.state == RecorderState::Recording {
            let energy = sample.accumulator.energy_at(sample.now);
            self.phases.start_phase(id, name, sample.now, energy);
        }
    }

    pub(crate) fn end_phase(&mut self, id: PhaseId, sample: &SampleView<'_>) {
        self.phases.end_phase(id, sample.now, &sample.accumulator.energy_at(sample.now));
    }

    /// Splits the open phases where an epoch starts or the run ends, and writes the work outside of epochs up to here.
    pub(crate) fn close_outside_epochs(&mut self, sample: &SampleView<'_>, counts: WorkCounts) {
        self.phases.split_open_phases(sample.now, &sample.accumulator.energy_at(sample.now));
        self.write_outside_epochs(sample, counts);
    }

    /// Writes the work counted outside of epochs, and the phases that ended there, if there are any.
    pub(crate) fn write_outside_epochs(&mut self, sample: &SampleView<'_>, counts: WorkCounts) {
        let phases = self.phases.take_totals();
        if counts != WorkCounts::default() || !phases.is_empty() {
            self.record(LedgerEntry::OutsideEpochs { at: sample.now.as_secs_f64(), counts, phases });
        }
    }
}
