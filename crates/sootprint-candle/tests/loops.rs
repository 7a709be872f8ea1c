//! Real loops on the processor, measured on a script whose clock moves a second with each batch.
//!
//! The truth is known: 100 W × one second × the batches that were trained.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise, and its figures are whole")]

use std::path::Path;
use std::time::Duration;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module as _, Optimizer as _, SGD, VarBuilder, VarMap, linear, loss};
use sootprint::{Footprint, Kind, Outcome, Power, Replay, Run, VirtualClock};
use sootprint_candle::OnDevice as _;

const BATCHES: usize = 4;

struct Training {
    run: Run,
    clock: VirtualClock,
    device: Device,
    layer: Linear,
    optimizer: SGD,
}

impl Training {
    fn new(dir: &Path) -> Self {
        let clock = VirtualClock::default();
        let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
        let replay = Replay::new()
            .component(Kind::Cpu, "Scripted CPU", steady)
            .component(Kind::Gpu, "Scripted board", steady)
            .on_clock(clock.clone());
        let run = Run::fine_tuning(dir, "me/base").replay(replay).start();
        let device = Device::Cpu;
        let weights = VarMap::new();
        let builder = VarBuilder::from_varmap(&weights, DType::F32, &device);
        let layer = linear(3, 1, builder).unwrap();
        let optimizer = SGD::new(weights.all_vars(), 0.1).unwrap();
        Self { run, clock, device, layer, optimizer }
    }

    /// One batch: a step of gradient descent, which takes a second.
    fn step(layer: &Linear, optimizer: &mut SGD, clock: &VirtualClock, device: &Device) -> Result<f32> {
        let inputs = Tensor::new(&[[1f32, 2.0, 3.0], [0.5, 0.0, -1.0]], device)?;
        let targets = Tensor::new(&[[1f32], [-1.0]], device)?;
        let loss = loss::mse(&layer.forward(&inputs)?, &targets)?;
        optimizer.backward_step(&loss)?;
        clock.advance(Duration::from_secs(1));
        loss.to_scalar()
    }

    /// Trains three epochs; gives up in the given one after its first batch. The losses of the batches.
    fn train(&mut self, give_up_in: Option<u32>) -> std::result::Result<Vec<f32>, candle_core::Error> {
        let mut losses = Vec::new();
        for epoch in self.run.epochs(1..=3_u32).on(&self.device) {
            for _ in 0..BATCHES {
                losses.push(Self::step(&self.layer, &mut self.optimizer, &self.clock, &self.device)?);
                if give_up_in == Some(epoch) {
                    candle_core::bail!("gave up on purpose");
                }
            }
        }
        Ok(losses)
    }
}

fn epochs(footprint: &Footprint) -> Vec<(u32, f64, bool)> {
    footprint.epochs.iter().map(|it| (it.epoch, it.energy.joules().round(), it.completed)).collect()
}

#[test]
fn each_epoch_has_exactly_its_energy() {
    let dir = tempfile::tempdir().unwrap();
    let mut training = Training::new(dir.path());
    let losses = training.train(None).unwrap();
    assert!(losses.last().unwrap() < &losses[0], "it learns: {losses:?}");
    let footprint = training.run.finish();
    assert_eq!(epochs(&footprint), [(1, 400.0, true), (2, 400.0, true), (3, 400.0, true)]);
    assert_eq!(
        (footprint.run.outcome, footprint.hardware.as_str()),
        (Outcome::Completed, "1 x Scripted CPU")
    );
}

#[test]
fn an_error_leaves_its_epoch_incomplete_and_the_run_stopped_early() {
    let dir = tempfile::tempdir().unwrap();
    let mut training = Training::new(dir.path());
    let error = training.train(Some(2)).unwrap_err();
    assert!(error.to_string().contains("gave up"));
    let footprint = training.run.finish();
    assert_eq!(epochs(&footprint), [(1, 400.0, true), (2, 100.0, false)]);
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
}

#[test]
fn a_run_that_is_dropped_has_failed_and_keeps_its_figures() {
    let dir = tempfile::tempdir().unwrap();
    let mut training = Training::new(dir.path());
    assert!(training.train(Some(3)).is_err());
    drop(training);
    let footprint = sootprint::recover(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, Outcome::Failed);
    assert_eq!(epochs(&footprint).last(), Some(&(3, 100.0, false)));
}

#[test]
fn a_panic_in_a_step_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let panicked = std::panic::catch_unwind(|| {
        let training = Training::new(dir.path());
        for epoch in training.run.epochs(0..2_usize).on(&training.device) {
            training.clock.advance(Duration::from_secs(1));
            assert_eq!(epoch, 0, "on purpose");
        }
    });
    assert!(panicked.is_err());
    let footprint = sootprint::recover(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, Outcome::Panicked);
    assert_eq!(epochs(&footprint), [(0, 100.0, true), (1, 100.0, false)]);
}
