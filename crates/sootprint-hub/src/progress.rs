//! Progress events of a push.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hf_hub::progress::{ProgressEvent, ProgressHandler, UploadEvent};
use sootprint_core::sync::lock_ignoring_poison;

/// Receives the progress events of a push, for example for a progress bar.
///
/// Contract:
/// - The handler is called on threads of the push, never on the caller's thread, one call at a time and in order.
/// - The push waits for the handler: it may take a lock or write a line, but should not wait for the network or for a
///   thread that waits for the push.
/// - If the handler panics, the push continues and does not call the handler again.
/// - [`PushEvent::Finished`] is the last event.
pub trait PushProgressHandler: Send + Sync {
    /// Handles one event.
    fn on_progress(&self, event: &PushEvent);
}

/// A progress event of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushEvent {
    /// A file is being hashed. This event is sent at the start of the file, about every 16 MiB, and at its end.
    Hashing {
        /// The path of the file in the repository.
        path: String,
        /// Bytes read so far.
        done: u64,
        /// Total bytes to read.
        total: u64,
    },
    /// Files are being sent to the Hub's storage. This event is sent up to ten times per second. Small files are part
    /// of the commit and not counted; bytes that the storage already has count as sent.
    Uploading {
        /// Bytes sent so far.
        done: u64,
        /// Total bytes to send.
        total: u64,
    },
    /// All bytes have arrived; the commit is being made.
    Committing,
    /// A request failed or was rate limited, and is retried after a wait.
    BackingOff {
        /// The time until the next attempt.
        duration: Duration,
        /// The error that caused the wait.
        reason: String,
    },
    /// The push has ended, with or without success.
    Finished,
}

/// The handler, as long as it may be called.
#[derive(Clone, Default)]
pub(crate) struct ProgressSink {
    handler: Arc<Mutex<Option<Arc<dyn PushProgressHandler>>>>,
    /// The bytes of the upload. The total that hf-hub reports grows with each file that it begins to send.
    upload_total: Arc<AtomicU64>,
}

impl ProgressSink {
    pub(crate) fn new(handler: Option<Arc<dyn PushProgressHandler>>) -> Self {
        Self { handler: Arc::new(Mutex::new(handler)), upload_total: Arc::default() }
    }

    pub(crate) fn set_upload_total(&self, bytes: u64) {
        self.upload_total.store(bytes, Ordering::Relaxed);
    }

    pub(crate) fn emit(&self, event: &PushEvent) {
        let mut slot = lock_ignoring_poison(&self.handler);
        if let Some(handler) = &*slot
            && catch_unwind(AssertUnwindSafe(|| handler.on_progress(event))).is_err()
        {
            tracing::warn!("the progress handler panicked and is not called again");
            *slot = None;
        }
    }

    /// Sends the last event. hf-hub 1.0.0 may report progress after an upload has failed; such events are dropped.
    pub(crate) fn finish(&self) {
        self.emit(&PushEvent::Finished);
        *lock_ignoring_poison(&self.handler) = None;
    }
}

impl ProgressHandler for ProgressSink {
    fn on_progress(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Upload(UploadEvent::Progress { bytes_completed, total_bytes, .. }) => {
                let total = self.upload_total.load(Ordering::Relaxed).max(*total_bytes);
                self.emit(&PushEvent::Uploading { done: *bytes_completed, total });
            }
            ProgressEvent::Upload(UploadEvent::Committing) => self.emit(&PushEvent::Committing),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct RecordingHandler(Mutex<Vec<PushEvent>>);

    impl PushProgressHandler for RecordingHandler {
        fn on_progress(&self, event: &PushEvent) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    struct PanickingHandler(Mutex<u32>);

    impl PushProgressHandler for PanickingHandler {
        fn on_progress(&self, _: &PushEvent) {
            *lock_ignoring_poison(&self.0) += 1;
            panic!("bug in a handler");
        }
    }

    #[test]
    fn no_event_follows_finish() {
        let handler = Arc::new(RecordingHandler::default());
        let sink = ProgressSink::new(Some(handler.clone()));
        sink.emit(&PushEvent::Committing);
        sink.finish();
        sink.emit(&PushEvent::Committing);
        sink.finish();
        assert_eq!(*handler.0.lock().unwrap(), [PushEvent::Committing, PushEvent::Finished]);
    }

    #[test]
    fn panicking_handler_is_called_once() {
        let handler = Arc::new(PanickingHandler(Mutex::new(0)));
        let sink = ProgressSink::new(Some(handler.clone()));
        sink.emit(&PushEvent::Committing);
        sink.emit(&PushEvent::Committing);
        assert_eq!(*lock_ignoring_poison(&handler.0), 1);
    }
}
