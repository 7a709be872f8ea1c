//! A training inside `sootprint run`, which measures and records it.

use std::path::Path;
use std::time::Duration;

use sootprint_core::sync::lock_ignoring_poison;
use sootprint_core::{Footprint, RunStatus};

use super::{MeasurementBackend, RunHandle};
use crate::run::budget::{Budget, BudgetTracker};
use crate::run::event::{HookEvent, RunFact};
use crate::run::label::RunLabel;
use crate::run::nested::RemoteSampler;
use crate::run::recorder::RunRecorder;
use crate::run::spans::RunSpans;
use crate::settings::RunSettings;

impl RunHandle {
    /// Creates a handle to a training that another process measures and records.
    pub(crate) fn with_remote_sampler(
        remote: RemoteSampler,
        label: RunLabel,
        settings: RunSettings,
        budgets: Vec<Budget>,
    ) -> Self {
        let spans = RunSpans::for_run(remote.run_id(), label.training_type);
        let recorder = RunRecorder::unrecorded(remote.run_id(), label, settings);
        let handle = Self::from_parts(recorder, BudgetTracker::new(budgets), spans);
        *lock_ignoring_poison(&handle.0.backend) = Some(MeasurementBackend::Remote(remote));
        handle
    }

    /// Ends the training's part of the enclosing run and returns the footprint that the other process has computed.
    pub(crate) fn finish_nested(
        &self,
        remote: RemoteSampler,
        status: Option<RunStatus>,
        timeout: Duration,
    ) -> Footprint {
        // From here on `usage` returns the last known figures.
        lock_ignoring_poison(&self.0.usage).usage = remote.usage();
        let (counts, report_totals) = self.close_epoch(false, remote.usage().energy, None);
        remote.send_event(HookEvent::TrainingLeft(counts), report_totals);
        if let Some(status) = status {
            remote.send_event(HookEvent::Fact(RunFact::Status(status)), |_| ());
        }
        let reply = remote.finish(status, timeout);
        lock_ignoring_poison(&self.0.usage).usage = remote.usage();
        let footprint = reply.unwrap_or_else(|| {
            let text = "the enclosing `sootprint run` did not answer at the end of this training: the training's usage is \
                        in the record of that run only";
            tracing::warn!("{text}");
            let mut footprint = lock_ignoring_poison(&self.0.recorder).footprint();
            footprint.run.outcome = status.unwrap_or(RunStatus::Completed);
            footprint.notes.push(text.to_owned());
            footprint
        });
        self.0.spans.end_run(&footprint);
        footprint
    }

    pub(crate) fn is_nested(&self) -> bool {
        matches!(*lock_ignoring_poison(&self.0.backend), Some(MeasurementBackend::Remote(_)))
    }

    /// Whether the enclosing run is recorded in another folder than `dir`.
    pub(crate) fn is_recorded_elsewhere(&self, dir: &Path) -> bool {
        matches!(&*lock_ignoring_poison(&self.0.backend), Some(MeasurementBackend::Remote(remote)) if !remote.records_in(dir))
    }
}
