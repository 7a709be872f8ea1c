//! A run that measures the trainings nested in it.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use sootprint_core::sync::lock_ignoring_poison;
use sootprint_core::{Footprint, RunStatus};
use sootprint_power::{BoundaryPrecision, ComponentInfo};

use super::{MeasurementBackend, RunHandle};
use crate::ledger::LedgerId;
use crate::run::event::{EpochTotals, HookEvent};
use crate::run::nested::NestedRunConfig;
use crate::run::timeouts::FINISH_TIMEOUT;

impl RunHandle {
    /// Creates a handle that sums up a nested training from this run's samples. `None` after the end of this run.
    pub(crate) fn nested_handle(&self, run: String, config: &NestedRunConfig) -> Option<Self> {
        let handle =
            Self::without_sampler(lock_ignoring_poison(&self.0.recorder).nested_recorder(run, config));
        let start_session = match lock_ignoring_poison(&self.0.backend).as_ref()? {
            MeasurementBackend::Local(session) => session.session_starter(),
            MeasurementBackend::Remote(_) => return None,
        };
        let (session, session_start) = start_session(handle.sample_callback()).ok()?;
        handle.start_session(session, session_start, config.gaps.clone());
        Some(handle)
    }

    /// Records an event that a hook in another process emitted `age` ago.
    pub(crate) fn handle_event(
        &self,
        age: Duration,
        event: HookEvent,
        on_epoch_end: impl FnOnce(Option<EpochTotals>) + Send + 'static,
    ) {
        if let HookEvent::Fact(fact) = event {
            self.record_fact(fact);
            // The callback may use this run, so no lock is held here.
            return on_epoch_end(None);
        }
        if let Some(MeasurementBackend::Local(session)) = lock_ignoring_poison(&self.0.backend).as_ref() {
            // An age in real time means nothing on a virtual clock.
            let age = if self.uses_virtual_time() { Duration::ZERO } else { age };
            self.record_event(session, session.now().saturating_sub(age), event, on_epoch_end);
        }
    }

    /// Adopts the location and PUE that `parent` has found since the nested run started.
    pub(crate) fn inherit_location(&self, parent: &Self, config: &NestedRunConfig) {
        let parent_recorder = lock_ignoring_poison(&parent.0.recorder);
        lock_ignoring_poison(&self.0.recorder).inherit_location(&parent_recorder, config);
    }

    /// The footprint of this run up to now, with the status of a training that ends now.
    pub(crate) fn footprint_now(&self, status: Option<RunStatus>) -> Footprint {
        let (done_tx, done_rx) = mpsc::channel();
        if let Some(MeasurementBackend::Local(session)) = lock_ignoring_poison(&self.0.backend).as_ref() {
            let recorder = Arc::clone(&self.0.recorder);
            session.query_energy(session.now(), BoundaryPrecision::Final, move |sample| {
                lock_ignoring_poison(&recorder).record_totals(sample);
                // The receiver may have timed out.
                let _ = done_tx.send(());
            });
        }
        // After a timeout the footprint ends with the last sample.
        let _ = done_rx.recv_timeout(FINISH_TIMEOUT);
        lock_ignoring_poison(&self.0.recorder).footprint_now(status)
    }

    /// The id of the ledger, if there is one.
    pub(crate) fn ledger_id(&self) -> Option<LedgerId> {
        lock_ignoring_poison(&self.0.recorder).ledger_id().cloned()
    }

    pub(crate) fn components(&self) -> Vec<ComponentInfo> {
        lock_ignoring_poison(&self.0.recorder).components().to_vec()
    }

    pub(crate) fn uses_virtual_time(&self) -> bool {
        lock_ignoring_poison(&self.0.recorder).uses_virtual_time()
    }
}
