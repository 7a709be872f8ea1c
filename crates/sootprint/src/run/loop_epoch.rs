//! The open epoch of a training loop: what [`Epochs`](super::Epochs) and [`Windows`](super::Windows) share.

use std::fmt;

use super::handle::RunHandle;

/// The open epoch of a training loop. Dropped while an epoch is open, it ends that epoch as incomplete.
pub(crate) struct LoopEpoch {
    handle: RunHandle,
    /// Waits for the devices, so that work queued before a boundary is counted before it.
    sync_devices: Option<Box<dyn FnMut() + Send>>,
    has_started: bool,
    is_open: bool,
}

impl LoopEpoch {
    pub(crate) fn new(handle: RunHandle) -> Self {
        Self { handle, sync_devices: None, has_started: false, is_open: false }
    }

    pub(crate) const fn handle(&self) -> &RunHandle {
        &self.handle
    }

    pub(crate) const fn is_open(&self) -> bool {
        self.is_open
    }

    /// Adds a function that is called before each boundary, after those added before.
    pub(crate) fn sync_with(&mut self, mut wait: impl FnMut() + Send + 'static) {
        self.sync_devices = Some(match self.sync_devices.take() {
            Some(mut first) => Box::new(move || {
                first();
                wait();
            }),
            None => Box::new(wait),
        });
    }

    /// Starts an epoch. Only the first one waits for the devices: later epochs start where the previous one ended.
    pub(crate) fn start(&mut self, number: u32) {
        if !std::mem::replace(&mut self.has_started, true) {
            self.wait_for_devices();
        }
        self.handle.start_epoch(number);
        self.is_open = true;
    }

    /// Waits for the devices and ends the open epoch, if there is one.
    pub(crate) fn end(&mut self, completed: bool) {
        if std::mem::take(&mut self.is_open) {
            // Waiting while unwinding could block on a device that no longer answers, or panic again.
            if !std::thread::panicking() {
                self.wait_for_devices();
            }
            self.handle.end_epoch(completed);
        }
    }

    /// Whether a [`Budget`](super::Budget) ends the loop now; if so, ends the open epoch as complete and records the
    /// early stop.
    pub(crate) fn stop_if_budget_exceeded(&mut self) -> bool {
        let Some(reason) = self.handle.budget_exceeded() else { return false };
        self.end(true);
        self.handle.record_early_stop(reason);
        true
    }

    fn wait_for_devices(&mut self) {
        if let Some(wait) = &mut self.sync_devices {
            wait();
        }
    }
}

impl Drop for LoopEpoch {
    fn drop(&mut self) {
        self.end(false);
    }
}

impl fmt::Debug for LoopEpoch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { handle, sync_devices, is_open, .. } = self;
        f.debug_struct("LoopEpoch")
            .field("handle", handle)
            .field("is_open", is_open)
            .field("syncs_devices", &sync_devices.is_some())
            .finish_non_exhaustive()
    }
}
