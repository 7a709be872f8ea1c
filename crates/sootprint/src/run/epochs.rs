//! The guard around a loop over epochs.

use super::device_sync::DeviceSync;
use super::handle::RunHandle;

/// Goes through epochs and measures each: epoch k ends when epoch k + 1 is asked for.
///
/// | the loop | its last epoch |
/// |---|---|
/// | comes to its end | is complete |
/// | is left by `break`, `?` or a panic | is not complete |
///
/// A [`Budget`](super::Budget) that stops ends it too, between two epochs; the run is then stopped early.
///
/// It is made by [`Run::epochs`](super::Run::epochs).
#[must_use = "epochs are measured as the iterator is consumed"]
#[derive(Debug)]
pub struct Epochs<I> {
    handle: RunHandle,
    numbers: I,
    device_sync: DeviceSync,
    is_open: bool,
}

impl<I> Epochs<I>
where
    I: Iterator<Item: Copy + TryInto<u32>>,
{
    pub(super) fn new(handle: RunHandle, numbers: I) -> Self {
        if let (lower, Some(upper)) = numbers.size_hint()
            && lower == upper
            && let Ok(planned) = u32::try_from(upper)
        {
            handle.set_planned_epochs(planned);
        }
        Self { handle, numbers, device_sync: DeviceSync::default(), is_open: false }
    }
}

impl<I> Epochs<I> {
    /// The run's handle, for wrappers that know more than the loop does.
    #[must_use]
    pub const fn handle(&self) -> &RunHandle {
        &self.handle
    }

    /// Calls `wait` before each edge of an epoch: to wait for the devices that train, so that what they were given
    /// belongs to the epoch that ends. It is not called after a panic.
    pub fn sync_with(mut self, wait: impl FnMut() + Send + 'static) -> Self {
        self.device_sync.add_wait(wait);
        self
    }
}

impl<I> Iterator for Epochs<I>
where
    I: Iterator<Item: Copy + TryInto<u32>>,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.device_sync.wait_for_devices();
        if std::mem::take(&mut self.is_open) {
            self.handle.end_epoch(true);
        }
        // Who has done all epochs has nothing left to stop.
        let number = self.numbers.next()?;
        if let Some(reason) = self.handle.budget_exceeded() {
            self.handle.record_early_stop(&reason);
            return None;
        }
        // A number that no epoch has is better than none: the epoch is measured all the same.
        self.handle.start_epoch(number.try_into().unwrap_or(u32::MAX));
        self.is_open = true;
        Some(number)
    }
}

impl<I> Drop for Epochs<I> {
    fn drop(&mut self) {
        if self.is_open {
            if !std::thread::panicking() {
                self.device_sync.wait_for_devices();
            }
            self.handle.end_epoch(false);
        }
    }
}

/// Runs one epoch, which is complete when `train` returns `Ok`; a panic leaves it open and incomplete.
pub(super) fn run_epoch<T, E>(
    handle: &RunHandle,
    number: u32,
    train: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    struct EpochGuard<'a>(&'a RunHandle, bool);

    impl Drop for EpochGuard<'_> {
        fn drop(&mut self) {
            self.0.end_epoch(self.1);
        }
    }

    handle.start_epoch(number);
    let mut guard = EpochGuard(handle, false);
    let result = train();
    guard.1 = result.is_ok();
    result
}
