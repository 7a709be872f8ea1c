//! Where an epoch begins and ends: on the thread that trains, whatever Burn's worker does meanwhile.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, TensorReadError};
use burn::train::SupervisedTraining;
use burn::train::metric::{Metric, MetricMetadata, MetricName, SerializedEntry};
use sootprint_burn::{MeasuredBy as _, exact_edges};

use super::digits::*;

/// Seconds at a thousand watts that pass on the training thread when it has left the split that it trains on.
const BETWEEN: u64 = 3;

/// A loader around another one; time passes when its split has been left, and somebody is told.
struct Leaving {
    inner: Arc<dyn DataLoader<Batch>>,
    batches: Seconds,
    left: Sender<()>,
}

impl DataLoader<Batch> for Leaving {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<Batch> + 'a> {
        Box::new(LeavingIterator(Some(self.inner.iter()), self))
    }

    fn num_items(&self) -> usize {
        self.inner.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<Batch>> {
        self.around(self.inner.to_device(device))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<Batch>> {
        self.around(self.inner.slice(start, end))
    }
}

impl Leaving {
    fn around(&self, inner: Arc<dyn DataLoader<Batch>>) -> Arc<dyn DataLoader<Batch>> {
        Arc::new(Self { inner, batches: self.batches.clone(), left: self.left.clone() })
    }
}

struct LeavingIterator<'a>(Option<Box<dyn DataLoaderIterator<Batch> + 'a>>, &'a Leaving);

impl Iterator for LeavingIterator<'_> {
    type Item = Result<Batch, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.as_mut().and_then(Iterator::next)
    }
}

impl DataLoaderIterator<Batch> for LeavingIterator<'_> {
    fn progress(&self) -> Progress {
        self.0.as_ref().map(|inner| inner.progress()).unwrap()
    }
}

impl Drop for LeavingIterator<'_> {
    fn drop(&mut self) {
        self.0 = None;
        self.1.batches.pass(BETWEEN);
        self.1.left.send(()).unwrap();
    }
}

/// A metric that is at the last batch of a split until the training thread has long left it.
#[derive(Clone)]
struct Slow {
    seen: usize,
    left: Arc<Mutex<Receiver<()>>>,
}

impl Metric for Slow {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::new("Slow".to_owned())
    }

    fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        self.seen += 1;
        if self.seen == TRAIN_BATCHES {
            self.left.lock().unwrap().recv_timeout(Duration::from_secs(60)).unwrap();
        }
        self.compute()
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(SerializedEntry::not_available(None))
    }

    fn clear(&mut self) {
        self.seen = 0;
    }
}

/// The joules of the splits that are trained on, as Burn's log has them, in two epochs with a slow metric.
fn trained_joules(edges: Edges) -> Vec<f64> {
    let dir = tempfile::tempdir().unwrap();
    let script = [(TRAIN_BATCHES, TRAIN_WATTS), (BETWEEN as usize, 1_000.0), (VALID_BATCHES, VALID_WATTS)];
    let (run, batches) = scripted_by(dir.path(), script);
    let (leave, left) = channel();
    let (train, valid) = (batches.loader(TRAIN_BATCHES), batches.loader(VALID_BATCHES));
    let (train, valid) = match edges {
        Edges::Exact => exact_edges(train, valid),
        Edges::Told => (train, valid),
    };
    // Composed with a loader of the user's around it.
    let train = Arc::new(Leaving { inner: train, batches, left: leave });
    SupervisedTraining::new(dir.path(), train, valid)
        .metric_train(Slow { seen: 0, left: Arc::new(Mutex::new(left)) })
        .num_epochs(2)
        .with_application_logger(None)
        .measured_by(&run)
        .launch(learner());
    drop(run);
    [1, 2].map(|epoch| micro(super::live::last(dir.path(), "train", epoch, "Energy") * 3_600.0)).to_vec()
}

#[test]
fn a_slow_metric_makes_burn_s_word_late_and_exact_edges_do_not_mind() {
    let exact = TRAIN_BATCHES as f64 * TRAIN_WATTS;
    assert_eq!(trained_joules(Edges::Exact), [exact; 2]);
    let told = trained_joules(Edges::Told);
    assert!(
        told.iter().all(|told| *told > exact + 2_000.0),
        "{told:?} J have much of what came after the split"
    );
}

/// Outside of a measured training, and with another one's loaders, they are the loaders that they wrap.
#[test]
fn elsewhere_they_only_hand_on() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    let (train, _) = exact_edges(batches.loader(TRAIN_BATCHES), batches.loader(VALID_BATCHES));
    let train = train.to_device(&Device::flex());
    assert_eq!(train.num_items(), TRAIN_BATCHES * BATCH);
    let half = train.slice(0, 2 * BATCH);
    assert_eq!((half.num_items(), half.iter().count(), train.iter().count()), (2 * BATCH, 2, TRAIN_BATCHES));
    let mut iterator = half.iter();
    assert!(iterator.next().is_some());
    assert_eq!((iterator.progress().items_processed, iterator.progress().items_total), (BATCH, 2 * BATCH));
    assert_eq!(epochs(&run.finish()), []);
}

#[test]
fn trainings_on_two_threads_have_an_epoch_each() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    let beside = std::thread::spawn(|| {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted(dir.path());
        training(dir.path(), &batches, 2, Edges::Exact).measured_by(&run).launch(learner());
        joules(&run.finish())
    });
    training(dir.path(), &batches, 1, Edges::Exact).measured_by(&run).launch(learner());
    assert_eq!(joules(&run.finish()), [EPOCH_JOULES]);
    assert_eq!(beside.join().unwrap(), [EPOCH_JOULES; 2]);
}
