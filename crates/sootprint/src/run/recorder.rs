//! Records a run: appends entries to its ledger and keeps the running footprint. Samples and events are recorded on the
//! sampler thread, facts on the thread of the hook.

mod create;
mod epochs_and_phases;
mod grid_updates;
mod ledger_entries;
mod open_intervals;

use std::sync::mpsc;
use std::time::Duration;

use sootprint_core::{Co2e, Energy, Footprint, IntensitySeries, Place, Power, RunStatus, TrainingType};
use sootprint_power::{ComponentInfo, ComponentTotal, DeviceId, GpuInfo, SampleView, SensorEvent};

use crate::distributed::seconds_since_boot;
use crate::footprint::FootprintBuilder;
use crate::ledger::{LedgerEntry, LedgerId, OpenLedger, ProcessInfo, RunHeader, WorkCounts};
use crate::run::event::{EpochTotals, HookEvent, RunFact};
use open_intervals::{ActiveEpoch, EpochBoundary, PhaseAccumulator};

pub(crate) use grid_updates::IntensityQuery;

/// How the ledger is opened.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct RecorderOptions {
    /// Continue the newest unfinished run of the folder.
    pub(crate) resume: bool,
    /// Return an error if another process records that run, instead of recording a new one.
    pub(crate) fail_if_busy: bool,
}

/// How a note about lost ledger lines starts. The ledger does not record the loss, so only the process that lost the
/// lines can note it.
pub(crate) const LEDGER_LOSS_NOTE: &str = "ledger incomplete: ";

/// Records a run: its ledger, and the footprint so far.
#[derive(Debug)]
pub(crate) struct RunRecorder {
    /// `None` if the folder cannot be written; the run is then recorded in memory only.
    ledger: Option<OpenLedger>,
    builder: FootprintBuilder,
    epoch: Option<ActiveEpoch>,
    phases: PhaseAccumulator,
    last_entry_at: Option<Duration>,
    /// The time and totals of the last line, and the number of compact lines since the last full one.
    last_entry: (f64, Vec<ComponentTotal>, u32),
    last_heartbeat_at: Option<Duration>,
    /// The time and totals of the last heartbeat, written or not.
    latest_totals: Option<(f64, Vec<ComponentTotal>)>,
    /// Whether the final sample has been requested. Samples that arrive after that write no totals.
    is_finishing: bool,
    /// The worst status that was reported.
    status: Option<RunStatus>,
    state: RecorderState,
    /// Where the run is, if known.
    place: Option<Place>,
    /// The user's intensity series.
    series: Option<IntensitySeries>,
    year: u16,
    /// Notes to record once the header is written.
    pending_notes: Vec<String>,
    /// The events of the first sample, which is taken before the header is written.
    first_events: Vec<SensorEvent>,
    /// The number of gaps reported by the sampler that have been recorded.
    sampler_gaps: usize,
    /// Devices of the framework that match no component so far.
    unresolved_devices: Vec<DeviceId>,
    /// Whether time comes from a virtual clock, which cannot be compared with that of other processes.
    uses_virtual_time: bool,
}

/// The stage of the record, which determines what may be written: the sampler takes its first sample before the header
/// can be written, and hooks may emit events after the last line.
#[derive(Debug, Clone, Copy, PartialEq)]
enum RecorderState {
    New,
    Recording,
    /// The final sample is taken; the last lines follow.
    Finalizing,
    Closed,
}

