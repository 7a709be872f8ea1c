//! The stretch of a run that a metric shows.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sootprint::{Live, RunHandle};

/// What the run had used when a split began, and when it ended; shared by the metrics of the split.
///
/// Burn's metrics are told of a split's end, late, and not of its beginning. The progress logger is told of both, and
/// the loaders of [`exact_edges`](crate::exact_edges) see both as they happen. The boards are read at both; until that
/// is done, which takes milliseconds, the live figure stands for it.
#[derive(Clone)]
pub(crate) struct Span {
    run: RunHandle,
    stretch: Arc<Mutex<Stretch>>,
}

#[derive(Clone, Copy)]
pub(crate) struct Stretch {
    /// Which it is of those that followed each other.
    pub(crate) number: u64,
    pub(crate) start: Live,
    pub(crate) end: Option<Live>,
}

impl Span {
    /// From now on.
    pub(crate) fn since(run: RunHandle) -> Self {
        let stretch = Stretch { number: 0, start: run.live(), end: None };
        Self { run, stretch: Arc::new(Mutex::new(stretch)) }
    }

    /// The next one begins here.
    pub(crate) fn begin(&self) {
        let start = self.run.live();
        let number = {
            let mut stretch = locked(&self.stretch);
            *stretch = Stretch { number: stretch.number + 1, start, end: None };
            stretch.number
        };
        self.read(number, |stretch, start| stretch.start = start);
    }

    /// It ends here, whenever its metrics are asked.
    pub(crate) fn close(&self) {
        let end = self.run.live();
        let number = {
            let mut stretch = locked(&self.stretch);
            stretch.end = Some(end);
            stretch.number
        };
        self.read(number, |stretch, end| stretch.end = Some(end));
    }

    /// The stretch, and the figures at its end or now.
    pub(crate) fn get(&self) -> (Stretch, Live) {
        let stretch = *locked(&self.stretch);
        (stretch, stretch.end.unwrap_or_else(|| self.run.live()))
    }

    /// Keeps what the boards say, unless the next stretch has begun.
    fn read(&self, number: u64, keep: fn(&mut Stretch, Live)) {
        let stretch = Arc::clone(&self.stretch);
        self.run.read(move |read| {
            let mut stretch = locked(&stretch);
            if stretch.number == number {
                keep(&mut stretch, read);
            }
        });
    }
}

fn locked(stretch: &Mutex<Stretch>) -> MutexGuard<'_, Stretch> {
    stretch.lock().unwrap_or_else(PoisonError::into_inner)
}
