//! A perceptron that learns handwritten digits on the processor, on a script whose clock moves a second with each batch.
//!
//! The truth is known: what the script draws in the seconds of the batches that were made.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::{Dataset, DatasetError};
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::checkpoint::{CheckpointingAction, CheckpointingStrategy};
use burn::train::metric::store::EventStoreClient;
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{
    ClassificationOutput, InferenceStep, Interrupter, Learner, SupervisedTraining, TrainOutput, TrainStep,
};
use flate2::read::GzDecoder;
use sootprint::{ComponentKind, Footprint, Power, Replay, Run, RunBuilder, RunHandle, VirtualClock};
use sootprint_burn::instrument_loaders;

pub(crate) const TRAIN_BATCHES: usize = 4;
pub(crate) const VALID_BATCHES: usize = 2;
pub(crate) const BATCHES_PER_EPOCH: usize = TRAIN_BATCHES + VALID_BATCHES;
pub(crate) const BATCH_SIZE: usize = 32;

/// 100 W while an epoch trains, and 400 W while it validates: 1,200 J. An edge that is a second off is 300 J off.
pub(crate) const TRAIN_WATTS: f64 = 100.0;
pub(crate) const VALID_WATTS: f64 = 400.0;
pub(crate) const EPOCH_JOULES: f64 = 1_200.0;

/// What happens at a batch of this number, counted from 1 over the whole training.
#[derive(Clone, Default)]
pub(crate) enum BatchFault {
    #[default]
    None,
    Panic(usize),
    Interrupt(usize, Interrupter),
}

/// Makes batches on the training thread; each takes a second.
#[derive(Clone)]
pub(crate) struct TimedBatcher {
    pub(crate) clock: VirtualClock,
    pub(crate) run: RunHandle,
    pub(crate) batches_made: Arc<AtomicUsize>,
    pub(crate) fault: BatchFault,
}

/// A run on a scripted processor.
pub(crate) fn scripted_run(dir: &Path) -> (Run, TimedBatcher) {
    scripted_run_with(dir, |run| run)
}

/// The same, told more before it starts.
pub(crate) fn scripted_run_with(
    dir: &Path,
    configure: impl Fn(RunBuilder) -> RunBuilder,
) -> (Run, TimedBatcher) {
    start_run(dir, [(TRAIN_BATCHES, TRAIN_WATTS), (VALID_BATCHES, VALID_WATTS)], configure)
}

/// A run on a processor that follows a script of seconds and watts.
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
    /// Lets time pass, and the meter read it: then the live figures are exact, too.
    pub(crate) fn advance(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        assert!(self.run.flush(Duration::from_secs(60)), "the meter reads");
    }

    pub(crate) fn batches_made(&self) -> usize {
        self.batches_made.load(Ordering::Relaxed)
    }

    /// Loaders of so many batches.
    pub(crate) fn loader(&self, batches: usize) -> Arc<dyn DataLoader<FixtureBatch>> {
        DataLoaderBuilder::new(self.clone())
            .batch_size(BATCH_SIZE)
            .build(DigitDataset { items: batches * BATCH_SIZE, fail_at: None })
    }
}

