//! Stops a training at the run's budget and records how it ended.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};

use burn::train::{Interrupter, Interruption, TrainingError};
use sootprint::{RunHandle, RunStatus};

/// Stops a training whose run exceeds its budget, and records the outcome once.
#[derive(Clone)]
pub(crate) struct StopController(Arc<StopState>);

struct StopState {
    run: RunHandle,
    interrupter: Interrupter,
    /// Set when the budget stops the training.
    budget_stop_reason: OnceLock<String>,
    is_reported: AtomicBool,
}

impl StopController {
    pub(crate) fn new(run: RunHandle, interrupter: Interrupter) -> Self {
        let (budget_stop_reason, is_reported) = (OnceLock::new(), AtomicBool::new(false));
        Self(Arc::new(StopState { run, interrupter, budget_stop_reason, is_reported }))
    }

    /// Interrupts the training if the run's budget requires it.
    pub(crate) fn enforce_budget(&self) {
        if !self.is_over_budget() && self.should_stop() {
            self.0.interrupter.stop(self.0.budget_stop_reason.get().map(String::as_str));
        }
    }

    /// Checks the budget. Once exceeded, it stays exceeded.
    pub(crate) fn should_stop(&self) -> bool {
        if let Some(reason) = self.0.run.budget_exceeded()
            && self.0.budget_stop_reason.set(reason.to_string()).is_ok()
        {
            self.0.run.record_early_stop(reason);
        }
        self.is_over_budget()
    }

    /// Whether an earlier check found the budget exceeded.
    pub(crate) fn is_over_budget(&self) -> bool {
        self.0.budget_stop_reason.get().is_some()
    }

    pub(crate) fn is_interrupted(&self) -> bool {
        self.0.interrupter.should_stop()
    }

    /// Records the interrupter's current state. Call this before Burn's terminal dashboard handles the end of the training
    /// and resets the interrupter: the result of the training then has neither interruption nor error.
    pub(crate) fn report_interruption(&self) {
        self.report_end(self.0.interrupter.interruption().as_ref(), self.0.interrupter.error().as_deref());
    }

    /// Records the interruption or error of a training's result, unless one has been recorded.
    pub(crate) fn report_end(&self, interrupted: Option<&Interruption>, error: Option<&TrainingError>) {
        let StopState { run, budget_stop_reason, is_reported, .. } = &*self.0;
        if (interrupted.is_none() && error.is_none()) || is_reported.swap(true, Ordering::Relaxed) {
            return;
        }
        // `should_stop` has recorded a stop at the budget.
        let interrupted = interrupted.filter(|_| budget_stop_reason.get().is_none());
        record_end(run, "training", interrupted, error);
    }
}

/// Records a panic of the training in the run, which the user may still finish after catching the panic.
///
/// With `panic = "abort"` this guard does not run, and the ledger yields the status `killed`.
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

/// Adds a note and a status for an interruption or error.
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
