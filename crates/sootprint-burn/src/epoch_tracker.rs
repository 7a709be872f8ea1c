//! The progress of a training: its open epoch and split, and the source of their boundaries.
//!
//! Burn's worker reports the boundaries of splits late; instrumented loaders observe them on the training thread. Once a
//! loader has reported a boundary, the worker's reports only serve to measure their delay.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use sootprint::{Phase, RunHandle};

use crate::devices::synchronize;
use crate::split_usage::SplitUsage;
use crate::stop::StopController;

/// Bounds the wait, once per training, for Burn's worker to report the first epoch. It takes microseconds.
const EPOCH_RANGE_TIMEOUT: Duration = Duration::from_secs(1);

/// A boundary delay above this fraction of an epoch is noted.
const NOTEWORTHY_LAG: f64 = 0.01;

/// A split of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EpochSplit {
    Train,
    Valid,
}

/// The phase after validation: everything that Burn does before the next epoch.
const POST_VALIDATION_PHASE: &str = "checkpoint and early stopping";

impl EpochSplit {
    /// The name of the split's phase in the footprint.
    const fn phase_name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Valid => "validation",
        }
    }
}

/// Source of a split boundary.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum BoundarySource {
    Loader,
    Worker,
}

/// Tracks the epochs of one training; shared by its metrics, progress logger and loaders.
#[derive(Clone)]
pub(crate) struct EpochTracker(Arc<TrackerShared>);

struct TrackerShared {
    run: RunHandle,
    stop_controller: StopController,
    devices: Vec<Device>,
    train_usage: SplitUsage,
    valid_usage: SplitUsage,
    state: Mutex<TrackerState>,
    epoch_range_known: Condvar,
}

#[derive(Default)]
struct TrackerState {
    /// Number of the next epoch, once Burn has reported it.
    next_epoch: Option<usize>,
    /// Number of the last planned epoch.
    last_epoch: usize,
    open_epoch: Option<SplitCompletion>,
    open_phase: Option<Phase>,
    /// Whether loaders report the boundaries.
    uses_loader_boundaries: bool,
    /// Loaders that are being read: one per device.
    active_loaders: usize,
    /// Items that these loaders have returned in this split.
    items_seen: usize,
    /// When the training thread left each split, according to the loaders.
    loader_ended_at: [Option<Instant>; 2],
    /// Largest delay of the worker's reports; without loaders, an upper bound.
    max_boundary_lag: Duration,
    epochs_started: u32,
    started_at: Option<Instant>,
}

/// For each split of an open epoch: whether it was complete, or `None` while it has not ended.
#[derive(Clone, Copy, Default)]
struct SplitCompletion([Option<bool>; 2]);

thread_local! {
    /// The training that this thread is launching, and whose loaders it reads.
    static CURRENT_TRACKER: RefCell<Option<EpochTracker>> = const { RefCell::new(None) };
}

/// Guard: while it lives, loaders that are read on this thread belong to the training.
pub(crate) struct ThreadScope(Option<EpochTracker>);

impl Drop for ThreadScope {
    fn drop(&mut self) {
        let previous = self.0.take();
        // Fails only while the thread ends, when no loader is read any more.
        let _ = CURRENT_TRACKER.try_with(|current| current.replace(previous));
    }
}

impl EpochTracker {
    pub(crate) fn new(run: RunHandle, stop_controller: StopController, devices: Vec<Device>) -> Self {
        let (train_usage, valid_usage) = (SplitUsage::new(run.clone()), SplitUsage::new(run.clone()));
        let (state, epoch_range_known) = (Mutex::default(), Condvar::new());
        Self(Arc::new(TrackerShared {
            run,
            stop_controller,
            devices,
            train_usage,
            valid_usage,
            state,
            epoch_range_known,
        }))
    }

    /// The training that this thread is launching.
    pub(crate) fn current() -> Option<Self> {
        CURRENT_TRACKER.try_with(|current| current.borrow().clone()).ok().flatten()
    }

    /// Makes this the current training of the thread.
    pub(crate) fn enter_thread(&self) -> ThreadScope {
        ThreadScope(CURRENT_TRACKER.try_with(|current| current.replace(Some(self.clone()))).ok().flatten())
    }