impl Batcher<TestDigit, FixtureBatch> for TimedBatcher {
    fn batch(&self, digits: Vec<TestDigit>, device: &Device) -> FixtureBatch {
        self.advance(1);
        let batches_made = self.batches_made.fetch_add(1, Ordering::Relaxed) + 1;
        if let BatchFault::Interrupt(at, interrupter) = &self.fault
            && batches_made == *at
        {
            interrupter.stop(Some("enough"));
        }
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<i32> = digits.iter().map(|digit| digit.class).collect();
        FixtureBatch {
            pixels: Tensor::from_data(TensorData::new(pixels, [digits.len(), 64]), device),
            classes: Tensor::from_data(TensorData::new(classes, [digits.len()]), device),
            should_panic: matches!(self.fault, BatchFault::Panic(batch) if batches_made == batch),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct TestDigit {
    pixels: [f32; 64],
    class: i32,
}

/// The first images of the file; one of them cannot be read, if a test says so.
pub(crate) struct DigitDataset {
    pub(crate) items: usize,
    pub(crate) fail_at: Option<usize>,
}

impl Dataset<TestDigit> for DigitDataset {
    fn get(&self, index: usize) -> Result<TestDigit, DatasetError> {
        if self.fail_at == Some(index) {
            return Err(DatasetError::new(std::io::Error::other("a damaged image")));
        }
        Ok(digit_images()[index].clone())
    }

    fn len(&self) -> usize {
        self.items
    }
}

fn digit_images() -> &'static [TestDigit] {
    static IMAGES: std::sync::OnceLock<Vec<TestDigit>> = std::sync::OnceLock::new();
    IMAGES.get_or_init(|| {
        let file =
            GzDecoder::new(include_bytes!("../../../../examples/digits/data/digits.csv.gz").as_slice());
        let text = std::io::read_to_string(file).unwrap();
        text.lines().map(parse_digit).collect()
    })
}

fn parse_digit(line: &str) -> TestDigit {
    let values: Vec<u8> = line.split(',').map(|value| value.trim().parse().unwrap()).collect();
    let pixels = std::array::from_fn(|pixel| f32::from(values[pixel]) / 16.0);
    TestDigit { pixels, class: i32::from(values[64]) }
}

#[derive(Debug, Clone)]
pub(crate) struct FixtureBatch {
    pub(crate) pixels: Tensor<2>,
    classes: Tensor<1, Int>,
    should_panic: bool,
}

#[derive(Module, Debug)]
pub(crate) struct TestClassifier {
    hidden: Linear,
    output: Linear,
    activation: Relu,
}

impl TestClassifier {
    pub(crate) fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(64, 32).init(device),
            output: LinearConfig::new(32, 10).init(device),
            activation: Relu::new(),
        }
    }

    pub(crate) fn classify(&self, batch: FixtureBatch) -> ClassificationOutput {
        assert!(!batch.should_panic, "on purpose");
        let output = self.output.forward(self.activation.forward(self.hidden.forward(batch.pixels)));
        let loss = CrossEntropyLossConfig::new()
            .init(&output.device())
            .forward(output.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, output, batch.classes)
    }
}

impl TrainStep for TestClassifier {
    type Input = FixtureBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: FixtureBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for TestClassifier {
    type Input = FixtureBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: FixtureBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// Whether the edges are exact, or what Burn's worker tells.
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

/// Saves each epoch, and takes as long as an epoch.
pub(crate) struct SlowCheckpointing(pub(crate) TimedBatcher);

impl CheckpointingStrategy for SlowCheckpointing {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        self.0.advance(BATCHES_PER_EPOCH as u64);
        vec![CheckpointingAction::Save]
    }
}

/// Number and completeness of each epoch.
pub(crate) fn epoch_completion(footprint: &Footprint) -> Vec<(u32, bool)> {
    footprint.epochs.iter().map(|epoch| (epoch.epoch, epoch.completed)).collect()
}

/// Joules of each epoch, to a microjoule.
pub(crate) fn epoch_joules(footprint: &Footprint) -> Vec<f64> {
    footprint.epochs.iter().map(|epoch| round_to_micro(epoch.energy.joules())).collect()
}

pub(crate) fn round_to_micro(joules: f64) -> f64 {
    (joules * 1e6).round() / 1e6
}

/// What the script draws in the first seconds of an epoch.
pub(crate) fn joules_of_first_seconds(seconds: usize) -> f64 {
    seconds.min(TRAIN_BATCHES) as f64 * TRAIN_WATTS
        + seconds.saturating_sub(TRAIN_BATCHES) as f64 * VALID_WATTS
}

/// What the script draws in so many seconds from the beginning.
pub(crate) fn joules_after_seconds(seconds: usize) -> f64 {
    (seconds / BATCHES_PER_EPOCH) as f64 * EPOCH_JOULES + joules_of_first_seconds(seconds % BATCHES_PER_EPOCH)
}