impl RunRecorder {
    /// Writes the complete header once the hardware is known. The run began `elapsed` seconds ago.
    ///
    /// The first `sampler_gaps` of `gaps` were reported by the sampler.
    pub(crate) fn start(
        &mut self,
        components: Vec<ComponentInfo>,
        gaps: Vec<String>,
        sampler_gaps: usize,
        pending_drivers: Vec<String>,
        elapsed: f64,
    ) {
        self.state = RecorderState::Recording;
        self.sampler_gaps = sampler_gaps;
        let header = self.builder.header().clone();
        let booted_at = seconds_since_boot().filter(|_| !self.uses_virtual_time).map(|now| now - elapsed);
        let process = ProcessInfo { booted: booted_at, ..header.task.clone() };
        let header = RunHeader { components, gaps, pending_drivers, task: process, ..header };
        self.record(LedgerEntry::Header(Box::new(header)));
        self.record_initial_series();
        for text in std::mem::take(&mut self.pending_notes) {
            self.record(LedgerEntry::Note { at: 0.0, text });
        }
        self.sync();
    }

    #[cfg(unix)]
    pub(crate) fn ledger_id(&self) -> Option<&LedgerId> {
        self.ledger.as_ref().map(|open| &open.id)
    }

    #[cfg(unix)]
    pub(crate) fn components(&self) -> &[ComponentInfo] {
        &self.builder.header().components
    }

    #[cfg(unix)]
    pub(crate) const fn uses_virtual_time(&self) -> bool {
        self.uses_virtual_time
    }

    /// The id and the training type of the run.
    pub(crate) fn id_and_training_type(&self) -> (&str, Option<TrainingType>) {
        let header = self.builder.header();
        (&header.run, header.training_type)
    }

    pub(crate) fn record_idle_power(&mut self, power: Vec<Power>) {
        self.record(LedgerEntry::IdlePower { power });
    }

    /// Records an event that separates epochs or phases. Returns the totals of the epoch that it ends.
    pub(crate) fn handle_event(&mut self, event: HookEvent, sample: &SampleView<'_>) -> Option<EpochTotals> {
        self.add_components(sample);
        self.handle_boundary(event, &EpochBoundary::from_sample(sample))
    }

    /// Records an event whose energy is not known, because the sampler does not answer. The energy of the last sample
    /// is used.
    pub(crate) fn handle_unsampled_event(&mut self, event: HookEvent, now: Duration) -> Option<EpochTotals> {
        let totals = self.latest_totals.as_ref().map(|(_, totals)| totals);
        let energy = totals.map_or_else(Vec::new, |totals| totals.iter().map(|total| total.energy).collect());
        self.handle_boundary(event, &EpochBoundary { now, energy })
    }

    fn handle_boundary(&mut self, event: HookEvent, boundary: &EpochBoundary) -> Option<EpochTotals> {
        match event {
            HookEvent::EpochStarted { number, counts } => self.start_epoch(number, boundary, counts),
            HookEvent::EpochEnded { completed, counts } => self.end_epoch(completed, boundary, counts),
            HookEvent::TrainingLeft(counts) => self.leave_training(boundary, counts),
            HookEvent::PhaseStarted { id, name } => {
                self.start_phase(id, name, boundary);
                None
            }
            HookEvent::PhaseEnded(id) => {
                self.end_phase(id, boundary);
                None
            }
            HookEvent::Fact(fact) => {
                self.record_fact(fact, boundary.now);
                None
            }
        }
    }

    /// Records a fact, which needs no energy. Called on the thread of the hook, so that the fact is recorded even if no
    /// driver answers.
    pub(crate) fn record_fact(&mut self, fact: RunFact, now: Duration) {
        match fact {
            RunFact::TrainingType { training_type, base_model } => self.set_label(training_type, base_model),
            RunFact::EpochsPlanned(epochs) => self.record(LedgerEntry::EpochsPlanned { epochs }),
            RunFact::WindowLength(every) => self.record(LedgerEntry::WindowLength { every }),
            RunFact::Work { epoch, counts } => self.record(LedgerEntry::Work { epoch, counts }),
            RunFact::Devices(devices) => self.add_devices(now, devices),
            RunFact::Status(status) => self.status = self.status.max(Some(status)),
            RunFact::Resumed => self.mark_resumed(),
            RunFact::Note(text) => self.record(LedgerEntry::Note { at: now.as_secs_f64(), text }),
        }
    }

