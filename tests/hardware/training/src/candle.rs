//! A training with Candle on CUDA: `candle-cuda accuracy`, or `candle-cuda slowdown SECONDS` and `candle-cuda
//! held-up SECONDS` with the time per row.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use candle_core::{DType, Device, Tensor};
use candle_nn::{
    AdamW, Optimizer as _, Linear, Module as _, ParamsAdamW, VarBuilder, VarMap, linear, loss,
};
use gpu_training::counter::CounterRecorder;
use gpu_training::{TrainingError, measure_read_stall, measure_slowdown, print_comparison};
use sootprint::Run;
use sootprint_candle::CandleLoopExt as _;

const CLASSES: usize = 10;

fn main() -> Result<ExitCode, TrainingError> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::new_cuda(0)?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["accuracy"] => check_accuracy(&device),
        ["slowdown", seconds] => {
            let patience = Duration::from_secs(seconds.parse()?);
            let (small, large) =
                (CudaTraining::new(512, 64, &device)?, CudaTraining::new(4096, 4096, &device)?);
            let row = |what, model: &CudaTraining, steps, end| {
                measure_slowdown(what, patience, |measured| {
                    time_training(model.clone(), steps, measured, end)
                })
            };
            row("Candle, large steps", &large, 40, End::ReadLoss)?;
            row("The same, with the device synchronised at the end", &large, 40, End::SynchronizeDevice)?;
            row("Candle, small steps", &small, 400, End::ReadLoss)?;
            Ok(ExitCode::SUCCESS)
        }
        ["held-up", seconds] => {
            let patience = Duration::from_secs(seconds.parse()?);
            let (small, large) =
                (CudaTraining::new(512, 64, &device)?, CudaTraining::new(4096, 4096, &device)?);
            measure_read_stall("Candle, small steps", patience, || {
                time_training(small.clone(), 200, false, End::ReadLoss)
            })?;
            measure_read_stall("Candle, large steps", patience, || {
                time_training(large.clone(), 40, false, End::ReadLoss)
            })?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("candle-cuda accuracy | slowdown SECONDS | held-up SECONDS".into()),
    }
}

/// Six epochs; the even ones sleep half of the time, so the power changes at and within the boundaries.
fn check_accuracy(device: &Device) -> Result<ExitCode, TrainingError> {
    let training = CudaTraining::new(8192, 4096, device)?;
    training.optimizer()?.run_steps(3)?;
    let folder = tempfile::tempdir()?;
    let counter = CounterRecorder::start()?;
    let run = Run::pre_training(folder.path()).start();
    let mut optimizer = training.optimizer()?;
    let mut boundaries = Vec::new();
    for epoch in run.epochs(1..=6).on(device) {
        let began = Instant::now();
        if epoch % 2 == 0 {
            while began.elapsed() < Duration::from_secs(4) {
                optimizer.run_steps(5)?;
                thread::sleep(Duration::from_millis(300));
            }
        } else {
            while began.elapsed() < Duration::from_secs(4) {
                optimizer.run_steps(1)?;
            }
        }
        boundaries.push((began, Instant::now()));
    }
    let footprint = run.finish();
    let ticks = counter.stop()?;
    ticks.print_tick_intervals();
    let truths: Vec<_> = boundaries.iter().map(|(from, to)| ticks.energy_between(*from, *to)).collect();
    println!("\n{footprint}");
    Ok(if print_comparison("Candle on CUDA", &footprint, &truths) {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// What a training waits for at its end.
#[derive(Debug, Clone, Copy)]
enum End {
    /// The loss of the last step, which is computed last.
    ReadLoss,
    /// The device as well, so that CUDA's memory pool releases its free memory: many driver calls while the
    /// run reads the counter for the boundary.
    SynchronizeDevice,
}

/// The duration of a training of a few epochs, without the run's start and finish.
fn time_training(
    training: CudaTraining,
    steps: usize,
    measured: bool,
    end: End,
) -> Result<Duration, TrainingError> {
    const EPOCHS: RangeInclusive<u32> = 1..=3;

    let folder = tempfile::tempdir()?;
    let run = measured.then(|| Run::pre_training(folder.path()).start());
    let mut optimizer = training.optimizer()?;
    let mut epoch = |_| optimizer.run_steps(steps).map(drop);
    let began = Instant::now();
    match &run {
        Some(run) => run.epochs(EPOCHS).on(&training.device).try_for_each(&mut epoch)?,
        None => EPOCHS.into_iter().try_for_each(&mut epoch)?,
    }
    if matches!(end, End::SynchronizeDevice) {
        training.device.synchronize()?;
    }
    let took = began.elapsed();
    if let Some(run) = run {
        drop(run.finish());
    }
    Ok(took)
}

/// Weights, and one batch that is reused for every step.
#[derive(Clone)]
struct CudaTraining {
    weights: VarMap,
    layers: [Linear; 3],
    inputs: Tensor,
    classes: Tensor,
    device: Device,
}

impl CudaTraining {
    fn new(hidden: usize, batch: usize, device: &Device) -> Result<Self, TrainingError> {
        let weights = VarMap::new();
        let names = VarBuilder::from_varmap(&weights, DType::F32, device);
        let layers = [
            linear(64, hidden, names.pp("first"))?,
            linear(hidden, hidden, names.pp("second"))?,
            linear(hidden, CLASSES, names.pp("third"))?,
        ];
        let inputs = Tensor::randn(0f32, 1.0, (batch, 64), device)?;
        let classes: Vec<u32> = (0..batch).map(|row| (row % CLASSES) as u32).collect();
        let classes = Tensor::from_vec(classes, batch, device)?;
        Ok(Self { weights, layers, inputs, classes, device: device.clone() })
    }

    fn optimizer(&self) -> Result<CudaOptimizer, TrainingError> {
        let settings = ParamsAdamW { lr: 1e-4, ..ParamsAdamW::default() };
        Ok(CudaOptimizer { training: self.clone(), adam: AdamW::new(self.weights.all_vars(), settings)? })
    }
}

struct CudaOptimizer {
    training: CudaTraining,
    adam: AdamW,
}

impl CudaOptimizer {
    /// Runs steps and returns the last loss; each step reads its loss, which waits for the device, as in most
    /// trainings.
    fn run_steps(&mut self, count: usize) -> Result<f32, TrainingError> {
        let CudaTraining { layers: [first, second, third], inputs, classes, .. } = &self.training;
        let mut last = 0.0;
        for _ in 0..count {
            let hidden = second.forward(&first.forward(inputs)?.relu()?)?.relu()?;
            let loss = loss::cross_entropy(&third.forward(&hidden)?, classes)?;
            self.adam.backward_step(&loss)?;
            last = loss.to_scalar()?;
        }
        Ok(last)
    }
}
