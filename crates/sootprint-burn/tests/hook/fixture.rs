//! A perceptron that learns digits on the CPU, measured with a scripted source whose clock advances one second per batch.
//!
//! The expected energy is that of the script in the seconds of the batches that were made.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::{Dataset, DatasetError};
use burn::module::Module;
use burn::optim::AdamConfig;
use burn::tensor::Device;
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::store::EventStoreClient;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Interrupter, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use digits::burn::batch::{DigitBatch, DigitBatcher};
use digits::burn::model::DigitClassifier;
use digits::data::DigitImage;
use sootprint::{ComponentKind, Footprint, Power, Replay, Run, RunBuilder, RunHandle, VirtualClock};
use sootprint_burn::instrument_loaders;

pub(crate) const TRAIN_BATCHES: usize = 4;
pub(crate) const VALID_BATCHES: usize = 2;
pub(crate) const BATCHES_PER_EPOCH: usize = TRAIN_BATCHES + VALID_BATCHES;
pub(crate) const BATCH_SIZE: usize = 32;

/// 100 W in training and 400 W in validation: 1,200 J per epoch. A boundary that is one second off changes 300 J.
pub(crate) const TRAIN_WATTS: f64 = 100.0;
pub(crate) const VALID_WATTS: f64 = 400.0;
pub(crate) const EPOCH_JOULES: f64 = 1_200.0;

/// A fault at a batch, counted from 1 over the whole training.
#[derive(Clone, Default)]
pub(crate) enum BatchFault {
    #[default]
    None,
    Panic(usize),
    Interrupt(usize, Interrupter),
}

/// Makes batches on the training thread. Each takes one second.
#[derive(Clone)]
pub(crate) struct TimedBatcher {
    pub(crate) clock: VirtualClock,
    pub(crate) run: RunHandle,
    pub(crate) batches_made: Arc<AtomicUsize>,
    pub(crate) fault: BatchFault,
}

/// A run on a scripted CPU.
pub(crate) fn scripted_run(dir: &Path) -> (Run, TimedBatcher) {
    scripted_run_with(dir, |run| run)
}

/// Like [`scripted_run`], configured before it starts.
pub(crate) fn scripted_run_with(
    dir: &Path,
    configure: impl Fn(RunBuilder) -> RunBuilder,
) -> (Run, TimedBatcher) {
    start_run(dir, [(TRAIN_BATCHES, TRAIN_WATTS), (VALID_BATCHES, VALID_WATTS)], configure)
}

/// A run on a CPU that follows a script of seconds and watts.
pub(crate) fn run_with_script<const N: usize>(dir: &Path, script: [(usize, f64); N]) -> (Run, TimedBatcher) {
    start_run(dir, script, |run| run)
}

fn start_run<const N: usize>(
    dir: &Path,
    script: [(usize, f64); N],
    configure: impl Fn(RunBuilder) -> RunBuilder,
) -> (Run, TimedBatcher) {
    let clock = VirtualClock::default();
    let script =
        script.map(|(seconds, watts)| (Duration::from_secs(seconds as u64), Power::from_watts(watts)));
    let replay =
        Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", script).with_clock(clock.clone());
    let run = configure(Run::pre_training(dir).replay(replay)).start();
    let batches =
        TimedBatcher { clock, run: run.handle(), batches_made: Arc::default(), fault: BatchFault::None };
    (run, batches)
}

impl TimedBatcher {
    /// Advances the clock and flushes, so that live values are exact, too.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        assert!(self.run.flush(Duration::from_secs(60)), "the sampler is running");
    }

    pub(crate) fn batches_made(&self) -> usize {
        self.batches_made.load(Ordering::Relaxed)
    }

    /// A loader of this many batches.
    pub(crate) fn loader(&self, batches: usize) -> Arc<dyn DataLoader<FixtureBatch>> {
        DataLoaderBuilder::new(self.clone())
            .batch_size(BATCH_SIZE)
            .build(DigitDataset { items: batches * BATCH_SIZE, fail_at: None })
    }
}

impl Batcher<DigitImage, FixtureBatch> for TimedBatcher {
    fn batch(&self, digits: Vec<DigitImage>, device: &Device) -> FixtureBatch {
        self.advance(1);
        let batches_made = self.batches_made.fetch_add(1, Ordering::Relaxed) + 1;
        if let BatchFault::Interrupt(at, interrupter) = &self.fault
            && batches_made == *at
        {
            interrupter.stop(Some("enough"));
        }
        FixtureBatch {
            digits: DigitBatcher.batch(digits, device),
            should_panic: matches!(self.fault, BatchFault::Panic(batch) if batches_made == batch),
        }
    }
}

