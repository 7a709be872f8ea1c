//! A training with Burn on Vulkan: `burn-vulkan accuracy`, or `burn-vulkan slowdown SECONDS` with the time
//! per row.

use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

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
use gpu_training::counter::CounterRecorder;
use gpu_training::{TrainingError, measure_slowdown, print_comparison};
use sootprint::Run;
use sootprint_burn::{TrackEmissionsExt as _, instrument_loaders};

/// Shared with the benchmarks.
#[path = "../../../../benches/benches/slowdown/silent_renderer.rs"]
mod silent_renderer;

const PIXELS: usize = 64;
const CLASSES: usize = 10;

/// The size of a training.
#[derive(Debug, Clone, Copy)]
struct BurnTrainingSize {
    hidden: usize,
    batch: usize,
    batches: usize,
    epochs: usize,
}

fn main() -> Result<ExitCode, TrainingError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::vulkan(DeviceKind::DefaultDevice).autodiff();
    println!("{:?}, {:?}", device, device.identity().and_then(|known| known.physical));
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["accuracy"] => check_accuracy(&device),
        ["slowdown", seconds] => {
            let patience = Duration::from_secs(seconds.parse()?);
            let large = BurnTrainingSize { hidden: 4096, batch: 2048, batches: 60, epochs: 2 };
            measure_slowdown("Burn, large steps", patience, |measured| {
                time_training(&device, large, measured)
            })?;
            let small = BurnTrainingSize { hidden: 512, batch: 64, batches: 300, epochs: 2 };
            measure_slowdown("Burn, small steps", patience, |measured| {
                time_training(&device, small, measured)
            })?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("burn-vulkan accuracy | slowdown SECONDS".into()),
    }
}

/// The windows are the epochs of the footprint; their reference energy is from the counter.
fn check_accuracy(device: &Device) -> Result<ExitCode, TrainingError> {
    let size = BurnTrainingSize { hidden: 8192, batch: 2048, batches: 60, epochs: 5 };
    // Compiles and tunes the kernels before the first epoch.
    time_training(device, BurnTrainingSize { batches: 3, epochs: 1, ..size }, false)?;
    let folder = tempfile::tempdir()?;
    let counter = CounterRecorder::start()?;
    let run = Run::pre_training(folder.path()).start();
    let began = Instant::now();
    run_training(device, size, Some(&run))?;
    let footprint = run.finish();
    let ticks = counter.stop()?;
    ticks.print_tick_intervals();
    let truths: Vec<_> = footprint
        .epochs
        .iter()
        .map(|epoch| {
            let from = began + Duration::from_secs_f64(epoch.start_s.unwrap_or_default());
            ticks.energy_between(from, from + Duration::from_secs_f64(epoch.duration_s))
        })
        .collect();
    println!("\n{footprint}");
    Ok(if print_comparison("Burn on Vulkan", &footprint, &truths) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// The duration of a training, without the run's start and finish.
fn time_training(device: &Device, size: BurnTrainingSize, measured: bool) -> Result<Duration, TrainingError> {
    let folder = tempfile::tempdir()?;
    let run = measured.then(|| Run::pre_training(folder.path()).start());
    let took = run_training(device, size, run.as_ref())?;
    if let Some(run) = run {
        drop(run.finish());
    }
    Ok(took)
}

fn run_training(
    device: &Device,
    size: BurnTrainingSize,
    run: Option<&Run>,
) -> Result<Duration, TrainingError> {
    let folder = tempfile::tempdir()?;
    let loaders = || (noise_loader(size, size.batches), noise_loader(size, size.batches.div_ceil(10)));
    let (train, valid) = if run.is_some() {
        let (train, valid) = loaders();
        instrument_loaders(train, valid)
    } else {
        loaders()
    };
    let training = SupervisedTraining::new(folder.path(), train, valid)
        .metrics((AccuracyMetric::new(), LossMetric::new()))
        .num_epochs(size.epochs)
        .renderer(Box::new(silent_renderer::SilentRenderer))
        .with_application_logger(None);
    let learner = Learner::new(NoiseClassifier::new(size.hidden, device), AdamConfig::new().init(), 1e-4);
    let began = Instant::now();
    let trained = match run {
        Some(run) => training.track_emissions(run).launch(learner),
        None => training.launch(learner),
    };
    device.sync().map_err(|error| format!("{error:?}"))?;
    let took = began.elapsed();
    trained.error.map_or(Ok(took), |error| Err(error.to_string().into()))
}

fn noise_loader(size: BurnTrainingSize, batches: usize) -> Arc<dyn DataLoader<NoiseBatch>> {
    let rows = InMemDataset::new((0..size.batch * batches).collect());
    DataLoaderBuilder::new(NoiseBatcher).batch_size(size.batch).build(rows)
}

#[derive(Debug, Clone)]
struct NoiseBatch {
    pixels: Tensor<2>,
    classes: Tensor<1, Int>,
}

/// Batches of noise; the class of a row is derived from its index.
#[derive(Debug, Clone)]
struct NoiseBatcher;

impl Batcher<usize, NoiseBatch> for NoiseBatcher {
    fn batch(&self, rows: Vec<usize>, device: &Device) -> NoiseBatch {
        let classes: Vec<i32> = rows.iter().map(|row| (row % CLASSES) as i32).collect();
        NoiseBatch {
            pixels: Tensor::random([rows.len(), PIXELS], Distribution::Default, device),
            classes: Tensor::from_data(TensorData::new(classes, [rows.len()]), device),
        }
    }
}

#[derive(Module, Debug)]
struct NoiseClassifier {
    first: Linear,
    second: Linear,
    third: Linear,
    activation: Relu,
}

impl NoiseClassifier {
    fn new(hidden: usize, device: &Device) -> Self {
        Self {
            first: LinearConfig::new(PIXELS, hidden).init(device),
            second: LinearConfig::new(hidden, hidden).init(device),
            third: LinearConfig::new(hidden, CLASSES).init(device),
            activation: Relu::new(),
        }
    }

    fn classify(&self, batch: NoiseBatch) -> ClassificationOutput {
        let hidden = self.activation.forward(self.first.forward(batch.pixels));
        let output = self.third.forward(self.activation.forward(self.second.forward(hidden)));
        let loss = CrossEntropyLossConfig::new().init(&output.device());
        let loss = loss.forward(output.clone(), batch.classes.clone());
        ClassificationOutput::new(loss, output, batch.classes)
    }
}

impl TrainStep for NoiseClassifier {
    type Input = NoiseBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: NoiseBatch) -> TrainOutput<ClassificationOutput> {
        let output = self.classify(batch);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for NoiseClassifier {
    type Input = NoiseBatch;
    type Output = ClassificationOutput;

    fn step(&self, batch: NoiseBatch) -> ClassificationOutput {
        self.classify(batch)
    }
}
