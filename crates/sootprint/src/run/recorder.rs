//! What a run knows of itself: its ledger and the sum of it. The meter's thread writes here.

mod create;
mod epochs;
mod grid_updates;
mod ledger_entries;

use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy, Footprint, IntensitySeries, Power, RunStatus, TrainingType};
use sootprint_power::{ComponentInfo, ComponentTotal, DeviceId, GpuInfo, SampleView};

use crate::distributed::seconds_since_boot;
use crate::footprint::FootprintBuilder;
use crate::ledger::{
    LedgerContents, LedgerCorruption, LedgerEntry, LedgerId, OpenLedger, ProcessInfo, RunHeader, WorkCounts,
};
use crate::run::event::HookEvent;
use epochs::{ActiveEpoch, PhaseAccumulator};

pub(super) use create::NestedRunConfig;
pub(super) use epochs::{EpochTotals, PhaseId};
pub(super) use grid_updates::IntensityQuery;

/// Whose run it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct RunLabel {
    pub(super) training_type: Option<TrainingType>,
    pub(super) base_model: Option<String>,
}

/// What is asked of the folder.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct RecorderOptions {
    /// To go on with the newest run.
    pub(super) resume: bool,
    /// Not to record beside a run that another process records.
    pub(super) fail_if_busy: bool,
}

#[derive(Debug)]
pub(super) struct RunRecorder {
    /// None when the folder cannot be written; then the sum is in memory only.
    ledger: Option<OpenLedger>,
    builder: FootprintBuilder,
    epoch: Option<ActiveEpoch>,
    phases: PhaseAccumulator,
    last_entry_at: Option<Duration>,
    /// The last line's moment and totals, and how many lines since the last that had all of them.
    last_entry: (f64, Vec<ComponentTotal>, u32),
    last_heartbeat_at: Option<Duration>,
    /// What the last heartbeat said, whether or not it was written.
    latest_totals: Option<(f64, Vec<ComponentTotal>)>,
    /// Whether the last reading is asked for: none after it counts.
    is_finishing: bool,
    status: Option<RunStatus>,
    state: RecorderState,
    /// The user's own figures for the hours.
    series: Option<IntensitySeries>,
    year: u16,
    /// What is to be noted once the record has begun.
    pending_notes: Vec<String>,
    /// Whether its time is none that another process's could be compared with.
    uses_virtual_time: bool,
}

/// The meter takes its first reading before the first line can be written, and hooks may speak after the last.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RecorderState {
    New,
    Recording,
    /// The last reading is taken; the closing lines come.
    Finalizing,
    Closed,
}

impl RunRecorder {
    /// Writes what the run consists of, once the boards are known; it began so many seconds ago.
    pub(super) fn start(&mut self, components: Vec<ComponentInfo>, gaps: Vec<String>, elapsed: f64) {
        self.state = RecorderState::Recording;
        let header = self.builder.header().clone();
        let booted_at = seconds_since_boot().filter(|_| !self.uses_virtual_time).map(|now| now - elapsed);
        let process = ProcessInfo { booted: booted_at, ..header.task.clone() };
        self.record(LedgerEntry::Header(Box::new(RunHeader { components, gaps, task: process, ..header })));
        self.record_initial_series();
        for text in std::mem::take(&mut self.pending_notes) {
            self.record(LedgerEntry::Note { at: 0.0, text });
        }
        self.sync();
    }

    #[cfg(unix)]
    pub(super) fn ledger_id(&self) -> Option<&LedgerId> {
        self.ledger.as_ref().map(|open| &open.id)
    }

    #[cfg(unix)]
    pub(super) fn components(&self) -> &[ComponentInfo] {
        &self.builder.header().components
    }

    #[cfg(unix)]
    pub(super) const fn uses_virtual_time(&self) -> bool {
        self.uses_virtual_time
    }

    /// The run's id and its label.
    pub(super) fn id_and_training_type(&self) -> (&str, Option<TrainingType>) {
        let header = self.builder.header();
        (&header.run, header.training_type)
    }

    pub(super) fn record_idle_power(&mut self, power: Vec<Power>) {
        self.record(LedgerEntry::IdlePower { power });
    }

