//! How a training is stopped, and how it ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use burn::train::{Interrupter, Interruption, TrainingError};
use sootprint::{RunHandle, RunStatus};

/// Stops a training whose run is over its budget, and tells the run, once, how the training ended.
#[derive(Clone)]
pub(crate) struct StopController(Arc<StopState>);

struct StopState {
    run: RunHandle,
    interrupter: Interrupter,
    /// Why the run's budget stopped it.
    budget_stop_reason: OnceLock<String>,
    is_reported: AtomicBool,
}

impl StopController {
    pub(crate) fn new(run: RunHandle, interrupter: Interrupter) -> Self {
        let (budget_stop_reason, is_reported) = (OnceLock::new(), AtomicBool::new(false));
        Self(Arc::new(StopState { run, interrupter, budget_stop_reason, is_reported }))
    }

    /// Stops the training if its run has a budget that says so.
    pub(crate) fn enforce_budget(&self) {
        if !self.is_over_budget() && self.should_stop() {
            self.0.interrupter.stop(self.0.budget_stop_reason.get().map(String::as_str));
        }
    }

    /// Whether the run's budget says now, or has said, that the training is to stop.
    pub(crate) fn should_stop(&self) -> bool {
        if let Some(reason) = self.0.run.budget_exceeded()
            && self.0.budget_stop_reason.set(reason.to_string()).is_ok()
        {
            self.0.run.record_early_stop(reason);
        }
        self.is_over_budget()
    }

    pub(crate) fn is_over_budget(&self) -> bool {
        self.0.budget_stop_reason.get().is_some()
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.0.interrupter.should_stop()
    }

    /// What the interrupter says now. Burn's terminal dashboard resets it when a training has ended, so this is asked
    /// just before.
    pub(crate) fn report_interruption(&self) {
        self.report_end(self.0.interrupter.interruption().as_ref(), self.0.interrupter.error().as_deref());
    }

    /// What a result says.
    pub(crate) fn report_end(&self, interrupted: Option<&Interruption>, error: Option<&TrainingError>) {
        let StopState { run, budget_stop_reason, is_reported, .. } = &*self.0;
        if (interrupted.is_none() && error.is_none()) || is_reported.swap(true, Ordering::Relaxed) {
            return;
        }
        // What the budget stopped has been told.
        let interrupted = interrupted.filter(|_| budget_stop_reason.get().is_none());
        record_end(run, "training", interrupted, error);
    }
}

/// Tells the run when a training panics; a user may catch the panic and finish the run all the same.
///
/// It needs no unwinding to be true: where a panic ends the process, the ledger says that the run was killed.
pub(crate) struct PanicGuard<'a>(&'a RunHandle);

impl<'a> PanicGuard<'a> {
    pub(crate) fn new(run: &'a RunHandle) -> Self {
        Self(run)
    }
}

impl Drop for PanicGuard<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.end_epoch(false);
            self.0.set_status(RunStatus::Panicked);
        }
    }
}

/// What a result says of its end, in the footprint.
pub(crate) fn record_end(
    run: &RunHandle,
    activity: &str,
    interrupted: Option<&Interruption>,
    error: Option<&TrainingError>,
) {
    if let Some(error) = error {
        run.add_note(format!("the {activity} ended with an error: {error}"));
        run.set_status(RunStatus::Failed);
    } else if let Some(Interruption { reason }) = interrupted {
        let reason = reason.as_deref().unwrap_or("no reason given");
        run.add_note(format!("the {activity} was interrupted: {reason}"));
        run.set_status(RunStatus::Interrupted);
    }
}
