//! The handle through which training hooks report to a run.

mod lifecycle;
#[cfg(unix)]
mod parent;
mod remote_backend;

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sootprint_core::sync::lock_ignoring_poison;
use sootprint_core::{Energy, RunStatus};
use sootprint_power::{BoundaryPrecision, DeviceId, SamplerSession};

use super::budget::{BudgetExceeded, BudgetTracker, RunForecast};
use super::event::{EpochTotals, HookEvent, PhaseId, RunFact};
use super::finish_waits::FinishWaits;
use super::nested::RemoteSampler;
use super::recorder::RunRecorder;
use super::spans::{self, RunSpans};
use super::usage::{LiveUsage, UsageTracker};
use crate::ledger::WorkCounts;

/// A handle to a run for training hooks: cheap to clone, `Send` and `Sync`. Calls after the end of the run have no
/// effect.
///
/// A call that reports something either records it directly or posts a timestamped event to the sampler thread. It does
/// not wait for the hardware and does not fail.
#[derive(Debug, Clone)]
pub struct RunHandle(Arc<RunHandleInner>);

#[derive(Debug)]
struct RunHandleInner {
    /// `None` if nothing is measured, and after the end of the run.
    backend: Mutex<Option<MeasurementBackend>>,
    recorder: Arc<Mutex<RunRecorder>>,
    usage: Arc<Mutex<UsageTracker>>,
    budgets: Arc<Mutex<BudgetTracker>>,
    /// Events whose energy the sampler has not determined yet, oldest first.
    pending_events: Arc<Mutex<VecDeque<(Duration, HookEvent)>>>,
    /// The work counted since the last epoch boundary.
    counts: Mutex<WorkCounts>,
    spans: RunSpans,
    next_phase_id: AtomicU64,
    finish_waits: FinishWaits,
}

/// Determines the energy at the timestamps of hook events.
#[derive(Debug)]
enum MeasurementBackend {
    /// The sampler of this process.
    Local(SamplerSession),
    /// The enclosing `sootprint run`.
    Remote(RemoteSampler),
}

impl RunHandle {
    /// Sets the planned number of epochs. A run that finishes after fewer complete epochs is recorded as stopped early.
    pub fn set_planned_epochs(&self, epochs: u32) {
        lock_ignoring_poison(&self.0.budgets).set_planned_epochs(epochs);
        self.record_fact(RunFact::EpochsPlanned(epochs));
    }

    /// Starts an epoch now. An epoch that is still open ends here as incomplete.
    pub fn start_epoch(&self, number: u32) {
        let used = self.usage().energy;
        let (counts, report_totals) = self.close_epoch(false, used, Some(number));
        lock_ignoring_poison(&self.0.budgets).start_epoch(used);
        self.emit_with(HookEvent::EpochStarted { number, counts }, report_totals);
    }

    /// Ends the open epoch now. `completed` states whether it was completed.
    pub fn end_epoch(&self, completed: bool) {
        let usage = self.usage();
        let (counts, report_totals) = self.close_epoch(completed, usage.energy, None);
        self.emit_with(HookEvent::EpochEnded { completed, counts }, report_totals);
        let warnings =
            lock_ignoring_poison(&self.0.budgets).take_warnings(usage.energy, usage.grams_per_joule());
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }

    /// Counts training samples for the run and for the open epoch, if there is one. Validation samples should not be
    /// counted.
    pub fn add_samples(&self, samples: u64) {
        lock_ignoring_poison(&self.0.counts).add(WorkCounts { samples: Some(samples), tokens: None });
    }

    /// Counts training tokens for the run and for the open epoch, if there is one.
    pub fn add_tokens(&self, tokens: u64) {
        lock_ignoring_poison(&self.0.counts).add(WorkCounts { samples: None, tokens: Some(tokens) });
    }

    /// Returns the expected total of the run. `None` until an epoch is complete, or if the planned number of epochs is
    /// unknown.
    #[must_use]
    pub fn forecast(&self) -> Option<RunForecast> {
        let usage = self.usage();
        lock_ignoring_poison(&self.0.budgets).forecast(usage.energy, usage.grams_per_joule())
    }

