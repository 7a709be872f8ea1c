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
use sootprint_burn::MeasuredBy as _;

use crate::arm::Arm;
use crate::clock::{Clock, Took};
use crate::digits::{CLASSES, Digit, Digits, LEARNING_RATE, PIXELS, Size};
use crate::silent::Silent;
use sootprint_benches::Failure;

const SEED: u64 = 42;

pub(crate) fn train(digits: &Digits, size: Size, arm: Arm, clock: &Clock) -> Result<Took, Failure> {
    let folder = tempfile::tempdir()?;
    let device = Device::flex().autodiff();
    let loader = |digits| -> Arc<dyn DataLoader<Batch>> {
        let dataset = InMemDataset::new(digits);
        DataLoaderBuilder::new(Batches(clock.clone())).batch_size(size.batch).shuffle(SEED).build(dataset)
    };
    let training =
        SupervisedTraining::new(folder.path(), loader(digits.epoch(size)), loader(digits.0.clone()))
            .metrics((AccuracyMetric::new(), LossMetric::new()))
            .num_epochs(size.epochs as usize)
            .renderer(Box::new(Silent))
            .with_application_logger(None);
    let learner =
        Learner::new(Perceptron::new(size.hidden, &device), AdamConfig::new().init(), LEARNING_RATE);

    let (trained, took) = clock.time(|| match &arm {
        Arm::Measured(run) => training.measured_by(run).launch(learner),
        Arm::Without => training.launch(learner),
        Arm::Control => with_idle_metrics(training).launch(learner),
    })?;
    if let Arm::Measured(run) = arm {
        drop(run.finish());
    }
    match trained.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(took),
    }
}

/// With as many metrics more as a measured training has.
fn with_idle_metrics(training: SupervisedTraining<Perceptron>) -> SupervisedTraining<Perceptron> {
    let idle = ["One", "Two", "Three"].map(|name| Idle(Arc::new(name.to_owned())));
    idle.into_iter().fold(training, |training, idle| {
        training.metric_train_numeric(idle.clone()).metric_valid_numeric(idle)
    })
}

/// A metric that does nothing.
#[derive(Clone)]
struct Idle(MetricName);

impl Idle {
    fn entry(entry: NumericEntry) -> SerializedEntry {
        SerializedEntry::new("0.000e0 Wh".to_owned(), entry.serialize())
    }
}

impl Metric for Idle {
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

impl Numeric for Idle {
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
struct Perceptron {
    hidden: Linear,
    output: Linear,
    activation: Relu,
}

impl Perceptron {
    fn new(hidden: usize, device: &Device) -> Self {
        Self {
            hidden: LinearConfig::new(PIXELS, hidden).init(device),
            output: LinearConfig::new(hidden, CLASSES).init(device),
            activation: Relu::new(),
        }
    }

    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let output = self.output.forward(self.activation.forward(self.hidden.forward(batch.pixels)));
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), batch.classes.clone());
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

#[derive(Debug, Clone)]
struct Batch {
    pixels: Tensor<2>,
    classes: Tensor<1, Int>,
}

#[derive(Clone)]
struct Batches(Clock);

impl Batcher<Digit, Batch> for Batches {
    fn batch(&self, digits: Vec<Digit>, device: &Device) -> Batch {
        self.0.batch();
        let pixels: Vec<f32> = digits.iter().flat_map(|digit| digit.pixels).collect();
        let classes: Vec<i32> = digits.iter().map(|digit| i32::from(digit.class)).collect();
        Batch {
            pixels: Tensor::from_data(TensorData::new(pixels, [digits.len(), PIXELS]), device),
            classes: Tensor::from_data(TensorData::new(classes, [digits.len()]), device),
        }
    }
}
