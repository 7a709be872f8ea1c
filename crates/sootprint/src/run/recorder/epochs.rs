//! Epochs and phases in a run's record.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy};
use sootprint_power::SampleView;

use super::{RecorderState, RunRecorder};
use crate::ledger::{LedgerEntry, PhaseTotal, WorkCounts};

/// An epoch that has begun and not ended.
#[derive(Debug)]
pub(super) struct ActiveEpoch {
    pub(super) number: u32,
    pub(super) start: Duration,
    pub(super) start_energy: Vec<Energy>,
}

/// What an epoch came to, for who watches.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::run) struct EpochTotals {
    pub(in crate::run) duration: Duration,
    pub(in crate::run) energy: Energy,
    pub(in crate::run) emissions: Co2e,
}

/// Tells one open phase from another of its name.
pub(in crate::run) type PhaseId = u64;

/// The open phases, and the sum of those that ended since the last line that told of any.
#[derive(Debug, Default)]
pub(super) struct PhaseAccumulator {
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

impl RunRecorder {
    /// An epoch begins; one that is still open ended here without being complete. What was counted before belongs to
    /// the one that ends, or to none.
    pub(super) fn start_epoch(
        &mut self,
        number: u32,
        moment: &SampleView<'_>,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        if self.state != RecorderState::Recording {
            return None;
        }
        let previous_totals = if self.epoch.is_some() {
            self.end_epoch(false, moment, counts)
        } else {
            self.close_outside_epochs(moment, counts);
            None
        };
        let energy = moment.accumulator.energy_at(moment.now);
        self.epoch = Some(ActiveEpoch { number, start: moment.now, start_energy: energy });
        previous_totals
    }

    /// The open epoch ends; what it came to, when there was one.
    pub(super) fn end_epoch(
        &mut self,
        completed: bool,
        moment: &SampleView<'_>,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        let ActiveEpoch { number, start, start_energy } = self.epoch.take()?;
        let energy_now = moment.accumulator.energy_at(moment.now);
        self.phases.split_open_phases(moment.now, &energy_now);
        let used = energy_between(&start_energy, &energy_now);
        let total = self.builder.total_energy(moment.components, &used);
        let phases = std::mem::take(&mut self.phases.totals);
        self.record(LedgerEntry::Epoch {
            epoch: number,
            start: start.as_secs_f64(),
            end: moment.now.as_secs_f64(),
            energy: used,
            completed,
            counts,
            phases,
        });
        self.sync();
        let duration = moment.now.saturating_sub(start);
        Some(EpochTotals { duration, energy: total, emissions: self.builder.emissions(total) })
    }

    pub(super) fn start_phase(&mut self, id: PhaseId, name: String, moment: &SampleView<'_>) {
        if self.state == RecorderState::Recording {
            let start_energy = moment.accumulator.energy_at(moment.now);
            self.phases.open.push(ActivePhase { id, name, start: moment.now, start_energy });
        }
    }

    pub(super) fn end_phase(&mut self, id: PhaseId, moment: &SampleView<'_>) {
        let Some(position) = self.phases.open.iter().position(|open| open.id == id) else { return };
        let open = self.phases.open.swap_remove(position);
        self.phases.add_phase(&open, moment.now, &moment.accumulator.energy_at(moment.now));
    }

    /// An epoch begins here, or the run ends: what was outside of epochs up to now is written.
    pub(super) fn close_outside_epochs(&mut self, moment: &SampleView<'_>, counts: WorkCounts) {
        self.phases.split_open_phases(moment.now, &moment.accumulator.energy_at(moment.now));
        self.write_outside_epochs(moment, counts);
    }

    /// Writes what was counted outside of epochs, and the phases that ended there, if there is any of it.
    pub(super) fn write_outside_epochs(&mut self, moment: &SampleView<'_>, counts: WorkCounts) {
        let phases = std::mem::take(&mut self.phases.totals);
        if counts != WorkCounts::default() || !phases.is_empty() {
            self.record(LedgerEntry::OutsideEpochs { at: moment.now.as_secs_f64(), counts, phases });
        }
    }
}

impl PhaseAccumulator {
    /// An epoch ends or begins here: what the open phases used up to here belongs to what was before.
    fn split_open_phases(&mut self, now: Duration, energy: &[Energy]) {
        for mut open in std::mem::take(&mut self.open) {
            self.add_phase(&open, now, energy);
            (open.start, open.start_energy) = (now, energy.to_vec());
            self.open.push(open);
        }
    }

    fn add_phase(&mut self, open: &ActivePhase, now: Duration, energy: &[Energy]) {
        let seconds = now.saturating_sub(open.start).as_secs_f64();
        let used = energy_between(&open.start_energy, energy);
        match self.totals.iter_mut().find(|sum| sum.name == open.name) {
            Some(sum) => {
                sum.seconds += seconds;
                sum.energy.iter_mut().zip(used).for_each(|(sum, used)| *sum += used);
            }
            None => self.totals.push(PhaseTotal { name: open.name.clone(), seconds, energy: used }),
        }
    }
}

/// What each component used between two edges. Each is found from the readings around it, so that of two that nearly
/// touch the later one may come out below the earlier one.
pub(super) fn energy_between(before: &[Energy], after: &[Energy]) -> Vec<Energy> {
    let used =
        |(before, after): (&Energy, &Energy)| if after < before { Energy::ZERO } else { *after - *before };
    before.iter().zip(after).map(used).collect()
}
