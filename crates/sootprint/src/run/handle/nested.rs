//! The handle of a training that another process measures, and of the run around it.

use std::path::Path;
use std::time::Duration;

use sootprint_core::{Footprint, RunStatus};

use super::{MeasurementBackend, RunHandle, lock_ignoring_poison};
use crate::run::budget::{Budget, BudgetTracker};
use crate::run::event::HookEvent;
use crate::run::nested::RemoteSampler;
use crate::run::recorder::{RunLabel, RunRecorder};
use crate::run::spans;
use crate::run::spans::RunSpans;
use crate::settings::RunSettings;

impl RunHandle {
    /// A handle on a training inside the run of another process, which meters and records.
    pub(in crate::run) fn with_remote_sampler(
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

    /// Ends the training's part of the other's run: the footprint that the other process has of it.
    pub(super) fn finish_nested(
        &self,
        remote: RemoteSampler,
        status: Option<RunStatus>,
        timeout: Duration,
    ) -> Footprint {
        // Who asks from now on asks this handle alone.
        lock_ignoring_poison(&self.0.usage).usage = remote.usage();
        let (counts, span) = (self.take_counts(), self.0.spans.end_epoch());
        remote.send_event(HookEvent::TrainingLeft(counts), move |totals| {
            spans::close_epoch_span(span, false, totals)
        });
        if let Some(status) = status {
            remote.send_event(HookEvent::StatusSet(status), |_| ());
        }
        let reply = remote.finish(status, timeout);
        lock_ignoring_poison(&self.0.usage).usage = remote.usage();
        let footprint = reply.unwrap_or_else(|| {
            let text = "the `sootprint run` that measured this training did not answer at its end: what the training \
                        used is in the record of that run alone";
            tracing::warn!("{text}");
            let mut footprint = lock_ignoring_poison(&self.0.recorder).footprint();
            footprint.run.outcome = status.unwrap_or(RunStatus::Completed);
            footprint.notes.push(text.to_owned());
            footprint
        });
        self.0.spans.end_run(&footprint);
        footprint
    }

    pub(in crate::run) fn is_nested(&self) -> bool {
        matches!(*lock_ignoring_poison(&self.0.backend), Some(MeasurementBackend::Remote(_)))
    }

    /// Whether the run around this training is recorded in another folder.
    pub(in crate::run) fn is_recorded_elsewhere(&self, dir: &Path) -> bool {
        matches!(&*lock_ignoring_poison(&self.0.backend), Some(MeasurementBackend::Remote(remote)) if !remote.records_in(dir))
    }
}

/// For a run that measures what is attached to it.
#[cfg(unix)]
mod outer {
    use std::sync::{Arc, mpsc};

    use sootprint_power::{BoundaryPrecision, ComponentInfo};

    use super::{
        Duration, Footprint, HookEvent, MeasurementBackend, RunHandle, RunStatus, lock_ignoring_poison,
    };
    use crate::ledger::LedgerId;
    use crate::run::FINISH_TIMEOUT;
    use crate::run::recorder::{EpochTotals, NestedRunConfig};

    impl RunHandle {
        /// A sum of a training's own, on this run's readings; none after this run's end.
        pub(in crate::run) fn nested_handle(&self, run: String, config: &NestedRunConfig) -> Option<Self> {
            let handle =
                Self::without_sampler(lock_ignoring_poison(&self.0.recorder).nested_recorder(run, config));
            let start_session = match lock_ignoring_poison(&self.0.backend).as_ref()? {
                MeasurementBackend::Local(session) => session.session_starter(),
                MeasurementBackend::Remote(_) => return None,
            };
            let (session, mut session_start) = start_session(handle.sample_callback()).ok()?;
            let mut gaps = std::mem::take(&mut session_start.gaps);
            gaps.extend(config.gaps.iter().cloned());
            handle.start_session(session, session_start, gaps);
            Some(handle)
        }

        /// Takes what a hook in another process said so long ago.
        pub(in crate::run) fn handle_event(
            &self,
            age: Duration,
            event: HookEvent,
            on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static,
        ) {
            if let Some(MeasurementBackend::Local(session)) = lock_ignoring_poison(&self.0.backend).as_ref() {
                let recorder = Arc::clone(&self.0.recorder);
                // A script's time is nobody else's.
                let age =
                    if lock_ignoring_poison(&recorder).uses_virtual_time() { Duration::ZERO } else { age };
                let at = session.now().saturating_sub(age);
                session.query_energy(at, event.boundary_precision(), move |moment| {
                    let totals = lock_ignoring_poison(&recorder).handle_event(event, moment);
                    on_epoch_end(totals);
                });
            }
        }

        /// Takes over what `outer` has learnt of its place.
        pub(in crate::run) fn inherit_location(&self, parent: &Self, config: &NestedRunConfig) {
            let parent_recorder = lock_ignoring_poison(&parent.0.recorder);
            lock_ignoring_poison(&self.0.recorder).inherit_location(&parent_recorder, config);
        }

        /// The run's footprint up to now, of a training that ends so.
        pub(in crate::run) fn footprint_now(&self, status: Option<RunStatus>) -> Footprint {
            let (done_tx, done_rx) = mpsc::channel();
            if let Some(MeasurementBackend::Local(session)) = lock_ignoring_poison(&self.0.backend).as_ref() {
                let recorder = Arc::clone(&self.0.recorder);
                session.query_energy(session.now(), BoundaryPrecision::Final, move |moment| {
                    lock_ignoring_poison(&recorder).record_totals(moment);
                    // Who waits may have lost patience.
                    let _ = done_tx.send(());
                });
            }
            // Without that reading the last one stands.
            let _ = done_rx.recv_timeout(FINISH_TIMEOUT);
            lock_ignoring_poison(&self.0.recorder).footprint_now(status)
        }

        /// The ledger's name, where there is one.
        pub(in crate::run) fn ledger_id(&self) -> Option<LedgerId> {
            lock_ignoring_poison(&self.0.recorder).ledger_id().cloned()
        }

        pub(in crate::run) fn components(&self) -> Vec<ComponentInfo> {
            lock_ignoring_poison(&self.0.recorder).components().to_vec()
        }

        pub(in crate::run) fn uses_virtual_time(&self) -> bool {
            lock_ignoring_poison(&self.0.recorder).uses_virtual_time()
        }
    }
}
