//! Real trainings on the processor, measured on a script whose clock moves a second with each batch.
//!
//! The truth is known: 100 W × one second × the batches that were made.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::float_cmp,
    reason = "a test stops at the first surprise, and its figures are whole"
)]

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use burn::data::dataloader::batcher::Batcher;
use burn::data::dataloader::{DataLoader, DataLoaderBuilder};
use burn::data::dataset::InMemDataset;
use burn::module::{Module, Param};
use burn::optim::SgdConfig;
use burn::tensor::{Device, Distribution, Tensor};
use burn::train::logger::TrainingProgressLogger;
use burn::train::metric::LossMetric;
use burn::train::metric::store::EventStoreClient;
use burn::train::{
    EarlyStoppingStrategy, InferenceStep, Interrupter, Learner, RegressionOutput, SupervisedTraining,
    TrainOutput, TrainStep,
};
use sootprint::{Footprint, Kind, Outcome, Power, Replay, Run, VirtualClock};
use sootprint_burn::MeasuredBy as _;

const TRAIN_BATCHES: usize = 4;
const VALID_BATCHES: usize = 2;
const BATCHES: usize = TRAIN_BATCHES + VALID_BATCHES;

#[derive(Module, Debug)]
struct Toy {
    weight: Param<Tensor<2>>,
}

impl Toy {
    fn output(&self, target: Tensor<2>) -> RegressionOutput {
        let output = self.weight.val();
        let loss = output.clone().sub(target.clone()).powi_scalar(2).mean();
        RegressionOutput::new(loss, output, target)
    }
}

impl TrainStep for Toy {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, target: Tensor<2>) -> TrainOutput<RegressionOutput> {
        let output = self.output(target);
        TrainOutput::new(self, output.loss.backward(), output)
    }
}

impl InferenceStep for Toy {
    type Input = Tensor<2>;
    type Output = RegressionOutput;

    fn step(&self, target: Tensor<2>) -> RegressionOutput {
        self.output(target)
    }
}

/// What happens at a batch of this number, counted from 1 over the whole training.
#[derive(Clone)]
enum Incident {
    None,
    Panic { at: usize },
    Interrupt { at: usize, interrupter: Interrupter },
}

/// Makes batches on the training thread; each takes a second.
#[derive(Clone)]
struct Seconds {
    clock: VirtualClock,
    made: Arc<AtomicUsize>,
    incident: Incident,
}

impl Batcher<(), Tensor<2>> for Seconds {
    fn batch(&self, _: Vec<()>, device: &Device) -> Tensor<2> {
        self.clock.advance(Duration::from_secs(1));
        let made = self.made.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.incident {
            Incident::Panic { at } => assert_ne!(made, *at, "on purpose"),
            Incident::Interrupt { at, interrupter } if made == *at => interrupter.stop(Some("enough")),
            _ => {}
        }
        Tensor::zeros([1, 2], device)
    }
}

/// A run on a scripted processor of 100 W.
fn scripted(dir: &Path) -> (Run, Seconds) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
    let batches = Seconds { clock, made: Arc::default(), incident: Incident::None };
    (Run::pre_training(dir).replay(replay).start(), batches)
}

fn loader(batches: &Seconds, count: usize) -> Arc<dyn DataLoader<Tensor<2>>> {
    DataLoaderBuilder::new(batches.clone()).batch_size(1).build(InMemDataset::new(vec![(); count]))
}

fn training(dir: &Path, batches: &Seconds, epochs: usize) -> SupervisedTraining<Toy> {
    SupervisedTraining::new(dir, loader(batches, TRAIN_BATCHES), loader(batches, VALID_BATCHES))
        .metrics((LossMetric::new(),))
        .num_epochs(epochs)
        .with_application_logger(None)
}

fn learner() -> Learner<Toy> {
    let device = Device::flex().autodiff();
    let weight = Param::from_tensor(Tensor::random([1, 2], Distribution::Default, &device));
    Learner::new(Toy { weight }, SgdConfig::new().init(), 0.01)
}

fn epochs(footprint: &Footprint) -> Vec<(u32, bool)> {
    footprint.epochs.iter().map(|epoch| (epoch.epoch, epoch.completed)).collect()
}

fn joules(footprint: &Footprint) -> f64 {
    footprint.energy.total.joules().round()
}

