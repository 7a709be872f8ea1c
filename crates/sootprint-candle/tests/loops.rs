//! Real loops on the processor, measured on a script whose clock moves a second with each batch.
//!
//! The truth is known: 100 W × one second × the batches that were trained.

#![allow(clippy::unwrap_used, reason = "a test stops at the first surprise, and its figures are whole")]

use std::path::Path;
use std::time::Duration;

use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{Linear, Module as _, Optimizer as _, SGD, VarBuilder, VarMap, linear, loss};
use sootprint::{Budget, Energy, Every, Footprint, Kind, Outcome, Power, Replay, Run, VirtualClock};
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

    /// Three epochs of two seconds, between which the given step is done.
    fn loops(&self, step: impl Fn(u32) -> Result<()>) -> Result<()> {
        for epoch in self.run.epochs(1..=3_u32).on(&self.device) {
            self.clock.advance(Duration::from_secs(1));
            step(epoch)?;
            self.clock.advance(Duration::from_secs(1));
        }
        Ok(())
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

/// How a loop of three epochs of two seconds ends; what the footprint then says of the run, of each epoch, and why.
#[test]
fn every_end_has_its_word() {
    /// Its name, how it comes to its end, and the words for it.
    type End = (&'static str, fn(Training) -> Option<Footprint>, Outcome, &'static [(u32, f64, bool)]);
    let ends: [End; 7] = [
        (
            "all epochs",
            |training| {
                training.loops(|_| Ok(())).unwrap();
                Some(training.run.finish())
            },
            Outcome::Completed,
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
            Outcome::StoppedEarly,
            &[(1, 200.0, true), (2, 100.0, false)],
        ),
        (
            "an error that is handled",
            |training| {
                assert!(
                    training
                        .loops(|epoch| if epoch == 2 { candle_core::bail!("no") } else { Ok(()) })
                        .is_err()
                );
                Some(training.run.finish())
            },
            Outcome::StoppedEarly,
            &[(1, 200.0, true), (2, 100.0, false)],
        ),
        (
            "an error that ends the training",
            |training| {
                assert!(
                    training
                        .loops(|epoch| if epoch == 3 { candle_core::bail!("no") } else { Ok(()) })
                        .is_err()
                );
                None
            },
            Outcome::Failed,
            &[(1, 200.0, true), (2, 200.0, true), (3, 100.0, false)],
        ),
        (
            "a closure that fails",
            |training| {
                training.run.handle().claim([]);
                let _ = training.run.epoch(1, || {
                    training.clock.advance(Duration::from_secs(2));
                    Err::<(), _>("no")
                });
                Some(training.run.finish())
            },
            Outcome::Completed,
            &[(1, 200.0, false)],
        ),
        (
            "a loop without epochs",
            |training| {
                for _ in training.run.slices(Every::steps(2), 0..5).on(&training.device) {
                    training.clock.advance(Duration::from_secs(1));
                }
                Some(training.run.finish())
            },
            Outcome::Completed,
            &[(1, 200.0, true), (2, 200.0, true), (3, 100.0, true)],
        ),
        (
            "a panic that somebody catches",
            |training| {
                let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(move || {
                    let _ = training.loops(|epoch| {
                        assert_eq!(epoch, 1, "on purpose");
                        Ok(())
                    });
                    drop(training);
                }));
                assert!(caught.is_err());
                None
            },
            Outcome::Panicked,
            &[(1, 200.0, true), (2, 100.0, false)],
        ),
    ];
    for (name, end, outcome, expected) in ends {
        let dir = tempfile::tempdir().unwrap();
        let own = end(Training::new(dir.path()));
        let read = sootprint::recover(dir.path(), None).unwrap();
        assert_eq!((read.run.outcome, epochs(&read).as_slice()), (outcome, expected), "{name}");
        assert!(own.is_none_or(|own| own == read), "{name}: the ledger says something else");
    }
}

#[test]
fn a_budget_ends_the_loop_between_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
    let run = Run::pre_training(dir.path())
        .replay(replay)
        .budget(Budget::energy(Energy::from_joules(700.0)).stop())
        .start();
    for _ in run.epochs(1..=9_u32).on(&Device::Cpu) {
        clock.advance(Duration::from_secs(2));
        assert!(run.handle().settle(Duration::from_secs(120)));
    }
    let footprint = run.finish();
    assert_eq!(epochs(&footprint), [(1, 200.0, true), (2, 200.0, true), (3, 200.0, true)]);
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    assert!(footprint.notes.iter().any(|note| note.contains("is not enough for another epoch")));
}

#[test]
fn accumulated_gradients_on_several_devices_are_one_epoch_with_its_phases() {
    let dir = tempfile::tempdir().unwrap();
    let Training { run, clock, device, layer, mut optimizer } = Training::new(dir.path());
    // Two shards whose losses are added before one step of the optimiser, as candle-examples accumulate.
    let devices = [device.clone(), Device::Cpu];
    for _ in run.epochs(1..=2_u32).on_all(&devices) {
        for _ in 0..BATCHES {
            let losses = devices.each_ref().map(|device| {
                let _phase = run.phase("forward");
                clock.advance(Duration::from_secs(1));
                run.samples(1);
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
    // Eight seconds forward and four back, at 100 W.
    assert_eq!(phases, [("forward", 800.0), ("backward", 400.0)]);
    assert_eq!((epoch.samples, footprint.run.samples), (Some(8), Some(16)));
    // 2,400 J over 16 samples.
    assert!((footprint.per_sample().unwrap().energy.joules() - 150.0).abs() < 1e-6);
}
