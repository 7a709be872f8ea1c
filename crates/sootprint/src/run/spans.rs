//! `tracing` spans: one for the run and one for each epoch.
//!
//! | span | fields set at its start | fields set at its end |
//! |---|---|---|
//! | `sootprint.run` | `run`, `training_type` | `duration_s`, `energy_j`, `grams`, `power_w`, `outcome` |
//! | `sootprint.epoch` | `epoch` | `duration_s`, `energy_j`, `grams`, `power_w`, `completed` |
//!
//! The level is INFO and the target is `sootprint`. `grams` uses the yearly or user-provided intensity. The spans are
//! never entered: they are siblings of the training's own spans, recorded on the sampler thread and closed under the
//! subscriber that created them.

use std::sync::Mutex;

use sootprint_core::sync::lock_ignoring_poison;
use sootprint_core::{Footprint, TrainingType};
use tracing::Span;
use tracing::field::Empty;

use super::event::EpochTotals;

#[derive(Debug)]
pub(crate) struct RunSpans {
    run: Span,
    epoch: Mutex<Span>,
}

impl RunSpans {
    pub(crate) fn for_run(id: &str, training_type: Option<TrainingType>) -> Self {
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

    /// The spans of a disabled run.
    pub(crate) fn none() -> Self {
        Self { run: Span::none(), epoch: Mutex::new(Span::none()) }
    }

    /// Replaces the open epoch's span by one for epoch `next`, or by none. Returns the span of the epoch that ends; it
    /// is closed by [`close_epoch_span`] once the epoch's energy is known.
    pub(crate) fn replace_epoch(&self, next: Option<u32>) -> Span {
        let span = next.map_or_else(Span::none, |number| self.epoch_span(number));
        std::mem::replace(&mut *lock_ignoring_poison(&self.epoch), span)
    }

    fn epoch_span(&self, number: u32) -> Span {
        tracing::info_span!(
            target: "sootprint",
            parent: &self.run,
            "sootprint.epoch",
            epoch = number,
            duration_s = Empty,
            energy_j = Empty,
            grams = Empty,
            power_w = Empty,
            completed = Empty,
        )
    }

    pub(crate) fn end_run(&self, footprint: &Footprint) {
        let total = footprint.energy.total.joules();
        let seconds = footprint.run.duration_s;
        record_usage(&self.run, seconds, total, footprint.emissions.best.grams());
        self.run.record("outcome", footprint.run.outcome.as_str());
        tracing::info!(
            target: "sootprint",
            parent: &self.run,
            energy_j = total,
            grams = footprint.emissions.best.grams(),
            "{} used {} and emitted {} CO2e",
            footprint.run.id,
            footprint.energy.total,
            footprint.emissions.best,
        );
    }
}

/// Records an epoch's totals in its span and closes it.
pub(crate) fn close_epoch_span(span: Span, completed: bool, totals: Option<EpochTotals>) {
    let Some(totals) = totals else { return };
    record_usage(&span, totals.duration.as_secs_f64(), totals.energy.joules(), totals.emissions.grams());
    span.record("completed", completed);
    // The sampler thread may have another subscriber than the training, and a registry closes a span's parent through
    // the subscriber of the current thread.
    if let Some(dispatch) = span.with_subscriber(|(_, subscriber)| subscriber.clone()) {
        tracing::dispatcher::with_default(&dispatch, || drop(span));
    }
}

fn record_usage(span: &Span, seconds: f64, joules: f64, grams: f64) {
    span.record("duration_s", seconds);
    span.record("energy_j", joules);
    span.record("grams", grams);
    if seconds > 0.0 {
        span.record("power_w", joules / seconds);
    }
}
