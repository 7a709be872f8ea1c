//! The stretch of a run that a metric shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sootprint::{Live, RunHandle};

/// What the run had used when a split began, and when it ended; shared by the metrics of the split.
///
/// Burn's metrics are told of a split's end, late, and not of its beginning. The progress logger is told of both, and
/// the loaders of [`exact_edges`](crate::exact_edges) see both as they happen.
#[derive(Clone)]
pub(crate) struct Span(Arc<Mutex<Stretch>>);

#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    /// Which it is of those that followed each other.
    pub(crate) number: u64,
    pub(crate) start: Live,
    pub(crate) end: Option<Live>,
}

impl Span {
    pub(crate) fn since(run: &RunHandle) -> Self {
        Self(Arc::new(Mutex::new(Stretch { number: 0, start: run.live(), end: None })))
    }

    /// The next one begins here.
    pub(crate) fn begin(&self, run: &RunHandle) {
        let start = run.live();
        let mut stretch = self.stretch();
        *stretch = Stretch { number: stretch.number + 1, start, end: None };
    }

    /// It ends here, whenever its metrics are asked.
    pub(crate) fn close(&self, run: &RunHandle) {
        let end = run.live();
        self.stretch().end = Some(end);
    }

    pub(crate) fn get(&self) -> Stretch {
        *self.stretch()
    }

    fn stretch(&self) -> MutexGuard<'_, Stretch> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
