//! The waits at the end of a run, which another thread can end.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

/// How often a wait checks whether it has been ended.
const CHECK_INTERVAL: Duration = Duration::from_millis(50);

/// Whether the run still waits for hardware, providers and other ranks.
#[derive(Debug, Default)]
pub(crate) struct FinishWaits {
    has_ended: AtomicBool,
}

impl FinishWaits {
    /// Ends all waits, now and later.
    pub(crate) fn end(&self) {
        self.has_ended.store(true, Ordering::Release);
    }

    pub(crate) fn has_ended(&self) -> bool {
        self.has_ended.load(Ordering::Acquire)
    }

    /// Waits for a value. `None` if the sender is gone, the timeout is over, or the waits have been ended.
    pub(crate) fn receive<T>(&self, receiver: &Receiver<T>, timeout: Duration) -> Option<T> {
        let deadline = Instant::now() + timeout;
        loop {
            let rest = deadline.saturating_duration_since(Instant::now());
            let step = if self.has_ended() { Duration::ZERO } else { rest.min(CHECK_INTERVAL) };
            match receiver.recv_timeout(step) {
                Ok(value) => return Some(value),
                Err(RecvTimeoutError::Timeout) if !step.is_zero() => {}
                Err(_) => return None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, mpsc};
    use std::thread;

    use super::*;

    #[test]
    fn ended_wait_returns_at_once() {
        let waits = Arc::new(FinishWaits::default());
        let (value_tx, value_rx) = mpsc::channel::<u8>();
        let waiting = {
            let waits = Arc::clone(&waits);
            thread::spawn(move || waits.receive(&value_rx, Duration::from_secs(3_600)))
        };
        waits.end();
        assert_eq!(waiting.join().unwrap(), None);
        drop(value_tx);
    }

    #[test]
    fn value_that_is_there_is_returned_after_the_end() {
        let waits = FinishWaits::default();
        let (value_tx, value_rx) = mpsc::channel();
        value_tx.send(7).unwrap();
        waits.end();
        assert_eq!(waits.receive(&value_rx, Duration::ZERO), Some(7));
        assert_eq!(waits.receive(&value_rx, Duration::from_secs(3_600)), None);
    }

    #[test]
    fn wait_ends_with_timeout_and_with_sender() {
        let waits = FinishWaits::default();
        let (value_tx, value_rx) = mpsc::channel::<u8>();
        assert_eq!(waits.receive(&value_rx, Duration::from_millis(1)), None);
        drop(value_tx);
        assert_eq!(waits.receive(&value_rx, Duration::from_secs(3_600)), None);
    }
}
