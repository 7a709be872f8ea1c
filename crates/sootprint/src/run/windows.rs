//! An iterator that measures a training loop without epochs.

use std::time::Duration;

use super::handle::RunHandle;
use super::loop_epoch::LoopEpoch;

/// An iterator over the steps of a loop without epochs. It measures the loop window by window; the footprint lists the
/// windows as its epochs.
///
/// The last window is complete if the iterator is exhausted or a [`Budget`](super::Budget) ends the loop, and
/// incomplete after `break`, `?` or a panic. The number of windows is not planned, so a run that finishes after `break`
/// is recorded as completed; if a budget ended the loop, it is recorded as stopped early.
///
/// Created by [`Run::windows`](super::Run::windows).
#[must_use = "windows are measured as the iterator is consumed"]
#[derive(Debug)]
pub struct Windows<I> {
    steps: I,
    length: WindowLength,
    window: LoopEpoch,
    /// The number of the latest window, from 1; 0 before the first.
    number: u32,
    /// The steps taken in the open window, and when it started.
    steps_taken: u64,
    started_at: Duration,
}

/// The length of a window of a loop without epochs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLength(WindowLimit);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindowLimit {
    Steps(u64),
    Duration(Duration),
}

impl<I> Windows<I> {
    pub(crate) fn new(handle: RunHandle, length: WindowLength, steps: I) -> Self {
        handle.set_window_length(length.description());
        let window = LoopEpoch::new(handle);
        Self { steps, length, window, number: 0, steps_taken: 0, started_at: Duration::ZERO }
    }

    /// A handle to the run, for integrations that wrap the loop.
    #[must_use]
    pub const fn handle(&self) -> &RunHandle {
        self.window.handle()
    }

    /// Adds the function `wait`, which is called only before window boundaries, not before every step, and not after a
    /// panic. It should wait for the training devices, so that work queued in a window is counted in that window.
    pub fn sync_with(mut self, wait: impl FnMut() + Send + 'static) -> Self {
        self.window.sync_with(wait);
        self
    }

    fn is_full(&self) -> bool {
        match self.length.0 {
            WindowLimit::Steps(steps) => self.steps_taken >= steps,
            WindowLimit::Duration(duration) => {
                self.handle().elapsed().saturating_sub(self.started_at) >= duration
            }
        }
    }

    fn start_window(&mut self) {
        self.number = self.number.saturating_add(1);
        self.window.start(self.number);
        (self.steps_taken, self.started_at) = (0, self.handle().elapsed());
    }
}

impl<I: Iterator> Iterator for Windows<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        // The first window starts before the first step is fetched, so that it includes making the first batch.
        if self.number == 0 {
            self.start_window();
        }
        let Some(step) = self.steps.next() else {
            self.window.end(self.steps_taken > 0);
            return None;
        };
        if self.is_full() {
            self.window.end(true);
        }
        if self.window.stop_if_budget_exceeded() {
            return None;
        }
        if !self.window.is_open() {
            self.start_window();
        }
        self.steps_taken += 1;
        Some(step)
    }
}

impl WindowLength {
    /// Creates a window length of this many steps; 0 counts as 1.
    #[must_use]
    pub const fn steps(steps: u64) -> Self {
        Self(WindowLimit::Steps(if steps == 0 { 1 } else { steps }))
    }

    /// Creates a window length in time: a window ends at the first step boundary after this duration.
    #[must_use]
    pub const fn duration(duration: Duration) -> Self {
        Self(WindowLimit::Duration(duration))
    }

    fn description(self) -> String {
        match self.0 {
            WindowLimit::Steps(1) => "1 step".to_owned(),
            WindowLimit::Steps(steps) => format!("{steps} steps"),
            WindowLimit::Duration(duration) => format!("{} s", duration.as_secs_f64()),
        }
    }
}