    /// Sets the training type of a nested run, unless the command was started with one.
    fn set_label(&mut self, training_type: Option<TrainingType>, base_model: Option<String>) {
        if self.builder.header().training_type.is_none() {
            self.record(LedgerEntry::TrainingType { training_type, base_model });
        }
    }

    /// Records components and gaps that have been added since the start, because a driver answered late.
    fn add_components(&mut self, sample: &SampleView<'_>) {
        let known = self.builder.header().components.len();
        let gaps = sample.gaps.get(self.sampler_gaps..).unwrap_or_default();
        let is_unchanged = sample.components.len() <= known
            && gaps.is_empty()
            && sample.pending_drivers.len() == self.builder.header().pending_drivers.len();
        if self.state != RecorderState::Recording || is_unchanged {
            return;
        }
        let (at, gaps) = (sample.now.as_secs_f64(), gaps.to_vec());
        gaps.iter().for_each(|gap| tracing::warn!("{gap}"));
        self.sampler_gaps = sample.gaps.len();
        let components = sample.components.get(known..).unwrap_or_default().to_vec();
        let pending_drivers = sample.pending_drivers.iter().map(|driver| (*driver).to_owned()).collect();
        self.record(LedgerEntry::ComponentsAdded { at, components, gaps, pending_drivers });
        let devices = std::mem::take(&mut self.unresolved_devices);
        self.resolve_devices(sample.now, devices, true);
    }

    fn add_devices(&mut self, now: Duration, devices: Vec<DeviceId>) {
        self.resolve_devices(now, devices, false);
    }

    /// Records which components these devices are. `were_unresolved` is set if an earlier entry lists the devices as
    /// unresolved.
    fn resolve_devices(&mut self, now: Duration, devices: Vec<DeviceId>, were_unresolved: bool) {
        let gpus: Vec<(usize, GpuInfo)> = self
            .builder
            .header()
            .components
            .iter()
            .enumerate()
            .filter_map(|(position, component)| Some((position, component.gpu.clone()?)))
            .collect();
        let visible_gpus: Vec<GpuInfo> = gpus.iter().map(|(_, gpu)| gpu.clone()).collect();
        let (mut components, mut unresolved, mut found) = (Vec::new(), Vec::new(), Vec::new());
        for device in devices {
            match device.position_in(&visible_gpus) {
                Some(position) => {
                    components.push(gpus[position].0);
                    found.extend(were_unresolved.then(|| device.display_name()));
                }
                None => {
                    unresolved.extend((!were_unresolved).then(|| device.display_name()));
                    self.unresolved_devices.push(device);
                }
            }
        }
        if !were_unresolved || !components.is_empty() {
            self.record(LedgerEntry::Devices { at: now.as_secs_f64(), components, unresolved, found });
        }
    }

    /// Prepares for the final sample, which has been requested: samples from here on may be later than the end of the
    /// run.
    pub(crate) const fn expect_final_sample(&mut self) {
        self.is_finishing = true;
    }

    /// Records the final sample. Later hook events are ignored.
    pub(crate) fn record_final_sample(
        &mut self,
        sample: &SampleView<'_>,
        counts: WorkCounts,
    ) -> Option<EpochTotals> {
        self.add_components(sample);
        let epoch_totals = self.leave_training(&EpochBoundary::from_sample(sample), counts);
        self.record_final_totals(totals_entry(sample));
        epoch_totals
    }

    /// Ends the training loop; an open epoch ends as incomplete. Work counted since the last boundary belongs to the
    /// open epoch, if there is one.
    fn leave_training(&mut self, boundary: &EpochBoundary, counts: WorkCounts) -> Option<EpochTotals> {
        let (epoch_counts, outside_counts) = if self.epoch.is_some() {
            (counts, WorkCounts::default())
        } else {
            (WorkCounts::default(), counts)
        };
        let epoch_totals = self.end_epoch(false, boundary, epoch_counts);
        self.close_outside_epochs(boundary, outside_counts);
        epoch_totals
    }