    /// Returns the budget that requires the training loop to stop now, if any. Only budgets with
    /// [`stop_when_exceeded`](super::Budget::stop_when_exceeded) are checked.
    ///
    /// Within an epoch, the loop must stop once a budget has been reached. Between epochs, it must also stop if one
    /// more epoch of average energy would exceed a budget. An integration that stops the loop for this reason must call
    /// [`record_early_stop`](Self::record_early_stop).
    #[must_use]
    pub fn budget_exceeded(&self) -> Option<BudgetExceeded> {
        if !lock_ignoring_poison(&self.0.budgets).has_budget() {
            return None;
        }
        let usage = self.usage();
        lock_ignoring_poison(&self.0.budgets).exceeded(usage.energy, usage.grams_per_joule())
    }

    /// Records that the training loop stops early, and the reason: logs one warning, adds a note to the footprint, and
    /// sets the status [`StoppedEarly`](RunStatus::StoppedEarly).
    pub fn record_early_stop(&self, reason: impl fmt::Display) {
        tracing::warn!("training stopped early: {reason}");
        self.add_note(format!("training stopped early: {reason}"));
        self.set_status(RunStatus::StoppedEarly);
    }

    /// Returns the time since the run began, on the run's clock. Zero after the end of the run, and for a disabled run.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now().unwrap_or_default()
    }

    /// Records that the epochs are windows of a loop without epochs.
    pub(crate) fn set_window_length(&self, length: String) {
        self.record_fact(RunFact::WindowLength(length));
    }

    /// Adds devices that the framework trains on. An empty list means that it trains on no GPU.
    ///
    /// Devices of several calls add up. After the first call, the footprint leaves out all GPUs that have not been
    /// added.
    pub fn add_devices(&self, devices: impl IntoIterator<Item = DeviceId>) {
        self.record_fact(RunFact::Devices(devices.into_iter().collect()));
    }

    /// Sets the status with which the training ended. Of several statuses, the worst one is recorded.
    pub fn set_status(&self, status: RunStatus) {
        self.record_fact(RunFact::Status(status));
    }

    /// Records that the training continues from a checkpoint: the run becomes the next attempt of the newest other run
    /// in its folder, and both share one footprint.
    ///
    /// Use this if resumption becomes known only after the run has started; otherwise call
    /// [`RunBuilder::resume`](super::RunBuilder::resume). If there is no other run, if the newest one is completed, or
    /// if another process is recording it, this run stays separate.
    pub fn mark_resumed(&self) {
        self.record_fact(RunFact::Resumed);
    }

    /// Adds a note for readers of the footprint.
    pub fn add_note(&self, text: impl Into<String>) {
        self.record_fact(RunFact::Note(text.into()));
    }

    /// Ends the waits of [`Run::finish`](super::Run::finish), now and later, even if another thread is already in `finish`.
    /// It then no longer waits for a final reading of the hardware, the intensity provider, the cloud metadata or other
    /// ranks. The footprint contains what is known, and notes what is missing.
    ///
    /// This is for programs that must exit immediately, for example after Ctrl-C.
    pub fn finish_without_waiting(&self) {
        self.0.finish_waits.end();
    }

    pub(crate) fn finish_waits(&self) -> &FinishWaits {
        &self.0.finish_waits
    }

    /// Waits until the sampler has handled all earlier events and the ledger is written. Returns `false` if this takes
    /// longer than `timeout`, or if nothing is measured.
    ///
    /// A training does not need this method. It is for tests, and for programs that read the ledger while the run
    /// continues.
    #[must_use = "`false` means that the ledger may not be written yet"]
    pub fn flush(&self, timeout: Duration) -> bool {
        let (done_tx, done_rx) = mpsc::channel();
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => {
                let recorder = Arc::clone(&self.0.recorder);
                session.query_energy(session.now(), BoundaryPrecision::Immediate, move |_| {
                    lock_ignoring_poison(&recorder).notify_when_written(done_tx)
                });
            }
            Some(MeasurementBackend::Remote(remote)) => remote.flush(done_tx),
            None => return false,
        }
        done_rx.recv_timeout(timeout).is_ok()
    }

    /// Returns what the run has used so far, extrapolated from the last sample to the current time.
    #[must_use]
    pub fn usage(&self) -> LiveUsage {
        let last_usage = || lock_ignoring_poison(&self.0.usage).usage;
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => last_usage().extrapolate_to(session.now()),
            Some(MeasurementBackend::Remote(remote)) => remote.usage(),
            None => last_usage(),
        }
    }

    /// Takes a new sample and calls `on_usage` with the usage up to now, once the hardware has been read. The callback
    /// runs on a background thread and should return quickly. It is not called if nothing is measured, or after the end
    /// of the run.
    pub fn sample(&self, on_usage: impl FnOnce(LiveUsage) + Send + 'static) {
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => {
                let (recorder, usage) = (Arc::clone(&self.0.recorder), Arc::clone(&self.0.usage));
                session.query_energy(session.now(), BoundaryPrecision::Immediate, move |sample| {
                    let (energy, emissions) = lock_ignoring_poison(&recorder).usage_at(sample);
                    let power = lock_ignoring_poison(&usage).usage.power;
                    on_usage(LiveUsage { elapsed: sample.now, energy, power, emissions });
                });
            }
            Some(MeasurementBackend::Remote(remote)) => remote.sample(on_usage),
            None => {}
        }
    }

    pub(crate) fn next_phase_id(&self) -> PhaseId {
        self.0.next_phase_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The time since the run began. `None` if nothing is measured.
    fn now(&self) -> Option<Duration> {
        match lock_ignoring_poison(&self.0.backend).as_ref()? {
            MeasurementBackend::Local(session) => Some(session.now()),
            MeasurementBackend::Remote(remote) => Some(remote.usage().elapsed),
        }
    }

    /// Closes the open epoch, if there is one, when the run has used `used`. Every end of an epoch goes through here.
    ///
    /// Returns the work counted up to here, which belongs in the event that ends the epoch, and the callback that
    /// reports the epoch's totals to its span and to the budgets once the sampler has computed them.
    fn close_epoch(
        &self,
        completed: bool,
        used: Energy,
        next: Option<u32>,
    ) -> (WorkCounts, impl FnOnce(Option<EpochTotals>) + Send + use<>) {
        let counts = std::mem::take(&mut *lock_ignoring_poison(&self.0.counts));
        let span = self.0.spans.replace_epoch(next);
        let position = lock_ignoring_poison(&self.0.budgets).end_epoch(completed, used);
        let budgets = Arc::clone(&self.0.budgets);
        let report_totals = move |totals: Option<EpochTotals>| {
            spans::close_epoch_span(span, completed, totals);
            if let (Some(position), Some(totals)) = (position, totals) {
                lock_ignoring_poison(&budgets).correct_epoch(position, totals.energy);
            }
        };
        (counts, report_totals)
    }

    pub(crate) fn emit(&self, event: HookEvent) {
        self.emit_with(event, |_| ());
    }

    /// Sends an event, with the current time, to the sampler of this process or of the enclosing `sootprint run`.
    /// `on_epoch_end` receives the totals of the epoch that the event ends, once they are known.
    fn emit_with(&self, event: HookEvent, on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static) {
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => {
                self.record_event(session, session.now(), event, on_epoch_end);
            }
            Some(MeasurementBackend::Remote(remote)) => remote.send_event(event, on_epoch_end),
            None => {}
        }
    }

    /// Records a fact in this process, or sends it to the enclosing `sootprint run`.
    fn record_fact(&self, fact: RunFact) {
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => {
                lock_ignoring_poison(&self.0.recorder).record_fact(fact, session.now());
            }
            Some(MeasurementBackend::Remote(remote)) => remote.send_event(HookEvent::Fact(fact), |_| ()),
            None => {}
        }
    }

    /// Records an event once the sampler has determined the energy at its time.
    fn record_event(
        &self,
        session: &SamplerSession,
        at: Duration,
        event: HookEvent,
        on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static,
    ) {
        let precision = event.boundary_precision();
        let (recorder, pending) = (Arc::clone(&self.0.recorder), Arc::clone(&self.0.pending_events));
        // Locked until the query is sent, so that queries and events have the same order.
        let mut queue = lock_ignoring_poison(&self.0.pending_events);
        queue.push_back((at, event));
        session.query_energy(at, precision, move |sample| {
            // If the sampler did not answer by the end of the run, the queue has already been drained.
            let Some((_, event)) = lock_ignoring_poison(&pending).pop_front() else { return };
            let totals = lock_ignoring_poison(&recorder).handle_event(event, sample);
            on_epoch_end(totals);
        });
    }
}
