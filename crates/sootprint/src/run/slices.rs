//! The guard around a loop that has no epochs.

use std::time::Duration;

use super::edges::Edges;
use super::handle::RunHandle;

/// How long a slice of a loop without epochs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Every(Length);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Length {
    Steps(u64),
    Time(Duration),
}

impl Every {
    /// So many steps; at least one.
    #[must_use]
    pub const fn steps(steps: u64) -> Self {
        Self(Length::Steps(if steps == 0 { 1 } else { steps }))
    }

    /// The first step that begins so long after the slice did begins the next one.
    #[must_use]
    pub const fn time(time: Duration) -> Self {
        Self(Length::Time(time))
    }

    fn name(self) -> String {
        match self.0 {
            Length::Steps(1) => "1 step".to_owned(),
            Length::Steps(steps) => format!("{steps} steps"),
            Length::Time(time) => format!("{} s", time.as_secs_f64()),
        }
    }
}

/// Goes through the steps of a loop and measures it slice by slice; the footprint lists the slices as its epochs.
///
/// A loop that comes to its end, or to the end of a [`Budget`](super::Budget), completes its last slice; one that is left
/// by `break`, `?` or a panic does not. Nothing is planned: a run that is finished after it is completed.
///
/// It is made by [`Run::slices`](super::Run::slices).
#[must_use = "slices are measured as the iterator is consumed"]
#[derive(Debug)]
pub struct Slices<I> {
    handle: RunHandle,
    steps: I,
    every: Every,
    edges: Edges,
    /// The slice that is open, from 1.
    number: u32,
    is_open: bool,
    /// The steps of the open slice, and when it began.
    taken: u64,
    began: Duration,
}

impl<I> Slices<I> {
    pub(super) fn new(handle: RunHandle, every: Every, steps: I) -> Self {
        handle.sliced(every.name());
        let (edges, began) = (Edges::default(), Duration::ZERO);
        Self { handle, steps, every, edges, number: 0, is_open: false, taken: 0, began }
    }

    /// The run's handle, for wrappers that know more than the loop does.
    #[must_use]
    pub const fn handle(&self) -> &RunHandle {
        &self.handle
    }

    /// Calls `wait` before each edge of a slice, and at no other step: to wait for the devices that train.
    pub fn before_edges(mut self, wait: impl FnMut() + Send + 'static) -> Self {
        self.edges.add(wait);
        self
    }

    fn is_full(&self) -> bool {
        match self.every.0 {
            Length::Steps(steps) => self.taken >= steps,
            Length::Time(time) => self.handle.elapsed().saturating_sub(self.began) >= time,
        }
    }

    fn close(&mut self, completed: bool) {
        if std::mem::take(&mut self.is_open) {
            self.edges.wait();
            self.handle.epoch_ended(completed);
        }
    }

    fn open(&mut self) {
        if self.number == 0 {
            self.edges.wait();
        }
        self.number = self.number.saturating_add(1);
        (self.is_open, self.taken, self.began) = (true, 0, self.handle.elapsed());
        self.handle.epoch_started(self.number);
    }
}

impl<I: Iterator> Iterator for Slices<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        // What it takes to make the first step's batch belongs to the first slice.
        if self.number == 0 {
            self.open();
        }
        let Some(step) = self.steps.next() else {
            self.close(self.taken > 0);
            return None;
        };
        if self.is_full() {
            self.close(true);
        }
        if let Some(reason) = self.handle.over_budget() {
            self.close(true);
            self.handle.stop_early(&reason);
            return None;
        }
        if !self.is_open {
            self.open();
        }
        self.taken += 1;
        Some(step)
    }
}

impl<I> Drop for Slices<I> {
    fn drop(&mut self) {
        if std::thread::panicking() && std::mem::take(&mut self.is_open) {
            self.handle.epoch_ended(false);
        }
        self.close(false);
    }
}
