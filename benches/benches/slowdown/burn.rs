//! A supervised training with Burn, including its metrics.

use std::sync::Arc;
use std::time::Duration;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::AdamConfig;
use burn::tensor::{Device, Int, Tensor, TensorData};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use sootprint_burn::TrackEmissionsExt as _;

use sootprint::Run;
use sootprint_benches::BenchError;

use crate::digits::{BenchDigit, BenchDigits, CLASSES, LEARNING_RATE, PIXELS};
use crate::silent_renderer::SilentRenderer;
use crate::turns::TurnTimer;

/// Large steps of about 9 ms, as on a GPU, and epochs of a second.
const HIDDEN: usize = 4_096;
const BATCH: usize = 256;
const PASSES: usize = 16;
const EPOCHS: usize = 2;

const SEED: u64 = 42;

pub(crate) fn train(
    digits: &BenchDigits,
    run: Option<&Run>,
    timer: &TurnTimer,
) -> Result<Duration, BenchError> {
    let folder = tempfile::tempdir()?;
    let device = Device::flex().autodiff();
    let loader = |digits| -> Arc<dyn DataLoader<BenchBatch>> {
        let builder = DataLoaderBuilder::new(BenchBatcher(timer.clone())).batch_size(BATCH).shuffle(SEED);
        builder.build(InMemDataset::new(digits))
    };
    let training =
        SupervisedTraining::new(folder.path(), loader(digits.0.repeat(PASSES)), loader(digits.0.clone()))
            .metrics((AccuracyMetric::new(), LossMetric::new()))
            .num_epochs(EPOCHS)
            .renderer(Box::new(SilentRenderer))
            .with_application_logger(None);
    let learner =
        Learner::new(BenchClassifier::new(HIDDEN, &device), AdamConfig::new().init(), LEARNING_RATE);

    let (trained, elapsed) = timer.time(|| match run {
        Some(run) => training.track_emissions(run).launch(learner),
        None => training.launch(learner),
    });
    match trained.error {
        Some(error) => Err(error.to_string().into()),
        None => Ok(elapsed),
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
struct BenchBatcher(TurnTimer);

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