/// The first training images. One of them cannot be read if `fail_at` is set.
pub(crate) struct DigitDataset {
    pub(crate) items: usize,
    pub(crate) fail_at: Option<usize>,
}

impl Dataset<DigitImage> for DigitDataset {
    fn get(&self, index: usize) -> Result<DigitImage, DatasetError> {
        if self.fail_at == Some(index) {
            return Err(DatasetError::new(std::io::Error::other("a damaged image")));
        }
        Ok(train_images()[index].clone())
    }

    fn len(&self) -> usize {
        self.items
    }
}

fn train_images() -> &'static [DigitImage] {
    static IMAGES: OnceLock<Vec<DigitImage>> = OnceLock::new();
    IMAGES.get_or_init(|| digits::data::load().unwrap().0)
}

#[derive(Debug, Clone)]
pub(crate) struct FixtureBatch {
    digits: DigitBatch,
    should_panic: bool,
}

/// The shared classifier, with steps that can panic.
#[derive(Module, Debug)]
pub(crate) struct TestClassifier {
    inner: DigitClassifier,
}

impl TestClassifier {
    pub(crate) fn new(device: &Device) -> Self {
        Self { inner: DigitClassifier::with_hidden_size(32, device) }
    }
}

impl TrainStep for TestClassifier {
    type Input = FixtureBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: FixtureBatch) -> TrainOutput<ClassificationOutput> {
        assert!(!batch.should_panic, "on purpose");
        TrainStep::step(&self.inner, batch.digits)
    }
}

impl InferenceStep for TestClassifier {
    type Input = FixtureBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: FixtureBatch) -> ClassificationOutput {
        assert!(!batch.should_panic, "on purpose");
        InferenceStep::step(&self.inner, batch.digits)
    }
}

/// The source of the split boundaries: instrumented loaders, or Burn's worker.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum BoundaryMode {
    Loader,
    Worker,
}

pub(crate) fn training(
    dir: &Path,
    batches: &TimedBatcher,
    epochs: usize,
    boundaries: BoundaryMode,
) -> SupervisedTraining<TestClassifier> {
    training_with_loaders(
        dir,
        batches.loader(TRAIN_BATCHES),
        batches.loader(VALID_BATCHES),
        epochs,
        boundaries,
    )
}

pub(crate) fn training_with_loaders(
    dir: &Path,
    train: Arc<dyn DataLoader<FixtureBatch>>,
    valid: Arc<dyn DataLoader<FixtureBatch>>,
    epochs: usize,
    boundaries: BoundaryMode,
) -> SupervisedTraining<TestClassifier> {
    let (train, valid) = match boundaries {
        BoundaryMode::Loader => instrument_loaders(train, valid),
        BoundaryMode::Worker => (train, valid),
    };
    SupervisedTraining::new(dir, train, valid)
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .num_epochs(epochs)
        .with_application_logger(None)
}

pub(crate) fn learner() -> Learner<TestClassifier> {
    learner_on(&Device::flex().autodiff())
}

pub(crate) fn learner_on(device: &Device) -> Learner<TestClassifier> {
    Learner::new(TestClassifier::new(device), AdamConfig::new().init(), 1e-2)
}

/// Saves each epoch, which takes as long as an epoch.
pub(crate) struct SlowCheckpointing(pub(crate) TimedBatcher);

impl CheckpointingStrategy for SlowCheckpointing {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        self.0.advance(BATCHES_PER_EPOCH as u64);
        vec![CheckpointingAction::Save]
    }
}

/// The number and completeness of each epoch.
pub(crate) fn epoch_completion(footprint: &Footprint) -> Vec<(u32, bool)> {
    footprint.epochs.iter().map(|epoch| (epoch.epoch, epoch.completed)).collect()
}

/// The energy of each epoch in joules, rounded to a microjoule.
pub(crate) fn epoch_joules(footprint: &Footprint) -> Vec<f64> {
    footprint.epochs.iter().map(|epoch| round_to_micro(epoch.energy.joules())).collect()
}

pub(crate) fn round_to_micro(joules: f64) -> f64 {
    (joules * 1e6).round() / 1e6
}

/// The script's energy in the first seconds of an epoch.
pub(crate) fn joules_of_first_seconds(seconds: usize) -> f64 {
    seconds.min(TRAIN_BATCHES) as f64 * TRAIN_WATTS
        + seconds.saturating_sub(TRAIN_BATCHES) as f64 * VALID_WATTS
}

/// The script's energy in the first seconds of the run.
pub(crate) fn joules_after_seconds(seconds: usize) -> f64 {
    (seconds / BATCHES_PER_EPOCH) as f64 * EPOCH_JOULES + joules_of_first_seconds(seconds % BATCHES_PER_EPOCH)
}