    /// Writes a line with the totals so far.
    #[cfg(unix)]
    pub(crate) fn record_totals(&mut self, sample: &SampleView<'_>) {
        self.record(totals_entry(sample));
    }

    /// Ends the measurement without a final sample, because nothing is measured or the sampler hangs. The last totals
    /// remain, and the time since counts as unmeasured.
    pub(crate) fn finish_without_sample(&mut self, at: f64) {
        if !self.builder.header().components.is_empty() {
            let text = "the hardware did not answer at the end: using the last samples".to_owned();
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

    /// Makes this run the next attempt of the newest unfinished run in the folder: the ledger file is renamed.
    fn mark_resumed(&self) {
        if self.state == RecorderState::Recording
            && self.builder.header().task.attempt == 1
            && let Some(OpenLedger { ledger, .. }) = &self.ledger
        {
            ledger.resume();
        }
    }

    /// Writes the last line, waiting up to `timeout` for the disk. Returns the id of the ledger, if there is one.
    pub(crate) fn close(&mut self, status: Option<RunStatus>, timeout: Duration) -> Option<LedgerId> {
        let status = self.final_status(status);
        if self.state == RecorderState::Finalizing {
            let (at, totals) = self.builder.last_totals();
            self.append(LedgerEntry::End { at, outcome: status, totals });
        }
        self.state = RecorderState::Closed;
        let OpenLedger { ledger, id } = self.ledger.take()?;
        let (loss, resumed_id) = ledger.close(timeout);
        if let Some(reason) = loss.reason {
            let lost = match loss.lines {
                0 => "the last lines may not be on disk".to_owned(),
                1 => "1 line was not written".to_owned(),
                lines => format!("{lines} lines were not written"),
            };
            self.builder.add_note(format!("{LEDGER_LOSS_NOTE}{lost}: {reason}"));
        }
        if let Some(LedgerId { run, attempt, .. }) = resumed_id.clone() {
            self.builder.apply(LedgerEntry::Resumed { run, attempt });
        }
        Some(resumed_id.unwrap_or(id))
    }

    /// The status of a run that ends now: the worst one reported.
    fn final_status(&self, status: Option<RunStatus>) -> RunStatus {
        status.max(self.status).unwrap_or(RunStatus::Completed).max(self.builder.default_status())
    }

    /// The footprint up to now, with the status of a nested training that ends while this run continues.
    #[cfg(unix)]
    pub(crate) fn footprint_now(&self, status: Option<RunStatus>) -> Footprint {
        let mut footprint = self.footprint();
        footprint.run.outcome = self.final_status(status);
        footprint
    }

    pub(crate) fn footprint(&self) -> Footprint {
        self.builder.footprint(RunStatus::Running)
    }

    /// The energy of the counted components, and its emissions.
    pub(crate) fn usage_at(&self, sample: &SampleView<'_>) -> (Energy, Co2e) {
        let energy = self.builder.total_energy(&sample.accumulator.energy_at(sample.now));
        (energy, self.builder.emissions(energy))
    }

    #[cfg(test)]
    pub(crate) fn kill(&mut self) {
        let (done_tx, done_rx) = mpsc::channel();
        self.notify_when_written(done_tx);
        self.ledger = None;
        assert!(done_rx.recv().is_ok());
    }

    /// Sends a message once all entries so far are written.
    pub(crate) fn notify_when_written(&self, done_tx: mpsc::Sender<()>) {
        match &self.ledger {
            Some(OpenLedger { ledger, .. }) => ledger.notify_when_written(done_tx),
            // The receiver may have timed out.
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

fn totals_entry(sample: &SampleView<'_>) -> LedgerEntry {
    LedgerEntry::Totals { at: sample.now.as_secs_f64(), totals: sample.accumulator.totals(sample.now) }
}

#[cfg(test)]
mod tests;
