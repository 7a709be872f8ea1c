//! The stretch of a run that a metric shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sootprint::{LiveUsage, RunHandle};

/// What the run had used when a split began, and when it ended; shared by the metrics of the split.
///
/// Burn's metrics are told of a split's end, late, and not of its beginning. The progress logger is told of both, and
/// the loaders of [`instrument_loaders`](crate::exact_edges) see both as they happen. The boards are read at both; until that
/// is done, which takes milliseconds, the live figure stands for it.
#[derive(Clone)]
pub(crate) struct SplitUsage {
    run: RunHandle,
    interval: Arc<Mutex<SplitInterval>>,
}

#[derive(Clone, Copy)]
pub(crate) struct SplitInterval {
    /// Which it is of those that followed each other.
    pub(crate) number: u64,
    pub(crate) start: LiveUsage,
    pub(crate) end: Option<LiveUsage>,
}

impl SplitUsage {
    /// From now on.
    pub(crate) fn new(run: RunHandle) -> Self {
        let interval = SplitInterval { number: 0, start: run.usage(), end: None };
        Self { run, interval: Arc::new(Mutex::new(interval)) }
    }

    /// The next one begins here.
    pub(crate) fn begin(&self) {
        let start = self.run.usage();
        let number = {
            let mut interval = lock_interval(&self.interval);
            *interval = SplitInterval { number: interval.number + 1, start, end: None };
            interval.number
        };
        self.sample_boundary(number, |interval, start| interval.start = start);
    }

    /// It ends here, whenever its metrics are asked.
    pub(crate) fn end(&self) {
        let end = self.run.usage();
        let number = {
            let mut interval = lock_interval(&self.interval);
            interval.end = Some(end);
            interval.number
        };
        self.sample_boundary(number, |interval, end| interval.end = Some(end));
    }

    /// The stretch, and the figures at its end or now.
    pub(crate) fn current(&self) -> (SplitInterval, LiveUsage) {
        let interval = *lock_interval(&self.interval);
        (interval, interval.end.unwrap_or_else(|| self.run.usage()))
    }

    /// Keeps what the boards say, unless the next stretch has begun.
    fn sample_boundary(&self, number: u64, store: fn(&mut SplitInterval, LiveUsage)) {
        let interval = Arc::clone(&self.interval);
        self.run.sample(move |read| {
            let mut interval = lock_interval(&interval);
            if interval.number == number {
                store(&mut interval, read);
            }
        });
    }
}

fn lock_interval(interval: &Mutex<SplitInterval>) -> MutexGuard<'_, SplitInterval> {
    interval.lock().unwrap_or_else(PoisonError::into_inner)
}
