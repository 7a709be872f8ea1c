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
use sootprint::{Footprint, Kind, Power, Replay, Run, RunBuilder, RunHandle, VirtualClock};
use sootprint_burn::exact_edges;

pub(crate) const TRAIN_BATCHES: usize = 4;
pub(crate) const VALID_BATCHES: usize = 2;
pub(crate) const BATCHES: usize = TRAIN_BATCHES + VALID_BATCHES;
pub(crate) const BATCH: usize = 32;

/// 100 W while an epoch trains, and 400 W while it validates: 1,200 J. An edge that is a second off is 300 J off.
pub(crate) const TRAIN_WATTS: f64 = 100.0;
pub(crate) const VALID_WATTS: f64 = 400.0;
pub(crate) const EPOCH_JOULES: f64 = 1_200.0;

/// What happens at a batch of this number, counted from 1 over the whole training.
#[derive(Clone, Default)]
pub(crate) enum Incident {
    #[default]
    None,
    Panic(usize),
    Interrupt(usize, Interrupter),
}

/// Makes batches on the training thread; each takes a second.
#[derive(Clone)]
pub(crate) struct Seconds {
    pub(crate) clock: VirtualClock,
    pub(crate) run: RunHandle,
    pub(crate) made: Arc<AtomicUsize>,
    pub(crate) incident: Incident,
}

/// A run on a scripted processor.
pub(crate) fn scripted(dir: &Path) -> (Run, Seconds) {
    scripted_with(dir, |run| run)
}

/// The same, told more before it starts.
pub(crate) fn scripted_with(dir: &Path, told: impl Fn(RunBuilder) -> RunBuilder) -> (Run, Seconds) {
    start(dir, [(TRAIN_BATCHES, TRAIN_WATTS), (VALID_BATCHES, VALID_WATTS)], told)
}

/// A run on a processor that follows a script of seconds and watts.
pub(crate) fn scripted_by<const N: usize>(dir: &Path, script: [(usize, f64); N]) -> (Run, Seconds) {
    start(dir, script, |run| run)
}

fn start<const N: usize>(
    dir: &Path,
    script: [(usize, f64); N],
    told: impl Fn(RunBuilder) -> RunBuilder,
) -> (Run, Seconds) {
    let clock = VirtualClock::default();
    let script =
        script.map(|(seconds, watts)| (Duration::from_secs(seconds as u64), Power::from_watts(watts)));
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", script).on_clock(clock.clone());
    let run = told(Run::pre_training(dir).replay(replay)).start();
    let batches = Seconds { clock, run: run.handle(), made: Arc::default(), incident: Incident::None };
    (run, batches)
}

impl Seconds {
    /// Lets time pass, and the meter read it: then the live figures are exact, too.
    pub(crate) fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        assert!(self.run.settle(Duration::from_secs(60)), "the meter reads");
    }

    pub(crate) fn made(&self) -> usize {
        self.made.load(Ordering::Relaxed)
    }

    /// Loaders of so many batches.
    pub(crate) fn loader(&self, batches: usize) -> Arc<dyn DataLoader<Batch>> {
        DataLoaderBuilder::new(self.clone())
            .batch_size(BATCH)
            .build(Digits { items: batches * BATCH, fail_at: None })
    }
}

impl Batcher<Digit, Batch> for Seconds {
    fn batch(&self, digits: Vec<Digit>, device: &Device) -> Batch {
        self.pass(1);
        let made = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        if let Incident::Interrupt(at, interrupter) = &self.incident
            && made == *at
        {
            interrupter.stop(Some("enough"));
        }
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<i32> = digits.iter().map(|digit| digit.class).collect();
        Batch {
            pixels: Tensor::from_data(TensorData::new(pixels, [digits.len(), 64]), device),
            classes: Tensor::from_data(TensorData::new(classes, [digits.len()]), device),
            panics: matches!(self.incident, Incident::Panic(at) if made == at),
        }
    }
}

#[derive(Debug, Clone)]
pub(crate) struct Digit {
    pixels: [f32; 64],
    class: i32,
}

/// The first images of the file; one of them cannot be read, if a test says so.
pub(crate) struct Digits {
    pub(crate) items: usize,
    pub(crate) fail_at: Option<usize>,
}

impl Dataset<Digit> for Digits {
    fn get(&self, index: usize) -> Result<Digit, DatasetError> {
        if self.fail_at == Some(index) {
            return Err(DatasetError::new(std::io::Error::other("a damaged image")));
        }
        Ok(images()[index].clone())
    }

    fn len(&self) -> usize {
        self.items
    }
}

