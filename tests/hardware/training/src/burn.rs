//! A training with Burn on Vulkan: `burn-vulkan accuracy`, `burn-vulkan slowdown SECONDS`, about as long for each row.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use board_training::counter::Counter;
use board_training::{Failure, compare, slowdown};
use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::Module;
use burn::nn::loss::CrossEntropyLossConfig;
use burn::nn::{Linear, LinearConfig, Relu};
use burn::optim::AdamConfig;
use burn::tensor::{Device, DeviceKind, Distribution, Int, Tensor, TensorData};
use burn::train::metric::{AccuracyMetric, LossMetric};
use burn::train::{ClassificationOutput, InferenceStep, Learner, SupervisedTraining, TrainOutput, TrainStep};
use sootprint::Run;
use sootprint_burn::{MeasuredBy as _, exact_edges};

/// The benchmarks' own.
#[path = "../../../../benches/benches/slowdown/silent.rs"]
mod silent;

const PIXELS: usize = 64;
const CLASSES: usize = 10;

/// How much an epoch computes.
#[derive(Debug, Clone, Copy)]
struct Size {
    hidden: usize,
    batch: usize,
    batches: usize,
    epochs: usize,
}

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::vulkan(DeviceKind::DefaultDevice).autodiff();
    println!("{:?}, {:?}", device, device.identity().and_then(|known| known.physical));
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["accuracy"] => accuracy(&device),
        ["slowdown", seconds] => {
            let patience = Duration::from_secs(seconds.parse()?);
            let large = Size { hidden: 4096, batch: 2048, batches: 60, epochs: 2 };
            slowdown("Burn, large steps", patience, |measured| timed(&device, large, measured))?;
            let small = Size { hidden: 512, batch: 64, batches: 300, epochs: 2 };
            slowdown("Burn, small steps", patience, |measured| timed(&device, small, measured))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("burn-vulkan accuracy | slowdown SECONDS".into()),
    }
}

/// The windows are the epochs as the footprint has them, their energy is the counter's.
fn accuracy(device: &Device) -> Result<ExitCode, Failure> {
    let size = Size { hidden: 8192, batch: 2048, batches: 60, epochs: 5 };
    // The kernels are compiled and tuned before the first epoch.
    timed(device, Size { batches: 3, epochs: 1, ..size }, false)?;
    let folder = tempfile::tempdir()?;
    let counter = Counter::start()?;
    let run = Run::pre_training(folder.path()).start();
    let began = Instant::now();
    train(device, size, Some(&run))?;
    let footprint = run.finish();
    let ticks = counter.stop()?;
    ticks.describe();
    let truths: Vec<_> = footprint
        .epochs
        .iter()
        .map(|epoch| {
            let from = began + Duration::from_secs_f64(epoch.start_s.unwrap_or_default());
            ticks.between(from, from + Duration::from_secs_f64(epoch.duration_s))
        })
        .collect();
    println!("\n{footprint}");
    Ok(if compare("Burn on Vulkan", &footprint, &truths) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// How long a training takes, without the run's start and finish.
fn timed(device: &Device, size: Size, measured: bool) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir()?;
    let run = measured.then(|| Run::pre_training(folder.path()).start());
    let took = train(device, size, run.as_ref())?;
    if let Some(run) = run {
        drop(run.finish());
    }
    Ok(took)
}

fn train(device: &Device, size: Size, run: Option<&Run>) -> Result<Duration, Failure> {
    let folder = tempfile::tempdir()?;
    let loaders = || (loader(size, size.batches), loader(size, size.batches.div_ceil(10)));
    let (train, valid) = if run.is_some() {
        let (train, valid) = loaders();
        instrument_loaders(train, valid)
    } else {
        loaders()
    };
    let training = SupervisedTraining::new(folder.path(), train, valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .num_epochs(size.epochs)
        .renderer(Box::new(silent::Silent))
        .with_application_logger(None);
    let learner = Learner::new(Perceptron::new(size.hidden, device), AdamConfig::new().init(), 1e-4);
    let began = Instant::now();
    let trained = match run {
        Some(run) => training.track_emissions(run).launch(learner),
        None => training.launch(learner),
    };
    device.sync().map_err(|error| format!("{error:?}"))?;
    let took = began.elapsed();
    trained.error.map_or(Ok(took), |error| Err(error.to_string().into()))
}

fn loader(size: Size, batches: usize) -> Arc<dyn DataLoader<Batch>> {
    let rows = InMemDataset::new((0..size.batch * batches).collect());
    DataLoaderBuilder::new(Rows).batch_size(size.batch).build(rows)
}

#[derive(Debug, Clone)]
struct Batch {
    pixels: Tensor<2>,
    classes: Tensor<1, Int>,
}

/// Batches of noise; a row's number says its class.
#[derive(Debug, Clone)]
struct Rows;

impl Batcher<usize, Batch> for Rows {
    fn batch(&self, rows: Vec<usize>, device: &Device) -> Batch {
        let classes: Vec<i32> = rows.iter().map(|row| (row % CLASSES) as i32).collect();
        Batch {
            pixels: Tensor::random([rows.len(), PIXELS], Distribution::Default, device),
            classes: Tensor::from_data(TensorData::new(classes, [rows.len()]), device),
        }
    }
}

#[derive(Module, Debug)]
struct Perceptron {
    first: Linear,
    second: Linear,
    third: Linear,
    activation: Relu,
}

impl Perceptron {
    fn new(hidden: usize, device: &Device) -> Self {
        Self {
            first: LinearConfig::new(PIXELS, hidden).init(device),
            second: LinearConfig::new(hidden, hidden).init(device),
            third: LinearConfig::new(hidden, CLASSES).init(device),
            activation: Relu::new(),
        }
    }

    fn classify(&self, batch: Batch) -> ClassificationOutput {
        let hidden = self.activation.forward(self.first.forward(batch.pixels));
        let output = self.third.forward(self.activation.forward(self.second.forward(hidden)));
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
