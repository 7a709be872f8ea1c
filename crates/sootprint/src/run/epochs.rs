//! The guard around a loop over epochs.

use super::handle::RunHandle;

/// Goes through epochs and measures each: epoch k ends when epoch k + 1 is asked for.
///
/// | the loop | its last epoch |
/// |---|---|
/// | comes to its end | is complete |
/// | is left by `break`, `?` or a panic | is not complete |
///
/// It is made by [`Run::epochs`](super::Run::epochs).
#[must_use = "epochs are measured as the iterator is consumed"]
#[derive(Debug)]
pub struct Epochs<I> {
    handle: RunHandle,
    numbers: I,
    is_open: bool,
}

impl<I> Epochs<I>
where
    I: Iterator<Item: Copy + TryInto<u32>>,
{
    pub(super) fn new(handle: RunHandle, numbers: I) -> Self {
        if let (least, Some(most)) = numbers.size_hint()
            && least == most
            && let Ok(epochs) = u32::try_from(most)
        {
            handle.plan_epochs(epochs);
        }
        Self { handle, numbers, is_open: false }
    }
}

impl<I> Epochs<I> {
    /// The run's handle, for wrappers that know more than the loop does.
    #[must_use]
    pub fn handle(&self) -> &RunHandle {
        &self.handle
    }
}

impl<I> Iterator for Epochs<I>
where
    I: Iterator<Item: Copy + TryInto<u32>>,
{
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        if std::mem::take(&mut self.is_open) {
            self.handle.epoch_ended(true);
        }
        let number = self.numbers.next()?;
        // A number that no epoch has is better than none: the epoch is measured all the same.
        self.handle.epoch_started(number.try_into().unwrap_or(u32::MAX));
        self.is_open = true;
        Some(number)
    }
}

impl<I> Drop for Epochs<I> {
    fn drop(&mut self) {
        if self.is_open {
            self.handle.epoch_ended(false);
        }
    }
}

/// Runs one epoch, which is complete when `train` returns `Ok`; a panic leaves it open and incomplete.
pub(super) fn in_scope<T, E>(
    handle: &RunHandle,
    number: u32,
    train: impl FnOnce() -> Result<T, E>,
) -> Result<T, E> {
    struct Open<'a>(&'a RunHandle, bool);

    impl Drop for Open<'_> {
        fn drop(&mut self) {
            self.0.epoch_ended(self.1);
        }
    }

    handle.epoch_started(number);
    let mut open = Open(handle, false);
    let result = train();
    open.1 = result.is_ok();
    result
}