    /// What a hook says, of this process or of one that is attached; what the epoch came to that ends by it.
    pub(super) fn handle_event(&mut self, event: HookEvent, moment: &SampleView<'_>) -> Option<EpochTotals> {
        match event {
            HookEvent::TrainingTypeSet { training_type, base_model } => {
                self.set_label(training_type, base_model)
            }
            HookEvent::EpochsPlanned(epochs) => self.record(LedgerEntry::EpochsPlanned { epochs }),
            HookEvent::WindowLengthSet(every) => self.record(LedgerEntry::WindowLength { every }),
            HookEvent::EpochStarted { number, counts: before } => {
                return self.start_epoch(number, moment, before);
            }
            HookEvent::EpochEnded { completed, counts } => return self.end_epoch(completed, moment, counts),
            HookEvent::PhaseStarted { id, name } => self.start_phase(id, name, moment),
            HookEvent::PhaseEnded(id) => self.end_phase(id, moment),
            HookEvent::TrainingLeft(counts) => return self.leave_training(moment, counts),
            HookEvent::WorkCounted { epoch, counts } => self.record(LedgerEntry::Work { epoch, counts }),
            HookEvent::DevicesAdded(claims) => self.add_devices(moment, &claims),
            HookEvent::StatusSet(outcome) => self.status = self.status.max(Some(outcome)),
            HookEvent::Resumed => self.mark_resumed(),
            HookEvent::NoteAdded(text) => {
                self.record(LedgerEntry::Note { at: moment.now.as_secs_f64(), text })
            }
        }
        None
    }

    /// A training that is attached says what it is; what the command was told stands.
    fn set_label(&mut self, training_type: Option<TrainingType>, base_model: Option<String>) {
        if self.builder.header().training_type.is_none() {
            self.record(LedgerEntry::TrainingType { training_type, base_model });
        }
    }

    fn add_devices(&mut self, moment: &SampleView<'_>, devices: &[DeviceId]) {
        let gpus: Vec<(usize, &GpuInfo)> = moment
            .components
            .iter()
            .enumerate()
            .filter_map(|(position, component)| Some((position, component.gpu.as_ref()?)))
            .collect();
        let visible_gpus: Vec<GpuInfo> = gpus.iter().map(|(_, gpu)| (*gpu).clone()).collect();
        let (mut components, mut unresolved) = (Vec::new(), Vec::new());
        for device in devices {
            match device.position_in(&visible_gpus) {
                Some(found) => components.push(gpus[found].0),
                None => unresolved.push(device.display_name()),
            }
        }
        self.record(LedgerEntry::Devices { at: moment.now.as_secs_f64(), components, unresolved });
    }

    /// The last reading is asked for, and what is read from now on may be of later.
    pub(super) const fn expect_final_sample(&mut self) {
        self.is_finishing = true;
    }

    /// Takes the last reading; nothing that hooks say later counts.
    pub(super) fn record_final_sample(
        &mut self,
        moment: &SampleView<'_>,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        let epoch_totals = self.leave_training(moment, counts);
        self.record_final_totals(totals_entry(moment));
        epoch_totals
    }

    /// The training is over. Who leaves it within an epoch counted what he counted in that epoch.
    fn leave_training(&mut self, moment: &SampleView<'_>, counts: WorkCounts) -> Option<EpochTotals> {
        let (epoch_counts, outside_counts) = if self.epoch.is_some() {
            (counts, WorkCounts::default())
        } else {
            (WorkCounts::default(), counts)
        };
        let epoch_totals = self.end_epoch(false, moment, epoch_counts);
        self.close_outside_epochs(moment, outside_counts);
        epoch_totals
    }

    /// A line of the totals so far.
    #[cfg(unix)]
    pub(super) fn record_totals(&mut self, moment: &SampleView<'_>) {
        self.record(totals_entry(moment));
    }

    /// Ends the measuring of a run that no meter serves, or whose meter hangs: the last totals stand, and nobody knows
    /// what was used since.
    pub(super) fn finish_without_sample(&mut self, at: f64) {
        if !self.builder.header().components.is_empty() {
            let text = "the boards did not answer at the end: the last readings stand".to_owned();
            self.record(LedgerEntry::Note { at, text });
        }
        let (last_at, mut totals) = self.latest_totals.take().unwrap_or_else(|| self.builder.last_totals());
        totals.iter_mut().for_each(|total| total.unmeasured += (at - last_at).max(0.0));
        self.record_final_totals(LedgerEntry::Totals { at, totals });
    }

    fn record_final_totals(&mut self, entry: LedgerEntry) {
        self.record(entry);
        if self.state == RecorderState::Recording {
            self.state = RecorderState::Finalizing;
        }
    }

    /// The training goes on from a checkpoint: this is the next attempt of the folder's newest unfinished run.
    fn mark_resumed(&self) {
        if self.state == RecorderState::Recording
            && self.builder.header().task.attempt == 1
            && let Some(OpenLedger { ledger, .. }) = &self.ledger
        {
            ledger.resume();
        }
    }

