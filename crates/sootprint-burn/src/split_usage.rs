//! The usage of a run within one split.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sootprint::{LiveUsage, RunHandle};

/// The run's usage at the start and the end of the current split, shared by the metrics of the split.
///
/// Burn notifies metrics of the end of a split, late, and not of its start. The progress logger is notified of both, and
/// [`instrument_loaders`](crate::instrument_loaders) observes both as they happen. Each boundary requests a sample; until
/// it arrives, milliseconds later, the live estimate is used.
#[derive(Clone)]
pub(crate) struct SplitUsage {
    run: RunHandle,
    interval: Arc<Mutex<SplitInterval>>,
}

#[derive(Clone, Copy)]
pub(crate) struct SplitInterval {
    /// Sequence number of the split.
    pub(crate) number: u64,
    pub(crate) start: LiveUsage,
    pub(crate) end: Option<LiveUsage>,
}

impl SplitUsage {
    /// Usage from now on.
    pub(crate) fn new(run: RunHandle) -> Self {
        let interval = SplitInterval { number: 0, start: run.usage(), end: None };
        Self { run, interval: Arc::new(Mutex::new(interval)) }
    }

    /// Starts the next split.
    pub(crate) fn begin(&self) {
        let start = self.run.usage();
        let number = {
            let mut interval = lock_interval(&self.interval);
            *interval = SplitInterval { number: interval.number + 1, start, end: None };
            interval.number
        };
        self.sample_boundary(number, |interval, start| interval.start = start);
    }

    /// Ends the split: later reads of its metrics return the usage up to now.
    pub(crate) fn end(&self) {
        let end = self.run.usage();
        let number = {
            let mut interval = lock_interval(&self.interval);
            interval.end = Some(end);
            interval.number
        };
        self.sample_boundary(number, |interval, end| interval.end = Some(end));
    }

    /// The split, and the usage at its end, or now if it is open.
    pub(crate) fn current(&self) -> (SplitInterval, LiveUsage) {
        let interval = *lock_interval(&self.interval);
        (interval, interval.end.unwrap_or_else(|| self.run.usage()))
    }

    /// Replaces a boundary's estimate by a sample, unless the next split has started.
    fn sample_boundary(&self, number: u64, store: fn(&mut SplitInterval, LiveUsage)) {
        let interval = Arc::clone(&self.interval);
        self.run.sample(move |usage| {
            let mut interval = lock_interval(&interval);
            if interval.number == number {
                store(&mut interval, usage);
            }
        });
    }
}

fn lock_interval(interval: &Mutex<SplitInterval>) -> MutexGuard<'_, SplitInterval> {
    interval.lock().unwrap_or_else(PoisonError::into_inner)
}
