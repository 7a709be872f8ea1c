//! Epoch boundaries are observed on the training thread, independently of Burn's worker.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, TensorReadError};
use burn::train::SupervisedTraining;
use burn::train::metric::{Metric, MetricMetadata, MetricName, SerializedEntry};
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

use super::fixture::*;

/// Time at 1,000 W that passes on the training thread after a training split.
const SECONDS_BETWEEN_SPLITS: u64 = 3;

/// Wraps a loader. After its split, it advances the clock and signals `exited_tx`.
struct DelayedExitLoader {
    inner: Arc<dyn DataLoader<FixtureBatch>>,
    batches: TimedBatcher,
    exited_tx: Sender<()>,
}

impl DataLoader<FixtureBatch> for DelayedExitLoader {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<FixtureBatch> + 'a> {
        Box::new(DelayedExitIterator(Some(self.inner.iter()), self))
    }

    fn num_items(&self) -> usize {
        self.inner.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<FixtureBatch>> {
        self.wrap(self.inner.to_device(device))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<FixtureBatch>> {
        self.wrap(self.inner.slice(start, end))
    }
}

impl DelayedExitLoader {
    fn wrap(&self, inner: Arc<dyn DataLoader<FixtureBatch>>) -> Arc<dyn DataLoader<FixtureBatch>> {
        Arc::new(Self { inner, batches: self.batches.clone(), exited_tx: self.exited_tx.clone() })
    }
}

struct DelayedExitIterator<'a>(Option<Box<dyn DataLoaderIterator<FixtureBatch> + 'a>>, &'a DelayedExitLoader);

impl Iterator for DelayedExitIterator<'_> {
    type Item = Result<FixtureBatch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut().and_then(Iterator::next)
    }
}

impl DataLoaderIterator<FixtureBatch> for DelayedExitIterator<'_> {
    fn progress(&self) -> Progress {
        self.0.as_ref().map(|inner| inner.progress()).unwrap()
    }
}

impl Drop for DelayedExitIterator<'_> {
    fn drop(&mut self) {
        self.0 = None;
        self.1.batches.advance(SECONDS_BETWEEN_SPLITS);
        self.1.exited_tx.send(()).unwrap();
    }
}

/// A metric that blocks at the last batch of a split until the training thread has left the split.
#[derive(Clone)]
struct SlowMetric {
    updates_seen: usize,
    exited_rx: Arc<Mutex<Receiver<()>>>,
}

impl Metric for SlowMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::new("Slow".to_owned())
    }

    fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        self.updates_seen += 1;
        if self.updates_seen == TRAIN_BATCHES {
            self.exited_rx.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
        }
        self.compute()
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(SerializedEntry::not_available(None))
    }

    fn clear(&mut self) {
        self.updates_seen = 0;
    }
}

/// The energy of the training splits of two epochs in Burn's log, in joules, with a slow metric.
fn logged_train_joules(boundaries: BoundaryMode) -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let script = [
        (TRAIN_BATCHES, TRAIN_WATTS),
        (SECONDS_BETWEEN_SPLITS as usize, 1_000.0),
        (VALID_BATCHES, VALID_WATTS),
    ];
    let (run, batches) = run_with_script(dir.path(), script);
    let (exited_tx, exited_rx) = channel();
    let (train, valid) = (batches.loader(TRAIN_BATCHES), batches.loader(VALID_BATCHES));
    let (train, valid) = match boundaries {
        BoundaryMode::Loader => instrument_loaders(train, valid),
        BoundaryMode::Worker => (train, valid),
    };
    // The instrumented loader is wrapped by another one.
    let train = Arc::new(DelayedExitLoader { inner: train, batches, exited_tx });
    SupervisedTraining::new(dir.path(), train, valid)
        .metric_train(SlowMetric { updates_seen: 0, exited_rx: Arc::new(Mutex::new(exited_rx)) })
        .num_epochs(2)
        .with_application_logger(None)
        .track_emissions(&run)
        .launch(learner());
    drop(run);
    [1, 2]
        .map(|epoch| {
            round_to_micro(super::logging::final_value(dir.path(), "train", epoch, "Energy") * 3_600.0)
        })
        .to_vec()
}

#[test]
fn instrumented_loaders_ignore_slow_metrics() {
    let exact_joules = TRAIN_BATCHES as f64 * TRAIN_WATTS;
    assert_eq!(logged_train_joules(BoundaryMode::Loader), [exact_joules; 2]);
    let late_joules = logged_train_joules(BoundaryMode::Worker);
    assert!(
        late_joules.iter().all(|joules| *joules > exact_joules + 2_000.0),
        "{late_joules:?} J include most of the time after the split"
    );
}

/// Outside a tracked training, instrumented loaders behave like the loaders that they wrap.
#[test]
fn instrumented_loaders_forward_outside_training() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    let (train, _) = instrument_loaders(batches.loader(TRAIN_BATCHES), batches.loader(VALID_BATCHES));
    let train = train.to_device(&Device::flex());
    assert_eq!(train.num_items(), TRAIN_BATCHES * BATCH_SIZE);
    let half = train.slice(0, 2 * BATCH_SIZE);
    assert_eq!(
        (half.num_items(), half.iter().count(), train.iter().count()),
        (2 * BATCH_SIZE, 2, TRAIN_BATCHES)
    );
    let mut iterator = half.iter();
    assert!(iterator.next().is_some());
    assert_eq!(
        (iterator.progress().items_processed, iterator.progress().items_total),
        (BATCH_SIZE, 2 * BATCH_SIZE)
    );
    assert_eq!(epoch_completion(&run.finish()), []);
}

#[test]
fn concurrent_trainings_keep_separate_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    let other_training = std::thread::spawn(|| {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run(dir.path());
        training(dir.path(), &batches, 2, BoundaryMode::Loader).track_emissions(&run).launch(learner());
        epoch_joules(&run.finish())
    });
    training(dir.path(), &batches, 1, BoundaryMode::Loader).track_emissions(&run).launch(learner());
    assert_eq!(epoch_joules(&run.finish()), [EPOCH_JOULES]);
    assert_eq!(other_training.join().unwrap(), [EPOCH_JOULES; 2]);
}