    /// Writes the last line; the name of the record, where there is one. The disk has so long to take it.
    pub(super) fn close(&mut self, status: Option<RunStatus>, timeout: Duration) -> Option<LedgerId> {
        let status = self.final_status(status);
        if self.state == RecorderState::Finalizing {
            let (at, totals) = self.builder.last_totals();
            self.append(LedgerEntry::End { at, outcome: status, totals });
        }
        self.state = RecorderState::Closed;
        let OpenLedger { ledger, id } = self.ledger.take()?;
        let (loss, resumed_id) = ledger.close(timeout);
        if let Some(reason) = loss.reason {
            let lines = match loss.lines {
                0 => "the disk may not keep all of the run's record".to_owned(),
                1 => "1 line of the run's record is not written".to_owned(),
                lines => format!("{lines} lines of the run's record are not written"),
            };
            self.builder.add_note(format!("{lines}: {reason}"));
        }
        if let Some(LedgerId { run, attempt, .. }) = resumed_id.clone() {
            self.builder.apply(LedgerEntry::Resumed { run, attempt });
        }
        Some(resumed_id.unwrap_or(id))
    }

    /// How a run ends that ends now: the worst word stands.
    fn final_status(&self, status: Option<RunStatus>) -> RunStatus {
        status.max(self.status).unwrap_or(RunStatus::Completed).max(self.builder.default_status())
    }

    /// The footprint up to now, for who ends while the run goes on.
    #[cfg(unix)]
    pub(super) fn footprint_now(&self, status: Option<RunStatus>) -> Footprint {
        let mut footprint = self.footprint();
        footprint.run.outcome = self.final_status(status);
        footprint
    }

    pub(super) fn footprint(&self) -> Footprint {
        self.builder.footprint(RunStatus::Running)
    }

    /// The energy of what counts, and its emissions.
    pub(super) fn usage_at(&self, moment: &SampleView<'_>) -> (Energy, Co2e) {
        let energy = self.builder.total_energy(moment.components, &moment.accumulator.energy_at(moment.now));
        (energy, self.builder.emissions(energy))
    }

    #[cfg(test)]
    pub(super) fn kill(&mut self) {
        let (done_tx, done_rx) = mpsc::channel();
        self.notify_when_written(done_tx);
        self.ledger = None;
        assert!(done_rx.recv().is_ok());
    }

    /// Says when all so far is written.
    pub(super) fn notify_when_written(&self, done_tx: mpsc::Sender<()>) {
        match &self.ledger {
            Some(OpenLedger { ledger, .. }) => ledger.notify_when_written(done_tx),
            // Who waits may have lost patience.
            None => drop(done_tx.send(())),
        }
    }

    fn record(&mut self, entry: LedgerEntry) {
        if self.state == RecorderState::Recording {
            self.append(entry);
        }
    }

    fn append(&mut self, entry: LedgerEntry) {
        if let Some(OpenLedger { ledger, .. }) = &self.ledger {
            ledger.append(&entry);
        }
        self.builder.apply(entry);
    }

    fn sync(&self) {
        if let Some(OpenLedger { ledger, .. }) = &self.ledger {
            ledger.sync();
        }
    }
}

/// The sum of a ledger's lines.
pub(super) fn builder_from_ledger(contents: LedgerContents) -> FootprintBuilder {
    let mut builder = FootprintBuilder::new(contents.header);
    contents.entries.into_iter().for_each(|entry| builder.apply(entry));
    match contents.corruption {
        // The process is about to write the rest of it.
        Some(LedgerCorruption { is_tail: true, .. }) if contents.is_open => {}
        Some(LedgerCorruption { is_tail: true, first, .. }) => {
            builder.add_note(format!(
                "the ledger is cut in line {first}: what it would have said is not counted"
            ));
        }
        Some(LedgerCorruption { first, lines, .. }) => {
            let lines =
                if lines == 1 { "line".to_owned() } else { format!("{lines} lines, the first in line") };
            builder.add_note(format!(
                "the ledger is damaged in {lines} {first}: what it said of epochs and events is not counted"
            ));
        }
        None => {}
    }
    builder
}

fn totals_entry(moment: &SampleView<'_>) -> LedgerEntry {
    LedgerEntry::Totals { at: moment.now.as_secs_f64(), totals: moment.accumulator.totals(moment.now) }
}

#[cfg(test)]
mod tests;
