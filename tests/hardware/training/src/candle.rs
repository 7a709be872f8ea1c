//! A training with Candle on CUDA: `candle-cuda accuracy`, `candle-cuda slowdown SECONDS` and `candle-cuda held-up SECONDS`,
//! about as long for each row.

use std::ops::RangeInclusive;
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use board_training::counter::Counter;
use board_training::{Failure, compare, held_up, slowdown};
use candle_core::{DType, Device, Tensor};
use candle_nn::{AdamW, Linear, Module as _, Optimizer as _, ParamsAdamW, VarBuilder, VarMap, linear, loss};
use sootprint::Run;
use sootprint_candle::CandleLoopExt as _;

const CLASSES: usize = 10;

fn main() -> Result<ExitCode, Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let device = Device::new_cuda(0)?;
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["accuracy"] => accuracy(&device),
        ["slowdown", seconds] => {
            let patience = Duration::from_secs(seconds.parse()?);
            let (small, large) = (Training::new(512, 64, &device)?, Training::new(4096, 4096, &device)?);
            let row = |what, model: &Training, steps, end| {
                slowdown(what, patience, |measured| timed(model.clone(), steps, measured, end))
            };
            row("Candle, large steps", &large, 40, End::ReadsItsLoss)?;
            row("The same, and the device is synchronised at the end", &large, 40, End::Synchronizes)?;
            row("Candle, small steps", &small, 400, End::ReadsItsLoss)?;
            Ok(ExitCode::SUCCESS)
        }
        ["held-up", seconds] => {
            let patience = Duration::from_secs(seconds.parse()?);
            let (small, large) = (Training::new(512, 64, &device)?, Training::new(4096, 4096, &device)?);
            held_up("Candle, small steps", patience, || timed(small.clone(), 200, false, End::ReadsItsLoss))?;
            held_up("Candle, large steps", patience, || timed(large.clone(), 40, false, End::ReadsItsLoss))?;
            Ok(ExitCode::SUCCESS)
        }
        _ => Err("candle-cuda accuracy | slowdown SECONDS | held-up SECONDS".into()),
    }
}

/// Six epochs; the even ones wait half of their time, so that the power changes at their edges and within.
fn accuracy(device: &Device) -> Result<ExitCode, Failure> {
    let training = Training::new(8192, 4096, device)?;
    training.optimizer()?.step(3)?;
    let folder = tempfile::tempdir()?;
    let counter = Counter::start()?;
    let run = Run::pre_training(folder.path()).start();
    let mut optimizer = training.optimizer()?;
    let mut edges = Vec::new();
    for epoch in run.epochs(1..=6).on(device) {
        let began = Instant::now();
        if epoch % 2 == 0 {
            while began.elapsed() < Duration::from_secs(4) {
                optimizer.step(5)?;
                thread::sleep(Duration::from_millis(300));
            }
        } else {
            while began.elapsed() < Duration::from_secs(4) {
                optimizer.step(1)?;
            }
        }
        edges.push((began, Instant::now()));
    }
    let footprint = run.finish();
    let ticks = counter.stop()?;
    ticks.describe();
    let truths: Vec<_> = edges.iter().map(|(from, to)| ticks.between(*from, *to)).collect();
    println!("\n{footprint}");
    Ok(if compare("Candle on CUDA", &footprint, &truths) { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// What a training waits for at its end.
#[derive(Debug, Clone, Copy)]
enum End {
    /// Its last step's loss, which comes after all else.
    ReadsItsLoss,
    /// The device as well, so that CUDA's memory pool gives back what is free: many calls into the driver, right when a
    /// run reads the counter for the edge.
    Synchronizes,
}

/// How long a training of a few epochs takes, without the run's start and finish.
fn timed(training: Training, steps: usize, measured: bool, end: End) -> Result<Duration, Failure> {
    const EPOCHS: RangeInclusive<u32> = 1..=3;

    let folder = tempfile::tempdir()?;
    let run = measured.then(|| Run::pre_training(folder.path()).start());
    let mut optimizer = training.optimizer()?;
    let mut epoch = |_| optimizer.step(steps).map(drop);
    let began = Instant::now();
    match &run {
        Some(run) => run.epochs(EPOCHS).on(&training.device).try_for_each(&mut epoch)?,
        None => EPOCHS.into_iter().try_for_each(&mut epoch)?,
    }
    if matches!(end, End::Synchronizes) {
        training.device.synchronize()?;
    }
    let took = began.elapsed();
    if let Some(run) = run {
        drop(run.finish());
    }
    Ok(took)
}

/// Weights, and one batch that is learnt again and again.
#[derive(Clone)]
struct Training {
    weights: VarMap,
    layers: [Linear; 3],
    inputs: Tensor,
    classes: Tensor,
    device: Device,
}

impl Training {
    fn new(hidden: usize, batch: usize, device: &Device) -> Result<Self, Failure> {
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

    fn optimizer(&self) -> Result<Optimizer, Failure> {
        let settings = ParamsAdamW { lr: 1e-4, ..ParamsAdamW::default() };
        Ok(Optimizer { training: self.clone(), adam: AdamW::new(self.weights.all_vars(), settings)? })
    }
}

struct Optimizer {
    training: Training,
    adam: AdamW,
}

impl Optimizer {
    /// Steps, and the last one's loss, for which the device is waited for, as in most trainings.
    fn step(&mut self, count: usize) -> Result<f32, Failure> {
        let Training { layers: [first, second, third], inputs, classes, .. } = &self.training;
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
