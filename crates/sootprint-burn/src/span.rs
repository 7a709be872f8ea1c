//! The stretch of a run that a metric shows.

use std::sync::{Arc, Mutex, PoisonError};

use sootprint::{Live, RunHandle};

/// What the run had used when a split began, and when it ended; shared by the metrics of the split.
///
/// Burn's metrics are told of a split's end, late, and not of its beginning. The progress logger is told of both, and
/// the loaders of [`exact_edges`](crate::exact_edges) see both as they happen.
#[derive(Clone)]
pub(crate) struct Span(Arc<Mutex<(Live, Option<Live>)>>);

impl Span {
    pub(crate) fn since(run: &RunHandle) -> Self {
        Self(Arc::new(Mutex::new((run.live(), None))))
    }

    /// It begins here.
    pub(crate) fn begin(&self, run: &RunHandle) {
        let now = run.live();
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (now, None);
    }

    /// It ends here, whenever its metrics are asked.
    pub(crate) fn close(&self, run: &RunHandle) {
        let now = run.live();
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(now);
    }

    pub(crate) fn start(&self) -> Live {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).0
    }

    pub(crate) fn end(&self) -> Option<Live> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).1
    }
}
