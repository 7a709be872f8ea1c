//! Loaders that see where a split begins and ends, on the thread that trains.

use std::cell::Cell;
use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;

use crate::course::{Course, Split};

/// Wraps the two loaders of a training so that each split begins and ends where it does, to the microsecond.
///
/// Without them the edges are when Burn's worker tells of them: after it has computed the metrics of up to two batches,
/// and on a GPU perhaps before the board has done its work. Within the
/// [`launch`](crate::Measured::launch) of a measured training these loaders wait for the devices at each edge, on the
/// thread that trains, since a device is waited for thread by thread. Nothing is waited for within a split, and anywhere
/// else they do nothing but hand on.
///
/// They hand on `to_device` and `slice`, so they may wrap others and be wrapped.
///
/// ```
/// use std::sync::Arc;
///
/// use burn::data::dataloader::DataLoader;
/// use burn::train::{InferenceStep, LearnerModel, SupervisedTraining, TrainStep};
/// use sootprint_burn::exact_edges;
///
/// fn training<M: LearnerModel>(
///     train: Arc<dyn DataLoader<<M as TrainStep>::Input>>,
///     valid: Arc<dyn DataLoader<<M as InferenceStep>::Input>>,
/// ) -> SupervisedTraining<M> {
///     let (train, valid) = exact_edges(train, valid);
///     SupervisedTraining::new("artifacts/digits", train, valid)
/// }
/// ```
pub fn exact_edges<T: 'static, V: 'static>(
    train: Arc<dyn DataLoader<T>>,
    valid: Arc<dyn DataLoader<V>>,
) -> (Arc<dyn DataLoader<T>>, Arc<dyn DataLoader<V>>) {
    (Edged::wrap(train, Split::Train), Edged::wrap(valid, Split::Valid))
}

struct Edged<O> {
    loader: Arc<dyn DataLoader<O>>,
    split: Split,
}

impl<O: 'static> Edged<O> {
    fn wrap(loader: Arc<dyn DataLoader<O>>, split: Split) -> Arc<dyn DataLoader<O>> {
        Arc::new(Self { loader, split })
    }
}

impl<O: 'static> DataLoader<O> for Edged<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        // Before the loader begins, since one with threads of its own reads ahead.
        let reading = Course::here().map(|course| Reading::new(course, self.split));
        Box::new(EdgedIterator { batches: self.loader.iter(), reading })
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

struct EdgedIterator<'a, O> {
    batches: Box<dyn DataLoaderIterator<O> + 'a>,
    /// Dropped after the batches.
    reading: Option<Reading>,
}

impl<O> Iterator for EdgedIterator<'_, O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.batches.next();
        if let Some(reading) = &self.reading
            && batch.is_none()
        {
            reading.is_whole.set(true);
        }
        batch
    }
}

impl<O> DataLoaderIterator<O> for EdgedIterator<'_, O> {
    fn progress(&self) -> Progress {
        let progress = self.batches.progress();
        if let Some(reading) = &self.reading {
            reading.items.set(progress.items_processed);
            // A training that is stopped at the last batch does not ask for another.
            reading.is_whole.set(progress.is_completed());
        }
        progress
    }
}

/// A split that is being read on the thread that trains.
struct Reading {
    course: Course,
    split: Split,
    items: Cell<usize>,
    is_whole: Cell<bool>,
}

impl Reading {
    fn new(course: Course, split: Split) -> Self {
        course.enter(split);
        Self { course, split, items: Cell::new(0), is_whole: Cell::new(false) }
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        self.course.leave(self.split, self.items.get(), self.is_whole.get());
    }
}