    pub(crate) fn run(&self) -> &RunHandle {
        &self.0.run
    }

    pub(crate) fn stop_controller(&self) -> &StopController {
        &self.0.stop_controller
    }

    pub(crate) fn usage(&self, split: EpochSplit) -> &SplitUsage {
        match split {
            EpochSplit::Train => &self.0.train_usage,
            EpochSplit::Valid => &self.0.valid_usage,
        }
    }

    /// Sets the first and the last epoch, as reported by Burn.
    pub(crate) fn set_epoch_range(&self, first: usize, last: usize) {
        {
            let mut state = self.lock_state();
            (state.next_epoch, state.last_epoch) = (Some(first), last);
        }
        self.0.epoch_range_known.notify_all();
    }

    /// The training thread starts to read a loader.
    pub(crate) fn on_loader_start(&self, split: EpochSplit) {
        let is_first = {
            let mut state = self.lock_state();
            state.active_loaders += 1;
            if state.active_loaders == 1 {
                state.items_seen = 0;
            }
            state.active_loaders == 1
        };
        if is_first {
            synchronize(&self.0.devices);
            self.wait_for_epoch_range();
            self.begin_split(split, BoundarySource::Loader);
        }
    }

    /// The training thread stops reading a loader, at its end or earlier.
    pub(crate) fn on_loader_end(&self, split: EpochSplit, items: usize, is_complete: bool) {
        let (is_last, items) = {
            let mut state = self.lock_state();
            state.active_loaders = state.active_loaders.saturating_sub(1);
            state.items_seen += items;
            (state.active_loaders == 0, state.items_seen)
        };
        if is_last {
            if !std::thread::panicking() {
                synchronize(&self.0.devices);
            }
            self.end_split(split, items, is_complete);
            self.lock_state().loader_ended_at[split as usize] = Some(Instant::now());
        }
    }

    /// Burn's worker reports the start of a split.
    pub(crate) fn on_split_started(&self, split: EpochSplit) {
        self.begin_split(split, BoundarySource::Worker);
    }

    /// Burn's worker reports the end of a split, which happened at most `max_lag` ago.
    pub(crate) fn on_split_ended(
        &self,
        split: EpochSplit,
        items: usize,
        is_complete: bool,
        max_lag: Duration,
    ) {
        let uses_loader_boundaries = {
            let mut state = self.lock_state();
            let lag =
                state.loader_ended_at[split as usize].take().map_or(max_lag, |ended_at| ended_at.elapsed());
            state.max_boundary_lag = state.max_boundary_lag.max(lag);
            state.uses_loader_boundaries
        };
        if !uses_loader_boundaries {
            self.end_split(split, items, is_complete);
        }
    }

    /// Loader and worker may both report the first split, in either order. The lock keeps their run events in order.
    fn begin_split(&self, split: EpochSplit, source: BoundarySource) {
        let TrackerShared { run, .. } = &*self.0;
        let mut state = self.lock_state();
        if source == BoundarySource::Worker && state.uses_loader_boundaries {
            return;
        }
        let used_loader_boundaries =
            std::mem::replace(&mut state.uses_loader_boundaries, source == BoundarySource::Loader);
        let is_already_open = used_loader_boundaries != state.uses_loader_boundaries
            && state.open_epoch.is_some_and(|SplitCompletion(splits)| splits == [None; 2]);
        if split == EpochSplit::Train && !is_already_open {
            self.end_epoch_locked(&mut state);
            self.0.stop_controller.enforce_budget();
        }
        if state.open_epoch.is_none() && !self.0.stop_controller.is_over_budget() {
            let number = state.next_epoch.unwrap_or(1);
            (state.open_epoch, state.next_epoch) = (Some(SplitCompletion::default()), Some(number + 1));
            state.epochs_started += 1;
            state.started_at.get_or_insert_with(Instant::now);
            run.start_epoch(u32::try_from(number).unwrap_or(u32::MAX));
        }
        state.open_phase = None;
        state.open_phase = Some(run.phase(split.phase_name()));
        self.usage(split).begin();
    }

