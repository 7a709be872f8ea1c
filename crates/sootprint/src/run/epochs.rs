//! An iterator that measures the epochs of a training loop.

use super::handle::RunHandle;
use super::loop_epoch::LoopEpoch;

/// An iterator over epoch numbers that measures each epoch: epoch k ends when the loop asks for epoch k + 1.
///
/// | how the loop ends | its last epoch |
/// |---|---|
/// | the iterator is exhausted | complete |
/// | `break`, `?` or a panic | incomplete |
///
/// A [`Budget`](super::Budget) with [`stop_when_exceeded`](super::Budget::stop_when_exceeded) also ends the loop,
/// between two epochs; the status of the run is then [`StoppedEarly`](sootprint_core::RunStatus::StoppedEarly).
///
/// Created by [`Run::epochs`](super::Run::epochs).
#[must_use = "epochs are measured as the iterator is consumed"]
#[derive(Debug)]
pub struct Epochs<I> {
    numbers: I,
    epoch: LoopEpoch,
}

impl<I> Epochs<I>
where
    I: Iterator<Item: Copy + TryInto<u32>>,
{
    pub(crate) fn new(handle: RunHandle, numbers: I) -> Self {
        if let (lower, Some(upper)) = numbers.size_hint()
            && lower == upper
            && let Ok(planned) = u32::try_from(upper)
        {
            handle.set_planned_epochs(planned);
        }
        Self { numbers, epoch: LoopEpoch::new(handle) }
    }
}

impl<I> Epochs<I> {
    /// A handle to the run, for integrations that wrap the loop.
    #[must_use]
    pub const fn handle(&self) -> &RunHandle {
        self.epoch.handle()
    }

    /// Adds the function `wait`, which is called before each epoch boundary, but not after a panic. It should wait for
    /// the training devices, so that work queued in an epoch is counted in that epoch.
    pub fn sync_with(mut self, wait: impl FnMut() + Send + 'static) -> Self {
        self.epoch.sync_with(wait);
        self
    }
}

impl<I> Iterator for Epochs<I>
where
    I: Iterator<Item: Copy + TryInto<u32>>,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.epoch.end(true);
        // The budget is checked only if an epoch remains: a finished loop cannot stop early.
        let number = self.numbers.next()?;
        if self.epoch.stop_if_budget_exceeded() {
            return None;
        }
        // An epoch whose number does not fit is still measured.
        self.epoch.start(number.try_into().unwrap_or(u32::MAX));
        Some(number)
    }
}

/// Runs one epoch. It is complete if `train` returns `Ok`, and incomplete after an error or a panic.
pub(crate) fn run_epoch<T, E>(
    handle: RunHandle,
    number: u32,
    train: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    let mut epoch = LoopEpoch::new(handle);
    epoch.start(number);
    let result = train();
    epoch.end(result.is_ok());
    result
}
