//! How a training is stopped, and how it ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use burn::train::{Interrupter, Interruption, TrainingError};
use sootprint::{Outcome, RunHandle};

/// Stops a training whose run is over its budget, and tells the run, once, how the training ended.
#[derive(Clone)]
pub(crate) struct Ends(Arc<Shared>);

struct Shared {
    run: RunHandle,
    interrupter: Interrupter,
    /// Why the run's budget stopped it.
    over_budget: OnceLock<String>,
    is_told: AtomicBool,
}

impl Ends {
    pub(crate) fn new(run: RunHandle, interrupter: Interrupter) -> Self {
        let (over_budget, is_told) = (OnceLock::new(), AtomicBool::new(false));
        Self(Arc::new(Shared { run, interrupter, over_budget, is_told }))
    }

    /// Stops the training if its run has a budget that says so.
    pub(crate) fn mind_budget(&self) {
        if !self.is_over_budget() && self.asks_to_stop() {
            self.0.interrupter.stop(self.0.over_budget.get().map(String::as_str));
        }
    }

    /// Whether the run's budget says now, or has said, that the training is to stop.
    pub(crate) fn asks_to_stop(&self) -> bool {
        if let Some(reason) = self.0.run.over_budget()
            && self.0.over_budget.set(reason.clone()).is_ok()
        {
            self.0.run.stop_early(&reason);
        }
        self.is_over_budget()
    }

    pub(crate) fn is_over_budget(&self) -> bool {
        self.0.over_budget.get().is_some()
    }

    pub(crate) fn is_stopped(&self) -> bool {
        self.0.interrupter.should_stop()
    }

    /// What the interrupter says now. Burn's terminal dashboard resets it when a training has ended, so this is asked
    /// just before.
    pub(crate) fn tell_now(&self) {
        self.tell(self.0.interrupter.interruption().as_ref(), self.0.interrupter.error().as_deref());
    }

    /// What a result says.
    pub(crate) fn tell(&self, interrupted: Option<&Interruption>, error: Option<&TrainingError>) {
        let Shared { run, over_budget, is_told, .. } = &*self.0;
        if (interrupted.is_none() && error.is_none()) || is_told.swap(true, Ordering::Relaxed) {
            return;
        }
        // What the budget stopped has been told.
        let interrupted = interrupted.filter(|_| over_budget.get().is_none());
        note_end(run, "training", interrupted, error);
    }
}

/// Tells the run when a training panics; a user may catch the panic and finish the run all the same.
///
/// It needs no unwinding to be true: where a panic ends the process, the ledger says that the run was killed.
pub(crate) struct Witness<'a>(&'a RunHandle);

impl<'a> Witness<'a> {
    pub(crate) fn new(run: &'a RunHandle) -> Self {
        Self(run)
    }
}

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.epoch_ended(false);
            self.0.outcome(Outcome::Panicked);
        }
    }
}

/// What a result says of its end, in the footprint.
pub(crate) fn note_end(
    run: &RunHandle,
    what: &str,
    interrupted: Option<&Interruption>,
    error: Option<&TrainingError>,
) {
    if let Some(error) = error {
        run.note(format!("the {what} ended with an error: {error}"));
        run.outcome(Outcome::Failed);
    } else if let Some(Interruption { reason }) = interrupted {
        let reason = reason.as_deref().unwrap_or("no reason given");
        run.note(format!("the {what} was interrupted: {reason}"));
        run.outcome(Outcome::Interrupted);
    }
}
