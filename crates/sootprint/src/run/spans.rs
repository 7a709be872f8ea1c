//! What a run tells through `tracing`: a span for itself and one for each epoch.
//!
//! | span | fields from its beginning | fields at its end |
//! |---|---|---|
//! | `sootprint.run` | `run`, `training_type` | `duration_s`, `energy_j`, `grams`, `power_w`, `outcome` |
//! | `sootprint.epoch` | `epoch` | `duration_s`, `energy_j`, `grams`, `power_w`, `completed` |
//!
//! Their level is INFO, their target `sootprint`. Nobody enters them: a guest's spans do not come between the training's
//! own. `grams` are at the table's intensity or the given one.

use std::sync::{Mutex, PoisonError};

use sootprint_core::{Footprint, TrainingType};
use tracing::Span;
use tracing::field::Empty;

use super::recorder::EpochTotals;

#[derive(Debug)]
pub(super) struct RunSpans {
    run: Span,
    epoch: Mutex<Span>,
}

impl RunSpans {
    pub(super) fn for_run(id: &str, training_type: Option<TrainingType>) -> Self {
        let run = tracing::info_span!(
            target: "sootprint",
            "sootprint.run",
            run = id,
            training_type = training_type.map(TrainingType::as_str),
            duration_s = Empty,
            energy_j = Empty,
            grams = Empty,
            power_w = Empty,
            outcome = Empty,
        );
        Self { run, epoch: Mutex::new(Span::none()) }
    }

    /// For a run that is switched off.
    pub(super) fn none() -> Self {
        Self { run: Span::none(), epoch: Mutex::new(Span::none()) }
    }

    /// An epoch begins; the span of one that was open, which ends here.
    pub(super) fn start_epoch(&self, number: u32) -> Span {
        let epoch = tracing::info_span!(
            target: "sootprint",
            parent: &self.run,
            "sootprint.epoch",
            epoch = number,
            duration_s = Empty,
            energy_j = Empty,
            grams = Empty,
            power_w = Empty,
            completed = Empty,
        );
        self.replace_epoch_span(epoch)
    }

    /// The span of the epoch that ends now; its figures come when the boards have been read.
    pub(super) fn end_epoch(&self) -> Span {
        self.replace_epoch_span(Span::none())
    }

    pub(super) fn end_run(&self, footprint: &Footprint) {
        let total = footprint.energy.total.joules();
        let seconds = footprint.run.duration_s;
        record_usage(&self.run, seconds, total, footprint.emissions.best.grams());
        self.run.record("outcome", footprint.run.outcome.as_str());
        tracing::info!(
            target: "sootprint",
            parent: &self.run,
            energy_j = total,
            grams = footprint.emissions.best.grams(),
            "{} used {} and emitted {}",
            footprint.run.id,
            footprint.energy.total,
            footprint.emissions.best,
        );
    }

    fn replace_epoch_span(&self, epoch: Span) -> Span {
        std::mem::replace(&mut *self.epoch.lock().unwrap_or_else(PoisonError::into_inner), epoch)
    }
}

/// The figures of an epoch, once they are known; its span closes here.
pub(super) fn close_epoch_span(span: Span, completed: bool, totals: Option<EpochTotals>) {
    let Some(totals) = totals else { return };
    record_usage(&span, totals.duration.as_secs_f64(), totals.energy.joules(), totals.emissions.grams());
    span.record("completed", completed);
    // The meter's thread need not have the training's subscriber, and a registry closes a span's parent through its
    // thread's.
    if let Some(dispatch) = span.with_subscriber(|(_, listens)| listens.clone()) {
        tracing::dispatcher::with_default(&dispatch, || drop(span));
    }
}

fn record_usage(span: &Span, seconds: f64, joules: f64, grams: f64) {
    span.record("duration_s", seconds);
    span.record("energy_j", joules);
    span.record("grams", grams);
    // No time has no power.
    if seconds > 0.0 {
        span.record("power_w", joules / seconds);
    }
}
