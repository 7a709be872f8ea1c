//! Real loops on the CPU, measured with a scripted source whose clock advances one second per batch.
//!
//! The expected energy is 100 W × one second × the number of batches.

#![allow(clippy::unwrap_used, reason = "test helpers may panic")]

use std::path::Path;
use std::time::Duration;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module as _, Optimizer as _, SGD, VarBuilder, VarMap, linear, loss};
use sootprint::{
    Budget, ComponentKind, Energy, Footprint, Power, Replay, Run, RunStatus, VirtualClock, WindowLength,
};
use sootprint_candle::CandleLoopExt as _;

const BATCHES_PER_EPOCH: usize = 4;

struct LoopFixture {
    run: Run,
    clock: VirtualClock,
    device: Device,
    layer: Linear,
    optimizer: SGD,
}

impl LoopFixture {
    fn new(dir: &Path) -> Self {
        let clock = VirtualClock::default();
        let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
        let replay = Replay::new()
            .with_component(ComponentKind::Cpu, "Scripted CPU", steady)
            .with_component(ComponentKind::Gpu, "Scripted GPU", steady)
            .with_clock(clock.clone());
        let run = Run::fine_tuning(dir, "me/base").replay(replay).start();
        let device = Device::Cpu;
        let weights = VarMap::new();
        let builder = VarBuilder::from_varmap(&weights, DType::F32, &device);
        let layer = linear(3, 1, builder).unwrap();
        let optimizer = SGD::new(weights.all_vars(), 0.1).unwrap();
        Self { run, clock, device, layer, optimizer }
    }

    /// One step of gradient descent, which takes one second.
    fn train_batch(
        layer: &Linear,
        optimizer: &mut SGD,
        clock: &VirtualClock,
        device: &Device,
    ) -> Result<f32> {
        let inputs = Tensor::new(&[[1f32, 2.0, 3.0], [0.5, 0.0, -1.0]], device)?;
        let targets = Tensor::new(&[[1f32], [-1.0]], device)?;
        let loss = loss::mse(&layer.forward(&inputs)?, &targets)?;
        optimizer.backward_step(&loss)?;
        clock.advance(Duration::from_secs(1));
        loss.to_scalar()
    }

    /// Three epochs of two seconds, each with `during_epoch` in its middle.
    fn run_epochs(&self, during_epoch: impl Fn(u32) -> Result<()>) -> Result<()> {
        for epoch in self.run.epochs(1..=3_u32).on(&self.device) {
            self.clock.advance(Duration::from_secs(1));
            during_epoch(epoch)?;
            self.clock.advance(Duration::from_secs(1));
        }
        Ok(())
    }

    /// Trains three epochs and returns the batch losses. Fails after the first batch of `fail_in_epoch`.
    fn train(&mut self, fail_in_epoch: Option<u32>) -> std::result::Result<Vec<f32>, candle_core::Error> {
        let mut losses = Vec::new();
        for epoch in self.run.epochs(1..=3_u32).on(&self.device) {
            for _ in 0..BATCHES_PER_EPOCH {
                losses.push(Self::train_batch(&self.layer, &mut self.optimizer, &self.clock, &self.device)?);
                if fail_in_epoch == Some(epoch) {
                    candle_core::bail!("gave up on purpose");
                }
            }
        }
        Ok(losses)
    }
}

fn epoch_summaries(footprint: &Footprint) -> Vec<(u32, f64, bool)> {
    footprint.epochs.iter().map(|it| (it.epoch, it.energy.joules().round(), it.completed)).collect()
}

#[test]
fn each_epoch_has_exact_energy() {
    let dir = tempfile::tempdir().unwrap();
    let mut training = LoopFixture::new(dir.path());
    let losses = training.train(None).unwrap();
    assert!(losses.last().unwrap() < &losses[0], "the loss decreases: {losses:?}");
    let footprint = training.run.finish();
    assert_eq!(epoch_summaries(&footprint), [(1, 400.0, true), (2, 400.0, true), (3, 400.0, true)]);
    assert_eq!(
        (footprint.run.outcome, footprint.hardware.as_str()),
        (RunStatus::Completed, "1 x Scripted CPU")
    );
}

#[test]
fn error_leaves_epoch_incomplete() {
    let dir = tempfile::tempdir().unwrap();
    let mut training = LoopFixture::new(dir.path());
    let error = training.train(Some(2)).unwrap_err();
    assert!(error.to_string().contains("gave up"));
    let footprint = training.run.finish();
    assert_eq!(epoch_summaries(&footprint), [(1, 400.0, true), (2, 100.0, false)]);
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
}

#[test]
fn dropped_run_is_failed_and_recoverable() {
    let dir = tempfile::tempdir().unwrap();
    let mut training = LoopFixture::new(dir.path());
    assert!(training.train(Some(3)).is_err());
    drop(training);
    let footprint = sootprint::load_footprint(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, RunStatus::Failed);
    assert_eq!(epoch_summaries(&footprint).last(), Some(&(3, 100.0, false)));
}

#[test]
fn panic_in_step_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let panicked = std::panic::catch_unwind(|| {
        let training = LoopFixture::new(dir.path());
        for epoch in training.run.epochs(0..2_usize).on(&training.device) {
            training.clock.advance(Duration::from_secs(1));
            assert_eq!(epoch, 0, "on purpose");
        }
    });
    assert!(panicked.is_err());
    let footprint = sootprint::load_footprint(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, RunStatus::Panicked);
    assert_eq!(epoch_summaries(&footprint), [(0, 100.0, true), (1, 100.0, false)]);
}

