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
/// - After [`Event::Ended`] nothing more comes.
pub trait Events: Send + Sync {
    /// Something happened.
    fn on_event(&self, event: &Event);
}

/// What happened in a publication.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
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
    Waiting {
        /// For how long.
        duration: Duration,
        /// What went wrong.
        reason: String,
    },
    /// The publication is over, well or not.
    Ended,
}

/// The handler and whether it may still be called.
#[derive(Clone, Default)]
pub(crate) struct Listener(Arc<Mutex<Option<Arc<dyn Events>>>>);

impl Listener {
    pub(crate) fn new(handler: Option<Arc<dyn Events>>) -> Self {
        Self(Arc::new(Mutex::new(handler)))
    }

    pub(crate) fn tell(&self, event: &Event) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(handler) = &*slot
            && catch_unwind(AssertUnwindSafe(|| handler.on_event(event))).is_err()
        {
            tracing::warn!("the handler of a publication's events panicked and is not called any more");
            *slot = None;
        }
    }

    /// The last event. hf-hub 1.0.0 goes on to report after an upload has failed, which then reaches nobody.
    pub(crate) fn end(&self) {
        self.tell(&Event::Ended);
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl ProgressHandler for Listener {
    fn on_progress(&self, event: &ProgressEvent) {
        match event {
            ProgressEvent::Upload(UploadEvent::Progress { bytes_completed, total_bytes, .. }) => {
                self.tell(&Event::Uploading { done: *bytes_completed, total: *total_bytes });
            }
            ProgressEvent::Upload(UploadEvent::Committing) => self.tell(&Event::Committing),
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Heard(Mutex<Vec<Event>>);

    impl Events for Heard {
        fn on_event(&self, event: &Event) {
            self.0.lock().unwrap().push(event.clone());
        }
    }

    struct Panics(Mutex<u32>);

    impl Events for Panics {
        fn on_event(&self, _: &Event) {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) += 1;
            panic!("a handler's mistake");
        }
    }

    #[test]
    fn after_the_end_nothing_is_heard() {
        let heard = Arc::new(Heard::default());
        let listener = Listener::new(Some(heard.clone()));
        listener.tell(&Event::Committing);
        listener.end();
        listener.tell(&Event::Committing);
        listener.end();
        assert_eq!(*heard.0.lock().unwrap(), [Event::Committing, Event::Ended]);
    }

    #[test]
    fn a_handler_that_panics_is_called_once() {
        let panics = Arc::new(Panics(Mutex::new(0)));
        let listener = Listener::new(Some(panics.clone()));
        listener.tell(&Event::Committing);
        listener.tell(&Event::Committing);
        assert_eq!(*panics.0.lock().unwrap_or_else(PoisonError::into_inner), 1);
    }
}
