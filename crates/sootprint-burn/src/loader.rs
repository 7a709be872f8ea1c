//! Loaders that observe the boundaries of splits on the training thread.
//!
//! Burn's worker reports the end of a split late, and a device must be synchronised by the thread that queued its work.
//! A loader is read on that thread. It finds its training through a thread-local that is set during `launch`, so users
//! pass nothing to it. Where other threads read it, as with distributed data parallelism, it only forwards.

use std::cell::Cell;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;

use crate::epoch_tracker::{EpochSplit, EpochTracker};

/// Wraps the two loaders of a training so that the boundaries of each split (the training and the validation of an
/// epoch) are exact.
///
/// Without these loaders, a boundary is the time at which Burn's worker reports it: after the worker has computed the
/// metrics of up to two batches, and on a GPU possibly before the GPU has finished its work. Within the
/// [`launch`](crate::TrackedTraining::launch) of a tracked training, these loaders synchronise the devices at each
/// boundary on the training thread. They never wait within a split. Outside a tracked training, they only forward to
/// the wrapped loaders.
///
/// `to_device` and `slice` are forwarded too, so these loaders can wrap other loaders and be wrapped.
///
/// ```
/// use std::sync::Arc;
///
/// use burn::data::dataloader::DataLoader;
/// use burn::train::{InferenceStep, LearnerModel, SupervisedTraining, TrainStep};
/// use sootprint_burn::instrument_loaders;
///
/// fn training<M: LearnerModel>(
///     train: Arc<dyn DataLoader<<M as TrainStep>::Input>>,
///     valid: Arc<dyn DataLoader<<M as InferenceStep>::Input>>,
/// ) -> SupervisedTraining<M> {
///     let (train, valid) = instrument_loaders(train, valid);
///     SupervisedTraining::new("artifacts/digits", train, valid)
/// }
/// ```
pub fn instrument_loaders<T: 'static, V: 'static>(
    train: Arc<dyn DataLoader<T>>,
    valid: Arc<dyn DataLoader<V>>,
) -> (Arc<dyn DataLoader<T>>, Arc<dyn DataLoader<V>>) {
    (InstrumentedLoader::wrap(train, EpochSplit::Train), InstrumentedLoader::wrap(valid, EpochSplit::Valid))
}

struct InstrumentedLoader<O> {
    loader: Arc<dyn DataLoader<O>>,
    split: EpochSplit,
}

impl<O: 'static> InstrumentedLoader<O> {
    fn wrap(loader: Arc<dyn DataLoader<O>>, split: EpochSplit) -> Arc<dyn DataLoader<O>> {
        Arc::new(Self { loader, split })
    }
}

impl<O: 'static> DataLoader<O> for InstrumentedLoader<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        // Before the inner iterator starts: a multi-threaded loader reads ahead.
        let split_guard = EpochTracker::current().map(|tracker| SplitGuard::new(tracker, self.split));
        Box::new(InstrumentedIterator { batches: self.loader.iter(), split_guard })
    }

    fn num_items(&self) -> usize {
        self.loader.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        Self::wrap(self.loader.to_device(device), self.split)
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        Self::wrap(self.loader.slice(start, end), self.split)
    }
}

struct InstrumentedIterator<'a, O> {
    batches: Box<dyn DataLoaderIterator<O> + 'a>,
    /// Declared after `batches`, so that it is dropped last.
    split_guard: Option<SplitGuard>,
}

impl<O> Iterator for InstrumentedIterator<'_, O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next();
        if let Some(guard) = &self.split_guard
            && batch.is_none()
        {
            guard.is_complete.set(true);
        }
        batch
    }
}

impl<O> DataLoaderIterator<O> for InstrumentedIterator<'_, O> {
    fn progress(&self) -> Progress {
        let progress = self.batches.progress();
        if let Some(guard) = &self.split_guard {
            guard.items.set(progress.items_processed);
            // A training that stops at the last batch never polls for another one.
            guard.is_complete.set(progress.is_completed());
        }
        progress
    }
}

/// A split that is being read on the training thread.
struct SplitGuard {
    tracker: EpochTracker,
    split: EpochSplit,
    items: Cell<usize>,
    is_complete: Cell<bool>,
}

impl SplitGuard {
    fn new(tracker: EpochTracker, split: EpochSplit) -> Self {
        tracker.on_loader_start(split);
        Self { tracker, split, items: Cell::new(0), is_complete: Cell::new(false) }
    }
}

impl Drop for SplitGuard {
    fn drop(&mut self) {
        self.tracker.on_loader_end(self.split, self.items.get(), self.is_complete.get());
    }
}