fn images() -> &'static [Digit] {
    static IMAGES: std::sync::OnceLock<Vec<Digit>> = std::sync::OnceLock::new();
    IMAGES.get_or_init(|| {
        let file =
            GzDecoder::new(include_bytes!("../../../../examples/digits/data/digits.csv.gz").as_slice());
        let text = std::io::read_to_string(file).unwrap();
        text.lines().map(parse).collect()
    })
}

fn parse(line: &str) -> Digit {
    let values: Vec<u8> = line.split(',').map(|value| value.trim().parse().unwrap()).collect();
    let pixels = std::array::from_fn(|pixel| f32::from(values[pixel]) / 16.0);
    Digit { pixels, class: i32::from(values[64]) }
}

#[derive(Debug, Clone)]
pub(crate) struct Batch {
    pub(crate) pixels: Tensor<2>,
    classes: Tensor<1, Int>,
    panics: bool,
}

#[derive(Module, Debug)]
pub(crate) struct Perceptron {
    hidden: Linear,
    output: Linear,
    activation: Relu,
}

impl Perceptron {
    pub(crate) fn new(device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(64, 32).init(device),
            output: LinearConfig::new(32, 10).init(device),
            activation: Relu::new(),
        }
    }

    pub(crate) fn classify(&self, batch: Batch) -> ClassificationOutput {
        assert!(!batch.panics, "on purpose");
        let output = self.output.forward(self.activation.forward(self.hidden.forward(batch.pixels)));
        let loss = CrossEntropyLossConfig::new()
            .init(&output.device())
            .forward(output.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, output, batch.classes)
    }
}

impl TrainStep for Perceptron {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Perceptron {
    type Input = Batch;
    type Output = ClassificationOutput;

    fn step(&self, batch: Batch) -> ClassificationOutput {
        self.classify(batch)
    }
}

/// Whether the edges are exact, or what Burn's worker tells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Edges {
    Exact,
    Told,
}

pub(crate) fn training(
    dir: &Path,
    batches: &Seconds,
    epochs: usize,
    edges: Edges,
) -> SupervisedTraining<Perceptron> {
    training_on(dir, batches.loader(TRAIN_BATCHES), batches.loader(VALID_BATCHES), epochs, edges)
}

pub(crate) fn training_on(
    dir: &Path,
    train: Arc<dyn DataLoader<Batch>>,
    valid: Arc<dyn DataLoader<Batch>>,
    epochs: usize,
    edges: Edges,
) -> SupervisedTraining<Perceptron> {
    let (train, valid) = match edges {
        Edges::Exact => exact_edges(train, valid),
        Edges::Told => (train, valid),
    };
    SupervisedTraining::new(dir, train, valid)
        .metrics((LossMetric::new(), AccuracyMetric::new()))
        .num_epochs(epochs)
        .with_application_logger(None)
}

pub(crate) fn learner() -> Learner<Perceptron> {
    learner_on(&Device::flex().autodiff())
}

pub(crate) fn learner_on(device: &Device) -> Learner<Perceptron> {
    Learner::new(Perceptron::new(device), AdamConfig::new().init(), 1e-2)
}

/// Saves each epoch, and takes as long as an epoch.
pub(crate) struct Slowly(pub(crate) Seconds);

impl CheckpointingStrategy for Slowly {
    fn checkpointing(&mut self, _: usize, _: &EventStoreClient) -> Vec<CheckpointingAction> {
        self.0.pass(BATCHES as u64);
        vec![CheckpointingAction::Save]
    }
}

/// Number and completeness of each epoch.
pub(crate) fn epochs(footprint: &Footprint) -> Vec<(u32, bool)> {
    footprint.epochs.iter().map(|epoch| (epoch.epoch, epoch.completed)).collect()
}

/// Joules of each epoch, to a microjoule.
pub(crate) fn joules(footprint: &Footprint) -> Vec<f64> {
    footprint.epochs.iter().map(|epoch| micro(epoch.energy.joules())).collect()
}

pub(crate) fn micro(joules: f64) -> f64 {
    (joules * 1e6).round() / 1e6
}

/// What the script draws in the first seconds of an epoch.
pub(crate) fn first_seconds(seconds: usize) -> f64 {
    seconds.min(TRAIN_BATCHES) as f64 * TRAIN_WATTS
        + seconds.saturating_sub(TRAIN_BATCHES) as f64 * VALID_WATTS
}

/// What the script draws in so many seconds from the beginning.
pub(crate) fn seconds(seconds: usize) -> f64 {
    (seconds / BATCHES) as f64 * EPOCH_JOULES + first_seconds(seconds % BATCHES)
}
