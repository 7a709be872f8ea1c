//! What hooks hold of a run.

mod lifecycle;
mod nested;
mod usage;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use sootprint_core::RunStatus;
use sootprint_power::{BoundaryPrecision, DeviceId, SamplerSession};

use super::budget::{BudgetTracker, RunForecast};
use super::event::HookEvent;
use super::nested::RemoteSampler;
use super::phase::Phase;
use super::recorder::{EpochTotals, PhaseId, RunRecorder};
use super::spans::{self, RunSpans};
use crate::ledger::WorkCounts;
use usage::UsageTracker;

pub use usage::LiveUsage;

/// A run as hooks see it: cheap to clone, safe to share, harmless after the run's end.
///
/// Each call posts a timestamp to the meter's thread and returns; none waits for a board, and none fails.
#[derive(Debug, Clone)]
pub struct RunHandle(Arc<RunHandleInner>);

#[derive(Debug)]
struct RunHandleInner {
    /// None when nothing is measured, and after the end.
    backend: Mutex<Option<MeasurementBackend>>,
    recorder: Arc<Mutex<RunRecorder>>,
    usage: Arc<Mutex<UsageTracker>>,
    budgets: Arc<Mutex<BudgetTracker>>,
    /// What was counted since the last edge of an epoch.
    counts: Mutex<WorkCounts>,
    spans: RunSpans,
    next_phase_id: AtomicU64,
}

/// Who finds the energy at the moments of which the hooks speak.
#[derive(Debug)]
enum MeasurementBackend {
    /// The meter of this process.
    Local(SamplerSession),
    /// The process that measures the command which this one is part of.
    Remote(RemoteSampler),
}

impl RunHandle {
    /// Says how many epochs there will be; a finish with fewer is an early stop.
    pub fn set_planned_epochs(&self, epochs: u32) {
        lock_ignoring_poison(&self.0.budgets).set_planned_epochs(epochs);
        self.emit(HookEvent::EpochsPlanned(epochs));
    }

    /// An epoch begins now. One that is still open ends here and is not complete.
    pub fn start_epoch(&self, number: u32) {
        let counts = self.take_counts();
        lock_ignoring_poison(&self.0.budgets).start_epoch(self.usage().energy);
        let span = self.0.spans.start_epoch(number);
        let event = HookEvent::EpochStarted { number, counts };
        self.emit_with(event, move |totals| spans::close_epoch_span(span, false, totals));
    }

    /// The open epoch ends now.
    pub fn end_epoch(&self, completed: bool) {
        let (counts, span) = (self.take_counts(), self.0.spans.end_epoch());
        let usage = self.usage();
        let position = lock_ignoring_poison(&self.0.budgets).end_epoch(completed, usage.energy);
        let budgets = Arc::clone(&self.0.budgets);
        self.emit_with(HookEvent::EpochEnded { completed, counts }, move |totals| {
            spans::close_epoch_span(span, completed, totals);
            if let (Some(position), Some(totals)) = (position, totals) {
                lock_ignoring_poison(&budgets).correct_epoch(position, totals.energy);
            }
        });
        let warnings =
            lock_ignoring_poison(&self.0.budgets).take_warnings(usage.energy, usage.grams_per_joule());
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }

    /// A named part of an epoch begins now, and ends when what is returned is dropped; see [`Phase`].
    pub fn phase(&self, name: impl Into<String>) -> Phase {
        let (id, name) = (self.next_phase_id(), name.into());
        self.emit(HookEvent::PhaseStarted { id, name });
        Phase::new(self.clone(), id)
    }

    pub(super) fn end_phase(&self, id: PhaseId) {
        self.emit(HookEvent::PhaseEnded(id));
    }

    /// So many more samples were trained on, in the open epoch if there is one. Validation's do not belong here.
    pub fn add_samples(&self, samples: u64) {
        lock_ignoring_poison(&self.0.counts).add(WorkCounts { samples: Some(samples), tokens: None });
    }

    /// So many more tokens were trained on, in the open epoch if there is one.
    pub fn add_tokens(&self, tokens: u64) {
        lock_ignoring_poison(&self.0.counts).add(WorkCounts { samples: None, tokens: Some(tokens) });
    }

    /// What the whole run will come to, once an epoch is complete and their number is known.
    #[must_use]
    pub fn forecast(&self) -> Option<RunForecast> {
        let usage = self.usage();
        lock_ignoring_poison(&self.0.budgets).forecast(usage.energy, usage.grams_per_joule())
    }

    /// Why the loop is to stop now, when a [`Budget`](super::Budget) says so: for hooks that stop a loop by their own
    /// means and tell it by [`stop_early`](Self::record_early_stop).
    ///
    /// Within an epoch the reason is that the budget is used up; between epochs also that the next one, at the mean of
    /// those before, would go beyond it.
    #[must_use]
    pub fn budget_exceeded(&self) -> Option<String> {
        if !lock_ignoring_poison(&self.0.budgets).has_budget() {
            return None;
        }
        let usage = self.usage();
        lock_ignoring_poison(&self.0.budgets).stop_reason(usage.energy, usage.grams_per_joule())
    }

