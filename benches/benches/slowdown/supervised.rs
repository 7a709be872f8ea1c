//! A supervised training with Burn, its metrics included.

use std::sync::Arc;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor, TensorData, TensorReadError};
use burn::train::metric::{
    AccuracyMetric, LossMetric, Metric, MetricAttributes, MetricMetadata, MetricName, Numeric,
    NumericAttributes, NumericEntry, SerializedEntry,
};
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use sootprint_burn::TrackEmissionsExt as _;

use crate::digits::{BenchDigit, BenchDigits, CLASSES, LEARNING_RATE, PIXELS, SlowdownSize};
use crate::silent_renderer::SilentRenderer;
use crate::training_arm::TrainingArm;
use crate::turn_clock::{TrainingTime, TurnClock};
use sootprint_benches::BenchError;

const SEED: u64 = 42;

pub(crate) fn train(
    digits: &BenchDigits,
    size: SlowdownSize,
    arm: TrainingArm,
    clock: &TurnClock,
) -> Result<TrainingTime, BenchError> {
    let folder = tempfile::tempdir()?;
    let device = Device::flex().autodiff();
    let loader = |digits| -> Arc<dyn DataLoader<BenchBatch>> {
        let dataset = InMemDataset::new(digits);
        DataLoaderBuilder::new(BenchBatcher(clock.clone()))
            .batch_size(size.batch)
            .shuffle(SEED)
            .build(dataset)
    };
    let training =
        SupervisedTraining::new(folder.path(), loader(digits.epoch(size)), loader(digits.0.clone()))
            .metrics((AccuracyMetric::new(), LossMetric::new()))
            .num_epochs(size.epochs as usize)
            .renderer(Box::new(SilentRenderer))
            .with_application_logger(None);
    let learner =
        Learner::new(BenchClassifier::new(size.hidden, &device), AdamConfig::new().init(), LEARNING_RATE);

    let (trained, took) = clock.time(|| match &arm {
        TrainingArm::Measured(run) => training.track_emissions(run).launch(learner),
        TrainingArm::Without => training.launch(learner),
        TrainingArm::Control => with_idle_metrics(training).launch(learner),
    })?;
    if let TrainingArm::Measured(run) = arm {
        drop(run.finish());
    }
    match trained.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(took),
    }
}

/// With as many metrics more as a measured training has.
fn with_idle_metrics(training: SupervisedTraining<BenchClassifier>) -> SupervisedTraining<BenchClassifier> {
    let idle = ["One", "Two", "Three"].map(|name| IdleMetric(Arc::new(name.to_owned())));
    idle.into_iter().fold(training, |training, idle| {
        training.metric_train_numeric(idle.clone()).metric_valid_numeric(idle)
    })
}

/// A metric that does nothing.
#[derive(Clone)]
struct IdleMetric(MetricName);

impl IdleMetric {
    fn entry(entry: NumericEntry) -> SerializedEntry {
        SerializedEntry::new("0.000e0 Wh".to_owned(), entry.serialize())
    }
}

impl Metric for IdleMetric {
    type Input = ();

    fn name(&self) -> MetricName {
        Arc::clone(&self.0)
    }

    fn attributes(&self) -> MetricAttributes {
        NumericAttributes { unit: None, higher_is_better: false }.into()
    }

    fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
        Ok(Self::entry(NumericEntry::Value(0.0)))
    }

    fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
        Ok(Self::entry(NumericEntry::Final(0.0)))
    }

    fn clear(&mut self) {}
}

impl Numeric for IdleMetric {
    fn value(&self) -> Option<NumericEntry> {
        Some(NumericEntry::Value(0.0))
    }

    fn running_value(&self) -> Option<NumericEntry> {
        self.value()
    }

    fn final_value(&self) -> NumericEntry {
        NumericEntry::Final(0.0)
    }
}

#[derive(Module, Debug)]
struct BenchClassifier {
    hidden: Linear,
    output: Linear,
    activation: Relu,
}

impl BenchClassifier {
    fn new(hidden: usize, device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(PIXELS, hidden).init(device),
            output: LinearConfig::new(hidden, CLASSES).init(device),
            activation: Relu::new(),
        }
    }

    fn classify(&self, batch: BenchBatch) -> ClassificationOutput {
        let output = self.output.forward(self.activation.forward(self.hidden.forward(batch.pixels)));
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, output, batch.classes)
    }
}

impl TrainStep for BenchClassifier {
    type Input = BenchBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: BenchBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for BenchClassifier {
    type Input = BenchBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: BenchBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}

#[derive(Debug, Clone)]
struct BenchBatch {
    pixels: Tensor<2>,
    classes: Tensor<1, Int>,
}

#[derive(Clone)]
struct BenchBatcher(TurnClock);

impl Batcher<BenchDigit, BenchBatch> for BenchBatcher {
    fn batch(&self, digits: Vec<BenchDigit>, device: &Device) -> BenchBatch {
        self.0.batch();
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<i32> = digits.iter().map(|digit| i32::from(digit.class)).collect();
        BenchBatch {
            pixels: Tensor::from_data(TensorData::new(pixels, [digits.len(), PIXELS]), device),
            classes: Tensor::from_data(TensorData::new(classes, [digits.len()]), device),
        }
    }
}
