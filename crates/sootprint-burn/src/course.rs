//! Where a training is: the epoch that is open, the split in it, and who says so.

use std::cell::RefCell;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use burn::tensor::Device;
use sootprint::{Phase, RunHandle};

use crate::devices::synchronize;
use crate::ends::Ends;
use crate::span::Span;

/// So long a training waits, once, to hear from Burn's worker which epoch is its first. It is told within microseconds.
const LONGEST_ANNOUNCEMENT: Duration = Duration::from_secs(1);

/// Of an epoch's length: what may be wrong with it by more deserves a note.
const NOTABLE: f64 = 0.01;

/// The two splits of an epoch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Split {
    Train,
    Valid,
}

/// The phase of an epoch that follows its validation: all that Burn does before the next one.
const AFTER_VALIDATION: &str = "checkpoint and early stopping";

impl Split {
    /// What the phase of an epoch is called in the footprint.
    const fn name(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Valid => "validation",
        }
    }
}

/// Who says where the training is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Teller {
    Loader,
    Worker,
}

/// The course of one training, shared by its metrics, its progress logger and its loaders.
///
/// The loaders of [`exact_edges`](crate::exact_edges) see each split begin and end on the thread that trains. Without
/// them Burn's worker tells of it, late. Once a loader has spoken, the worker's word on splits is only compared with it.
#[derive(Clone)]
pub(crate) struct Course(Arc<Shared>);

struct Shared {
    run: RunHandle,
    ends: Ends,
    devices: Vec<Device>,
    train: Span,
    valid: Span,
    state: Mutex<State>,
    announced: Condvar,
}

#[derive(Default)]
struct State {
    /// The number of the next epoch, as soon as Burn has said it.
    next: Option<usize>,
    /// The number of the last planned epoch.
    last: usize,
    epoch: Option<Epoch>,
    phase: Option<Phase>,
    /// Whether loaders see the edges.
    is_exact: bool,
    /// Loaders that are being read: of several devices each has one.
    readers: usize,
    /// What they have read of this split.
    items: usize,
    /// When the training thread left each split.
    left: [Option<Instant>; 2],
    /// How late the worker told of a split's end; without loaders, at most.
    lateness: Duration,
    epochs: u32,
    began: Option<Instant>,
}

/// An open epoch: whether each of its splits was whole, as far as it has ended.
#[derive(Clone, Copy, Default)]
struct Epoch([Option<bool>; 2]);

thread_local! {
    /// The training that this thread is launching: its loaders are read on it.
    static HERE: RefCell<Option<Course>> = const { RefCell::new(None) };
}

/// While it lives, loaders that are read on this thread belong to the course.
pub(crate) struct Here(Option<Course>);

impl Drop for Here {
    fn drop(&mut self) {
        let before = self.0.take();
        // A thread that ends has no place left, and no loader to read.
        let _ = HERE.try_with(|here| here.replace(before));
    }
}

impl Course {
    pub(crate) fn new(run: RunHandle, ends: Ends, devices: Vec<Device>) -> Self {
        let (train, valid) = (Span::since(run.clone()), Span::since(run.clone()));
        let (state, announced) = (Mutex::default(), Condvar::new());
        Self(Arc::new(Shared { run, ends, devices, train, valid, state, announced }))
    }

    /// The course of the training that this thread launches.
    pub(crate) fn here() -> Option<Self> {
        HERE.try_with(|here| here.borrow().clone()).ok().flatten()
    }

    pub(crate) fn on_this_thread(&self) -> Here {
        Here(HERE.try_with(|here| here.replace(Some(self.clone()))).ok().flatten())
    }

    pub(crate) fn run(&self) -> &RunHandle {
        &self.0.run
    }

    pub(crate) fn ends(&self) -> &Ends {
        &self.0.ends
    }

    pub(crate) fn span(&self, split: Split) -> &Span {
        match split {
            Split::Train => &self.0.train,
            Split::Valid => &self.0.valid,
        }
    }

    /// Burn says which epoch comes first and which one last.
    pub(crate) fn announce(&self, first: usize, last: usize) {
        {
            let mut state = self.state();
            (state.next, state.last) = (Some(first), last);
        }
        self.0.announced.notify_all();
    }

    /// A loader begins to be read on the training thread.
    pub(crate) fn enter(&self, split: Split) {
        let is_first = {
            let mut state = self.state();
            state.readers += 1;
            if state.readers == 1 {
                state.items = 0;
            }
            state.readers == 1
        };
        if is_first {
            synchronize(&self.0.devices);
            self.await_announcement();
            self.begin(split, Teller::Loader);
        }
    }

    /// A loader has been read on the training thread: to its end, or not.
    pub(crate) fn leave(&self, split: Split, items: usize, is_whole: bool) {
        let (is_last, items) = {
            let mut state = self.state();
            state.readers = state.readers.saturating_sub(1);
            state.items += items;
            (state.readers == 0, state.items)
        };
        if is_last {
            if !std::thread::panicking() {
                synchronize(&self.0.devices);
            }
            self.end(split, items, is_whole);
            self.state().left[split as usize] = Some(Instant::now());
        }
    }