#[test]
fn a_training_has_its_energy_its_epochs_and_burn_s_own_logs() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    let result = training(dir.path(), &batches, 3).measured_by(&run).launch(learner());
    let footprint = run.finish();

    assert!(result.error.is_none());
    assert_eq!(epochs(&footprint), [(1, true), (2, true), (3, true)]);
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    assert_eq!(joules(&footprint), (3 * BATCHES * 100) as f64);
    assert!(!footprint.run.partial, "the processor claims no board: {:?}", footprint.components);
    let in_epochs: f64 = footprint.epochs.iter().map(|epoch| epoch.energy.joules()).sum();
    assert!(in_epochs <= footprint.energy.total.joules() + 1e-6);

    for split in ["train", "valid"] {
        for metric in ["Loss", "Energy", "CO2e"] {
            let log = dir.path().join(split).join("epoch-3").join(format!("{metric}.log"));
            let lines = fs::read_to_string(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
            assert!(lines.lines().last().unwrap().ends_with(",final"), "{lines}");
        }
    }
}

#[test]
fn a_user_s_own_logger_gets_every_call() {
    #[derive(Clone, Default)]
    struct Heard(Arc<Mutex<Vec<String>>>);

    impl Heard {
        fn hear(&self, call: impl Into<String>) {
            self.0.lock().unwrap().push(call.into());
        }
    }

    impl TrainingProgressLogger for Heard {
        fn start(&mut self, total: usize, first: usize, _: Option<usize>, label: Option<&str>) {
            self.hear(format!("start {total} {first} {label:?}"));
        }
        fn update_epoch(&mut self, epoch: usize) {
            self.hear(format!("epoch {epoch}"));
        }
        fn start_split(&mut self, split: &str, items: usize) {
            self.hear(format!("split {split} {items}"));
        }
        fn update_split(&mut self, items: usize) {
            self.hear(format!("items {items}"));
        }
        fn end_split(&mut self) {
            self.hear("split ended");
        }
        fn end(&mut self) {
            self.hear("ended");
        }
        fn log_event_training(&mut self, event: String) {
            self.hear(event);
        }
    }

    let heard = [true, false].map(|is_measured| {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted(dir.path());
        let logger = Heard::default();
        let training = training(dir.path(), &batches, 2).label("digits");
        if is_measured {
            training.measured_by(&run).beside(logger.clone()).launch(learner());
        } else {
            training.with_progress_logger(logger.clone()).launch(learner());
        }
        drop(run);
        Arc::try_unwrap(logger.0)
            .map_or_else(|shared| shared.lock().unwrap().clone(), |own| own.into_inner().unwrap())
    });
    assert_eq!(heard[0], heard[1], "measuring changes nothing of what the user's logger hears");
    assert_eq!(heard[0].first().unwrap(), "start 2 1 Some(\"digits\")");
}

#[test]
fn an_early_stop_is_one() {
    #[derive(Clone)]
    struct After(usize);

    impl EarlyStoppingStrategy for After {
        fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
            epoch >= self.0
        }
    }

    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    training(dir.path(), &batches, 9).early_stopping(After(2)).measured_by(&run).launch(learner());
    let footprint = run.finish();
    assert_eq!(epochs(&footprint), [(1, true), (2, true)]);
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    assert_eq!(joules(&footprint), (2 * BATCHES * 100) as f64);
}

#[test]
fn an_interruption_has_its_reason() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted(dir.path());
    let interrupter = Interrupter::new();
    batches.incident = Incident::Interrupt { at: BATCHES + 2, interrupter: interrupter.clone() };
    let result =
        training(dir.path(), &batches, 9).with_interrupter(interrupter).measured_by(&run).launch(learner());
    assert!(result.interrupted.is_some());
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Interrupted);
    assert_eq!(epochs(&footprint), [(1, true), (2, false)]);
    assert!(footprint.notes.iter().any(|note| note.contains("enough")), "{:?}", footprint.notes);
}

#[test]
fn a_panic_passes_through_and_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted(dir.path());
    batches.incident = Incident::Panic { at: BATCHES + 1 };
    let made = Arc::clone(&batches.made);
    let training = training(dir.path(), &batches, 9);
    let panic = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        training.measured_by(&run).launch(learner());
    }));
    assert!(panic.is_err(), "the panic is the user's to see");
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Panicked);
    assert_eq!(joules(&footprint), (made.load(Ordering::Relaxed) * 100) as f64);
}
