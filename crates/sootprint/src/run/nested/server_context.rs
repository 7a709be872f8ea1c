//! The state that all connections of a measuring run share.

use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use sootprint_core::IntensityProvider;
use sootprint_core::sync::lock_ignoring_poison;

use crate::ledger::LedgerId;
use crate::run::handle::RunHandle;

/// The enclosing run, and the state that its connections share.
#[derive(Debug)]
pub(crate) struct ServerContext {
    pub(crate) run: RunHandle,
    pub(crate) ledger_id: LedgerId,
    pub(crate) intensity_provider: Option<Arc<dyn IntensityProvider>>,
    is_closing: AtomicBool,
    /// The open connections, which are shut down when the server closes.
    connections: Mutex<Vec<(u64, UnixStream)>>,
    /// The connection whose epochs are recorded.
    epoch_source: Mutex<Option<u64>>,
    has_noted_conflict: AtomicBool,
}

impl ServerContext {
    pub(crate) fn new(
        run: RunHandle,
        ledger_id: LedgerId,
        intensity_provider: Option<Arc<dyn IntensityProvider>>,
    ) -> Self {
        Self {
            run,
            ledger_id,
            intensity_provider,
            is_closing: AtomicBool::new(false),
            connections: Mutex::default(),
            epoch_source: Mutex::new(None),
            has_noted_conflict: AtomicBool::new(false),
        }
    }

    /// Claims the run's list of epochs for a connection. A run has only one list, so the first training that reports
    /// epochs keeps it until that training ends; a note in the footprint mentions the others.
    pub(crate) fn acquire_epochs(&self, id: u64) -> bool {
        let is_epoch_source = *lock_ignoring_poison(&self.epoch_source).get_or_insert(id) == id;
        if !is_epoch_source && !self.has_noted_conflict.swap(true, Ordering::Relaxed) {
            self.run.add_note(
                "several trainings ran concurrently inside the command: the epochs are those of one of them",
            );
        }
        is_epoch_source
    }

    /// Releases the list of epochs when a training ends. Returns whether it held the list.
    pub(crate) fn release_epochs(&self, id: u64) -> bool {
        lock_ignoring_poison(&self.epoch_source).take_if(|source| *source == id).is_some()
    }

    pub(crate) fn add_connection(&self, id: u64, stream: UnixStream) {
        lock_ignoring_poison(&self.connections).push((id, stream));
    }

    pub(crate) fn remove_connection(&self, id: u64) {
        lock_ignoring_poison(&self.connections).retain(|(other, _)| *other != id);
    }

    pub(crate) fn connection_count(&self) -> usize {
        lock_ignoring_poison(&self.connections).len()
    }

    pub(crate) fn is_closing(&self) -> bool {
        self.is_closing.load(Ordering::Acquire)
    }

    /// Makes the server refuse new connections from here on.
    pub(crate) fn start_closing(&self) {
        self.is_closing.store(true, Ordering::Release);
    }

    pub(crate) fn shut_down_connections(&self) {
        for (_, stream) in lock_ignoring_poison(&self.connections).drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }
}
