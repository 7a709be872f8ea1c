//! What a publication tells while it works.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use hf_hub::progress::{ProgressEvent, ProgressHandler, UploadEvent};

/// Hears of a publication's progress, for a bar on a terminal or a line in a log.
///
/// Contract:
/// - It is called on threads of the publication, never on the caller's, one call at a time and in order.
/// - The publication waits for it: it may take a lock or write a line, and should not wait for the network or for
///   somebody who waits for the publication.
/// - When it panics, the publication goes on and does not call it again.
/// - After [`PushEvent::Finished`] nothing more comes.
pub trait PushProgressHandler: Send + Sync {
    /// Something happened.
    fn on_progress(&self, event: &PushEvent);
}

/// What happened in a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum PushEvent {
    /// A file is read for its hashes: once at its start, about every 16 MiB, and once at its end.
    Hashing {
        /// Its path in the repository.
        path: String,
        /// Bytes read so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// Files travel to the Hub's storage, up to ten times a second. Small files travel with the commit and are not
    /// counted, and bytes that the storage has already count as sent.
    Uploading {
        /// Bytes so far.
        done: u64,
        /// Bytes in all.
        total: u64,
    },
    /// All bytes have arrived; the commit is made.
    Committing,
    /// The Hub asked to wait, or did not answer, and is asked again later.
    BackingOff {
        /// For how long.
        duration: Duration,
        /// What went wrong.
        reason: String,
    },
    /// The publication is over, well or not.
    Finished,
}

/// The handler and whether it may still be called.
#[derive(Clone, Default)]
pub(crate) struct ProgressSink(Arc<Mutex<Option<Arc<dyn PushProgressHandler>>>>);

impl ProgressSink {
    pub(crate) fn new(handler: Option<Arc<dyn PushProgressHandler>>) -> Self {
        Self(Arc::new(Mutex::new(handler)))
    }

    pub(crate) fn emit(&self, event: &PushEvent) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handler) = &*slot
            && catch_unwind(AssertUnwindSafe(|| handler.on_progress(event))).is_err()
        {
            tracing::warn!("the handler of a publication's events panicked and is not called any more");
            *slot = None;
        }
    }

    /// The last event. hf-hub 1.0.0 goes on to report after an upload has failed, which then reaches nobody.
    pub(crate) fn finish(&self) {
        self.emit(&PushEvent::Finished);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ProgressHandler for ProgressSink {
    fn on_progress(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Upload(UploadEvent::Progress { bytes_completed, total_bytes, .. }) => {
                self.emit(&PushEvent::Uploading { done: *bytes_completed, total: *total_bytes });
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
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            panic!("a handler's mistake");
        }
    }

    #[test]
    fn no_event_follows_finish() {
        let heard = Arc::new(RecordingHandler::default());
        let listener = ProgressSink::new(Some(heard.clone()));
        listener.emit(&PushEvent::Committing);
        listener.finish();
        listener.emit(&PushEvent::Committing);
        listener.finish();
        assert_eq!(*heard.0.lock().unwrap(), [PushEvent::Committing, PushEvent::Finished]);
    }

    #[test]
    fn panicking_handler_is_called_once() {
        let panics = Arc::new(PanickingHandler(Mutex::new(0)));
        let listener = ProgressSink::new(Some(panics.clone()));
        listener.emit(&PushEvent::Committing);
        listener.emit(&PushEvent::Committing);
        assert_eq!(*panics.0.lock().unwrap_or_else(PoisonError::into_inner), 1);
    }
}