/// The outcomes in the table of the crate's documentation, for loops of three epochs of two seconds.
#[test]
fn each_loop_exit_has_its_status() {
    /// Name, loop, outcome, and the expected epochs.
    type LoopEndCase =
        (&'static str, fn(LoopFixture) -> Option<Footprint>, RunStatus, &'static [(u32, f64, bool)]);
    let cases: [LoopEndCase; 7] = [
        (
            "all epochs",
            |training| {
                training.run_epochs(|_| Ok(())).unwrap();
                Some(training.run.finish())
            },
            RunStatus::Completed,
            &[(1, 200.0, true), (2, 200.0, true), (3, 200.0, true)],
        ),
        (
            "break",
            |training| {
                for epoch in training.run.epochs(1..=3_u32).on(&training.device) {
                    training.clock.advance(Duration::from_secs(1));
                    if epoch == 2 {
                        break;
                    }
                    training.clock.advance(Duration::from_secs(1));
                }
                Some(training.run.finish())
            },
            RunStatus::StoppedEarly,
            &[(1, 200.0, true), (2, 100.0, false)],
        ),
        (
            "an error that is handled",
            |training| {
                assert!(
                    training
                        .run_epochs(|epoch| if epoch == 2 { candle_core::bail!("no") } else { Ok(()) })
                        .is_err()
                );
                Some(training.run.finish())
            },
            RunStatus::StoppedEarly,
            &[(1, 200.0, true), (2, 100.0, false)],
        ),
        (
            "an error that ends the training",
            |training| {
                assert!(
                    training
                        .run_epochs(|epoch| if epoch == 3 { candle_core::bail!("no") } else { Ok(()) })
                        .is_err()
                );
                None
            },
            RunStatus::Failed,
            &[(1, 200.0, true), (2, 200.0, true), (3, 100.0, false)],
        ),
        (
            "a closure that fails",
            |training| {
                training.run.handle().add_devices([]);
                let _ = training.run.epoch(1, || {
                    training.clock.advance(Duration::from_secs(2));
                    Err::<(), _>("no")
                });
                Some(training.run.finish())
            },
            RunStatus::Completed,
            &[(1, 200.0, false)],
        ),
        (
            "a loop without epochs",
            |training| {
                for _ in training.run.windows(WindowLength::steps(2), 0..5).on(&training.device) {
                    training.clock.advance(Duration::from_secs(1));
                }
                Some(training.run.finish())
            },
            RunStatus::Completed,
            &[(1, 200.0, true), (2, 200.0, true), (3, 100.0, true)],
        ),
        (
            "a panic that is caught",
            |training| {
                let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    let _ = training.run_epochs(|epoch| {
                        assert_eq!(epoch, 1, "on purpose");
                        Ok(())
                    });
                    drop(training);
                }));
                assert!(caught.is_err());
                None
            },
            RunStatus::Panicked,
            &[(1, 200.0, true), (2, 100.0, false)],
        ),
    ];
    for (name, run_case, outcome, expected) in cases {
        let dir = tempfile::tempdir().unwrap();
        let finished = run_case(LoopFixture::new(dir.path()));
        let recovered = sootprint::load_footprint(dir.path(), None).unwrap();
        assert_eq!(
            (recovered.run.outcome, epoch_summaries(&recovered).as_slice()),
            (outcome, expected),
            "{name}"
        );
        assert!(finished.is_none_or(|own| own == recovered), "{name}: the ledger yields another footprint");
    }
}

#[test]
fn budget_stops_loop_between_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", steady).with_clock(clock.clone());
    let run = Run::pre_training(dir.path())
        .replay(replay)
        .budget(Budget::max_energy(Energy::from_joules(700.0)).stop_when_exceeded())
        .start();
    for _ in run.epochs(1..=9_u32).on(&Device::Cpu) {
        clock.advance(Duration::from_secs(2));
        assert!(run.handle().flush(Duration::from_secs(120)));
    }
    let footprint = run.finish();
    assert_eq!(epoch_summaries(&footprint), [(1, 200.0, true), (2, 200.0, true), (3, 200.0, true)]);
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
    assert!(footprint.notes.iter().any(|note| note.contains("is not enough for another epoch")));
}

#[test]
fn gradient_accumulation_keeps_epoch_and_phases() {
    let dir = tempfile::tempdir().unwrap();
    let LoopFixture { run, clock, device, layer, mut optimizer } = LoopFixture::new(dir.path());
    // Two shards whose losses are added before one optimizer step, as in candle-examples.
    let devices = [device.clone(), Device::Cpu];
    for _ in run.epochs(1..=2_u32).on_all(&devices) {
        for _ in 0..BATCHES_PER_EPOCH {
            let losses = devices.each_ref().map(|device| {
                let _phase = run.phase("forward");
                clock.advance(Duration::from_secs(1));
                run.add_samples(1);
                let input = Tensor::new(&[[1f32, 2.0, 3.0]], device).unwrap();
                layer.forward(&input).unwrap().sqr().unwrap().mean_all().unwrap()
            });
            let _phase = run.phase("backward");
            clock.advance(Duration::from_secs(1));
            let loss = losses[0].add(&losses[1]).unwrap();
            optimizer.backward_step(&loss).unwrap();
        }
    }
    let footprint = run.finish();
    let epoch = &footprint.epochs[1];
    let phases: Vec<_> =
        epoch.phases.iter().map(|it| (it.name.as_str(), it.energy.joules().round())).collect();
    // Eight seconds forward and four backward, at 100 W.
    assert_eq!(phases, [("forward", 800.0), ("backward", 400.0)]);
    assert_eq!((epoch.samples, footprint.run.samples), (Some(8), Some(16)));
    // 2,400 J over 16 samples.
    assert!((footprint.per_sample().unwrap().energy.joules() - 150.0).abs() < 1e-6);
}
