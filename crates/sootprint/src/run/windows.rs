//! The guard around a loop that has no epochs.

use std::time::Duration;

use super::device_sync::DeviceSync;
use super::handle::RunHandle;

/// How long a slice of a loop without epochs is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WindowLength(WindowLimit);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum WindowLimit {
    Steps(u64),
    Duration(Duration),
}

impl WindowLength {
    /// So many steps; at least one.
    #[must_use]
    pub const fn steps(steps: u64) -> Self {
        Self(WindowLimit::Steps(if steps == 0 { 1 } else { steps }))
    }

    /// The first step that begins so long after the slice did begins the next one.
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

/// Goes through the steps of a loop and measures it slice by slice; the footprint lists the slices as its epochs.
///
/// A loop that comes to its end, or to the end of a [`Budget`](super::Budget), completes its last slice; one that is left
/// by `break`, `?` or a panic does not. Nothing is planned: a run that is finished after it is completed.
///
/// It is made by [`Run::windows`](super::Run::windows).
#[must_use = "slices are measured as the iterator is consumed"]
#[derive(Debug)]
pub struct Windows<I> {
    handle: RunHandle,
    steps: I,
    length: WindowLength,
    device_sync: DeviceSync,
    /// The slice that is open, from 1.
    number: u32,
    is_open: bool,
    /// The steps of the open slice, and when it began.
    steps_taken: u64,
    started_at: Duration,
}

impl<I> Windows<I> {
    pub(super) fn new(handle: RunHandle, length: WindowLength, steps: I) -> Self {
        handle.set_window_length(length.description());
        let (device_sync, started_at) = (DeviceSync::default(), Duration::ZERO);
        Self { handle, steps, length, device_sync, number: 0, is_open: false, steps_taken: 0, started_at }
    }

    /// The run's handle, for wrappers that know more than the loop does.
    #[must_use]
    pub const fn handle(&self) -> &RunHandle {
        &self.handle
    }

    /// Calls `wait` before each edge of a slice, and at no other step: to wait for the devices that train.
    pub fn sync_with(mut self, wait: impl FnMut() + Send + 'static) -> Self {
        self.device_sync.add_wait(wait);
        self
    }

    fn is_full(&self) -> bool {
        match self.length.0 {
            WindowLimit::Steps(steps) => self.steps_taken >= steps,
            WindowLimit::Duration(duration) => {
                self.handle.elapsed().saturating_sub(self.started_at) >= duration
            }
        }
    }

    fn close_window(&mut self, completed: bool) {
        if std::mem::take(&mut self.is_open) {
            self.device_sync.wait_for_devices();
            self.handle.end_epoch(completed);
        }
    }

    fn open_window(&mut self) {
        if self.number == 0 {
            self.device_sync.wait_for_devices();
        }
        self.number = self.number.saturating_add(1);
        (self.is_open, self.steps_taken, self.started_at) = (true, 0, self.handle.elapsed());
        self.handle.start_epoch(self.number);
    }
}

impl<I: Iterator> Iterator for Windows<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        // What it takes to make the first step's batch belongs to the first slice.
        if self.number == 0 {
            self.open_window();
        }
        let Some(step) = self.steps.next() else {
            self.close_window(self.steps_taken > 0);
            return None;
        };
        if self.is_full() {
            self.close_window(true);
        }
        if let Some(reason) = self.handle.budget_exceeded() {
            self.close_window(true);
            self.handle.record_early_stop(&reason);
            return None;
        }
        if !self.is_open {
            self.open_window();
        }
        self.steps_taken += 1;
        Some(step)
    }
}

impl<I> Drop for Windows<I> {
    fn drop(&mut self) {
        if std::thread::panicking() && std::mem::take(&mut self.is_open) {
            self.handle.end_epoch(false);
        }
        self.close_window(false);
    }
}