    /// Burn's worker says that a split begins.
    pub(crate) fn told_begin(&self, split: Split) {
        self.begin(split, Teller::Worker);
    }

    /// Burn's worker says that a split has ended, by at most so long before.
    pub(crate) fn told_end(&self, split: Split, items: usize, is_whole: bool, bound: Duration) {
        let is_exact = {
            let mut state = self.state();
            let lateness = state.left[split as usize].take().map_or(bound, |left| left.elapsed());
            state.lateness = state.lateness.max(lateness);
            state.is_exact
        };
        if !is_exact {
            self.end(split, items, is_whole);
        }
    }

    /// Two may say so of the first split, in either order; the lock keeps what each posts in order.
    fn begin(&self, split: Split, teller: Teller) {
        let Shared { run, .. } = &*self.0;
        let mut state = self.state();
        if teller == Teller::Worker && state.is_exact {
            return;
        }
        let was_exact = std::mem::replace(&mut state.is_exact, teller == Teller::Loader);
        let is_known =
            was_exact != state.is_exact && state.epoch.is_some_and(|Epoch(splits)| splits == [None; 2]);
        if split == Split::Train && !is_known {
            self.close_in(&mut state);
            self.0.ends.mind_budget();
        }
        if state.epoch.is_none() && !self.0.ends.is_over_budget() {
            let number = state.next.unwrap_or(1);
            (state.epoch, state.next) = (Some(Epoch::default()), Some(number + 1));
            state.epochs += 1;
            state.began.get_or_insert_with(Instant::now);
            run.epoch_started(u32::try_from(number).unwrap_or(u32::MAX));
        }
        state.phase = None;
        state.phase = Some(run.phase(split.name()));
        self.span(split).begin();
    }

    fn end(&self, split: Split, items: usize, is_whole: bool) {
        self.span(split).close();
        let mut state = self.state();
        state.phase = None;
        if split == Split::Valid {
            state.phase = Some(self.0.run.phase(AFTER_VALIDATION));
        }
        if let Some(Epoch(splits)) = &mut state.epoch {
            splits[split as usize] = Some(is_whole);
            if split == Split::Train {
                self.0.run.samples(items as u64);
            }
        }
    }

    /// Whether the run's budget allows no further epoch, now that one is over with all that followed it.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.close();
        let is_last = {
            let state = self.state();
            state.next.is_some_and(|next| next > state.last)
        };
        !is_last && self.0.ends.asks_to_stop()
    }

    /// The open epoch ends. It is complete when it was trained and validated to the end; a strategy of the user's own may
    /// do without validation, and else only a stop does.
    pub(crate) fn close(&self) {
        self.close_in(&mut self.state());
    }

    /// Says how late the worker told of the splits' ends, where it was that by which the epochs are measured.
    pub(crate) fn report_lateness(&self) {
        let State { lateness, is_exact, epochs, began, .. } = *self.state();
        let Some(each) = began.and_then(|began| began.elapsed().checked_div(epochs)) else { return };
        tracing::debug!(?lateness, is_exact, "how late Burn's worker told of a split's end, or at most");
        if !is_exact && lateness > each.mul_f64(NOTABLE) {
            self.0.run.note(format!(
                "Burn may have told of an epoch's end up to {lateness:.1?} after it, of {each:.1?}; with `exact_edges` \
                 around its loaders the epochs are exact"
            ));
        }
    }

    fn close_in(&self, state: &mut State) {
        state.phase = None;
        if let Some(Epoch([is_trained, is_validated])) = state.epoch.take() {
            let is_validated = is_validated.unwrap_or_else(|| !self.0.ends.is_stopped());
            self.0.run.epoch_ended(is_trained == Some(true) && is_validated);
        }
    }

    fn await_announcement(&self) {
        let state = self.state();
        // Without a word by then, its epochs count from one.
        drop(self.0.announced.wait_timeout_while(state, LONGEST_ANNOUNCEMENT, |state| state.next.is_none()));
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use burn::train::Interrupter;
    use sootprint::{Replay, Run};

    use super::*;

    /// What the footprint notes when the worker's word on an epoch's end may be so late.
    fn notes(bound: Duration, is_exact: bool) -> Vec<String> {
        let dir = tempfile::tempdir().unwrap();
        let run = Run::pre_training(dir.path()).replay(Replay::new()).start();
        let course = Course::new(run.handle(), Ends::new(run.handle(), Interrupter::new()), Vec::new());
        course.announce(1, 2);
        if is_exact {
            course.enter(Split::Train);
            course.leave(Split::Train, 1, true);
        }
        course.told_begin(Split::Train);
        course.told_end(Split::Train, 1, true, bound);
        course.close();
        course.report_lateness();
        run.finish().notes
    }

    #[test]
    fn a_late_word_on_an_epoch_s_end_is_noted_where_it_counts() {
        let hour = Duration::from_secs(3_600);
        let said = |notes: &[String]| notes.iter().any(|note| note.contains("`exact_edges`"));
        assert!(said(&notes(hour, false)));
        assert!(!said(&notes(Duration::ZERO, false)));
        assert!(!said(&notes(hour, true)));
    }
}