    /// Says that the loop ends before its time, and why; one warning, a note in the footprint, and its outcome.
    pub fn record_early_stop(&self, reason: &str) {
        tracing::warn!("the training stops early: {reason}");
        self.add_note(format!("the training stopped early: {reason}"));
        self.set_status(RunStatus::StoppedEarly);
    }

    /// The time since the run began, on the run's clock; nothing after its end, and in a run that is switched off.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.now().unwrap_or_default()
    }

    /// What the loop calls epochs are slices of one without any.
    pub(super) fn set_window_length(&self, length: String) {
        self.emit(HookEvent::WindowLengthSet(length));
    }

    /// Says which boards the framework trains on; without any, that it trains on none.
    ///
    /// Boards that no one claims are left out of the footprint. Claims add up.
    pub fn add_devices(&self, devices: impl IntoIterator<Item = DeviceId>) {
        self.emit(HookEvent::DevicesAdded(devices.into_iter().collect()));
    }

    /// Says how the training ended, when the hook knows; the worst of several words stands.
    pub fn set_status(&self, status: RunStatus) {
        self.emit(HookEvent::StatusSet(status));
    }

    /// Says that the training goes on from a checkpoint of an earlier one: the run becomes the next attempt of the
    /// folder's newest unfinished run, and their footprint is one.
    ///
    /// For hooks that hear of it after the start; who knows before says [`RunBuilder::resume`](super::RunBuilder::resume).
    /// Where there is no such run, or another process records it, this run stays one by itself.
    pub fn mark_resumed(&self) {
        self.emit(HookEvent::Resumed);
    }

    /// Adds what a reader of the footprint should hear.
    pub fn add_note(&self, text: impl Into<String>) {
        self.emit(HookEvent::NoteAdded(text.into()));
    }

    /// Waits until the meter has taken a reading after all that was posted before, and the ledger is written; whether it
    /// was within `patience`.
    ///
    /// Not for a training, which need not wait for anything: for tests, and for who reads a ledger beside the run.
    #[must_use = "the meter may not have come to it"]
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

    /// What the run has used so far.
    #[must_use]
    pub fn usage(&self) -> LiveUsage {
        let last_usage = || lock_ignoring_poison(&self.0.usage).usage;
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => last_usage().extrapolate_to(session.now()),
            Some(MeasurementBackend::Remote(remote)) => remote.usage(),
            None => last_usage(),
        }
    }

    /// Asks for what the run has used up to this very moment: `tell` hears it as soon as the boards are read, on the
    /// meter's thread, which should not be kept. It is not called where nothing is measured, nor after the run's end.
    pub fn sample(&self, on_usage: impl FnOnce(LiveUsage) + Send + 'static) {
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => {
                let (recorder, usage) = (Arc::clone(&self.0.recorder), Arc::clone(&self.0.usage));
                session.query_energy(session.now(), BoundaryPrecision::Immediate, move |moment| {
                    let (energy, emissions) = lock_ignoring_poison(&recorder).usage_at(moment);
                    let power = lock_ignoring_poison(&usage).usage.power;
                    on_usage(LiveUsage { elapsed: moment.now, energy, power, emissions });
                });
            }
            Some(MeasurementBackend::Remote(remote)) => remote.sample(on_usage),
            None => {}
        }
    }

    fn take_counts(&self) -> WorkCounts {
        std::mem::take(&mut *lock_ignoring_poison(&self.0.counts))
    }

    pub(super) fn next_phase_id(&self) -> PhaseId {
        self.0.next_phase_id.fetch_add(1, Ordering::Relaxed)
    }

    /// The time since the run began; none when nothing is measured.
    fn now(&self) -> Option<Duration> {
        match lock_ignoring_poison(&self.0.backend).as_ref()? {
            MeasurementBackend::Local(session) => Some(session.now()),
            MeasurementBackend::Remote(remote) => Some(remote.usage().elapsed),
        }
    }

    fn emit(&self, event: HookEvent) {
        self.emit_with(event, |_| ());
    }

    /// What a hook says, to whoever measures. `then` hears what the epoch came to that ends by it, once it is known.
    fn emit_with(&self, event: HookEvent, on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static) {
        match lock_ignoring_poison(&self.0.backend).as_ref() {
            Some(MeasurementBackend::Local(session)) => {
                let recorder = Arc::clone(&self.0.recorder);
                session.query_energy(session.now(), event.boundary_precision(), move |moment| {
                    let totals = lock_ignoring_poison(&recorder).handle_event(event, moment);
                    on_epoch_end(totals);
                });
            }
            Some(MeasurementBackend::Remote(remote)) => remote.send_event(event, on_epoch_end),
            None => {}
        }
    }
}

/// A panic while the lock was held leaves figures that are still good: each is replaced whole.
fn lock_ignoring_poison<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