    fn end_split(&self, split: EpochSplit, items: usize, is_complete: bool) {
        self.usage(split).end();
        let mut state = self.lock_state();
        state.open_phase = None;
        if split == EpochSplit::Valid {
            state.open_phase = Some(self.0.run.phase(POST_VALIDATION_PHASE));
        }
        if let Some(SplitCompletion(splits)) = &mut state.open_epoch {
            splits[split as usize] = Some(is_complete);
            if split == EpochSplit::Train {
                self.0.run.add_samples(items as u64);
            }
        }
    }

    /// Ends the open epoch and returns whether the run's budget forbids the next one.
    pub(crate) fn should_stop_after_epoch(&self) -> bool {
        self.end_epoch();
        let is_last = {
            let state = self.lock_state();
            state.next_epoch.is_some_and(|next| next > state.last_epoch)
        };
        !is_last && self.0.stop_controller.should_stop()
    }

    /// Ends the open epoch. It is complete if training and validation reached their ends. A missing validation counts as
    /// complete unless the training was interrupted, because a custom strategy may not validate.
    pub(crate) fn end_epoch(&self) {
        self.end_epoch_locked(&mut self.lock_state());
    }

    /// Notes the worker's delay in the footprint if it determined the epoch boundaries and is large.
    pub(crate) fn note_boundary_lag(&self) {
        let TrackerState { max_boundary_lag, uses_loader_boundaries, epochs_started, started_at, .. } =
            *self.lock_state();
        let Some(epoch_length) =
            started_at.and_then(|started_at| started_at.elapsed().checked_div(epochs_started))
        else {
            return;
        };
        tracing::debug!(?max_boundary_lag, uses_loader_boundaries, "delay of Burn's reports of split ends");
        if !uses_loader_boundaries && max_boundary_lag > epoch_length.mul_f64(NOTEWORTHY_LAG) {
            self.0.run.add_note(format!(
                "epoch ends may be reported up to {max_boundary_lag:.1?} late (epoch length {epoch_length:.1?}); wrap the \
                 loaders with `instrument_loaders` for exact boundaries"
            ));
        }
    }

    fn end_epoch_locked(&self, state: &mut TrackerState) {
        state.open_phase = None;
        if let Some(SplitCompletion([is_trained, is_validated])) = state.open_epoch.take() {
            let is_validated = is_validated.unwrap_or_else(|| !self.0.stop_controller.is_interrupted());
            self.0.run.end_epoch(is_trained == Some(true) && is_validated);
        }
    }

    fn wait_for_epoch_range(&self) {
        let state = self.lock_state();
        // After a timeout, epochs are numbered from 1.
        drop(
            self.0
                .epoch_range_known
                .wait_timeout_while(state, EPOCH_RANGE_TIMEOUT, |state| state.next_epoch.is_none()),
        );
    }

    fn lock_state(&self) -> MutexGuard<'_, TrackerState> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use burn::train::Interrupter;
    use sootprint::{Replay, Run};

    use super::*;

    /// The footprint's notes if the worker reports an epoch's end at most `max_lag` late.
    fn boundary_notes(max_lag: Duration, uses_loader_boundaries: bool) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::pre_training(dir.path()).replay(Replay::new()).start();
        let tracker = EpochTracker::new(
            run.handle(),
            StopController::new(run.handle(), Interrupter::new()),
            Vec::new(),
        );
        tracker.set_epoch_range(1, 2);
        if uses_loader_boundaries {
            tracker.on_loader_start(EpochSplit::Train);
            tracker.on_loader_end(EpochSplit::Train, 1, true);
        }
        tracker.on_split_started(EpochSplit::Train);
        tracker.on_split_ended(EpochSplit::Train, 1, true, max_lag);
        tracker.end_epoch();
        tracker.note_boundary_lag();
        run.finish().notes
    }

    #[test]
    fn late_epoch_boundary_is_noted() {
        let hour = Duration::from_secs(3_600);
        let is_noted = |notes: &[String]| notes.iter().any(|note| note.contains("`instrument_loaders`"));
        assert!(is_noted(&boundary_notes(hour, false)));
        assert!(!is_noted(&boundary_notes(Duration::ZERO, false)));
        assert!(!is_noted(&boundary_notes(hour, true)));
    }
}
