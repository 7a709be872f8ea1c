//! How it ended × what the footprint says: the table of the crate's documentation, row by row.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::Command;

use burn::data::dataloader::DataLoaderBuilder;
use burn::tensor::Device;
use burn::train::metric::store::EventStoreClient;
use burn::train::{
    EarlyStoppingStrategy, ExecutionStrategy, Interrupter, LearningResult, MultiDeviceOptim,
    SupervisedTraining,
};
use sootprint::{Footprint, Outcome, recover};
use sootprint_burn::{Measured, MeasuredBy as _};

use super::digits::*;
use super::renderers::{Dashboard, Killer};

/// A training that ends in one way.
struct End {
    name: &'static str,
    planned: usize,
    incident: fn(&Interrupter) -> Incident,
    training: fn(SupervisedTraining<Perceptron>, &Interrupter) -> SupervisedTraining<Perceptron>,
    outcome: Outcome,
    epochs: &'static [(u32, bool)],
    /// The batches of the epoch that was left open, if one was.
    left_after: usize,
    /// What a note in the footprint says.
    says: Option<&'static str>,
}

const COMPLETED: End = End {
    name: "all planned epochs",
    planned: 3,
    incident: |_| Incident::None,
    training: |training, _| training,
    outcome: Outcome::Completed,
    epochs: &[(1, true), (2, true), (3, true)],
    left_after: 0,
    says: None,
};

fn ends() -> Vec<End> {
    vec![
        COMPLETED,
        End { name: "a single epoch without anything else", planned: 1, epochs: &[(1, true)], ..COMPLETED },
        End {
            name: "Burn's early stopping",
            planned: 9,
            training: |training, _| training.early_stopping(After(2)),
            outcome: Outcome::StoppedEarly,
            epochs: &[(1, true), (2, true)],
            ..COMPLETED
        },
        End {
            name: "an interruption while it trains",
            planned: 9,
            incident: |interrupter| Incident::Interrupt(BATCHES + 2, interrupter.clone()),
            outcome: Outcome::Interrupted,
            epochs: &[(1, true), (2, false)],
            left_after: 2,
            says: Some("enough"),
            ..COMPLETED
        },
        End {
            name: "an interruption while it validates",
            planned: 9,
            incident: |interrupter| Incident::Interrupt(BATCHES + TRAIN_BATCHES + 1, interrupter.clone()),
            outcome: Outcome::Interrupted,
            epochs: &[(1, true), (2, false)],
            left_after: TRAIN_BATCHES + 1,
            says: Some("enough"),
            ..COMPLETED
        },
        End {
            name: "an interruption at the last batch that is trained on",
            planned: 9,
            incident: |interrupter| Incident::Interrupt(BATCHES + TRAIN_BATCHES, interrupter.clone()),
            outcome: Outcome::Interrupted,
            epochs: &[(1, true), (2, false)],
            left_after: TRAIN_BATCHES,
            says: Some("enough"),
            ..COMPLETED
        },
        End {
            name: "an interruption at an epoch's last batch",
            planned: 9,
            incident: |interrupter| Incident::Interrupt(2 * BATCHES, interrupter.clone()),
            outcome: Outcome::Interrupted,
            epochs: &[(1, true), (2, true)],
            says: Some("enough"),
            ..COMPLETED
        },
        End {
            name: "an interruption under a dashboard that forgets it",
            planned: 9,
            incident: |interrupter| Incident::Interrupt(BATCHES + 2, interrupter.clone()),
            training: |training, interrupter| training.renderer(Box::new(Dashboard(interrupter.clone()))),
            outcome: Outcome::Interrupted,
            epochs: &[(1, true), (2, false)],
            left_after: 2,
            says: Some("enough"),
        },
        End {
            name: "a panic in a step",
            planned: 9,
            incident: |_| Incident::Panic(BATCHES + 2),
            outcome: Outcome::Panicked,
            epochs: &[(1, true), (2, false)],
            left_after: 2,
            ..COMPLETED
        },
        End {
            name: "a panic in the validation's step",
            planned: 9,
            incident: |_| Incident::Panic(2 * BATCHES),
            outcome: Outcome::Panicked,
            epochs: &[(1, true), (2, false)],
            left_after: BATCHES,
            ..COMPLETED
        },
        End {
            name: "several devices",
            planned: 2,
            training: |training, _| training.with_training_strategy(two_devices().into()),
            epochs: &[(1, true), (2, true)],
            ..COMPLETED
        },
        End {
            name: "several devices that optimise for themselves",
            planned: 2,
            training: |training, _| {
                let devices = vec![Device::flex(), Device::flex()];
                let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimSharded);
                training.with_training_strategy(strategy.into())
            },
            epochs: &[(1, true), (2, true)],
            ..COMPLETED
        },
        End {
            name: "a worker of several devices that panics",
            planned: 9,
            // Each step of two devices makes two batches.
            incident: |_| Incident::Panic(BATCHES + 3),
            training: |training, _| training.with_training_strategy(two_devices().into()),
            outcome: Outcome::Failed,
            epochs: &[(1, true), (2, false)],
            left_after: 4,
            says: Some("on purpose"),
        },
    ]
}

#[test]
fn every_end_has_its_word_and_its_joules() {
    for end in ends() {
        for edges in [Edges::Exact, Edges::Told] {
            let dir = tempfile::tempdir().unwrap();
            let interrupter = Interrupter::new();
            let (run, mut batches) = scripted(dir.path());
            batches.incident = (end.incident)(&interrupter);
            let training =
                training(dir.path(), &batches, end.planned, edges).with_interrupter(interrupter.clone());
            let training = (end.training)(training, &interrupter).measured_by(&run);
            let panics = launch(training).is_none();
            check(&end, edges, panics, &run.finish(), &batches);
        }
    }
}

fn check(end: &End, edges: Edges, panics: bool, footprint: &Footprint, batches: &Seconds) {
    let name = format!("{} ({edges:?})", end.name);
    assert_eq!(panics, end.outcome == Outcome::Panicked, "{name}");
    assert_eq!(footprint.run.outcome, end.outcome, "{name}");
    assert_eq!(epochs(footprint), end.epochs, "{name}");
    assert_eq!(micro(footprint.energy.total.joules()), seconds(batches.made()), "{name}");
    let said = end.says.is_none_or(|says| footprint.notes.iter().any(|note| note.contains(says)));
    assert!(said, "{name}: {:?}", footprint.notes);
    assert!(!footprint.run.partial, "{name}: the processor claims no board: {:?}", footprint.components);
    if edges == Edges::Exact {
        let expected = |(_, is_complete): &(u32, bool)| match is_complete {
            true => EPOCH_JOULES,
            false => first_seconds(end.left_after),
        };
        assert_eq!(joules(footprint), end.epochs.iter().map(expected).collect::<Vec<_>>(), "{name}");
    }
}

/// Launches it; none when it panics.
fn launch(training: Measured<Perceptron>) -> Option<LearningResult<Perceptron>> {
    catch_unwind(AssertUnwindSafe(|| training.launch(learner()))).ok()
}

fn two_devices() -> ExecutionStrategy {
    ExecutionStrategy::multi(vec![Device::flex(), Device::flex()], MultiDeviceOptim::OptimMainDevice)
}

#[derive(Clone)]
pub(crate) struct After(pub(crate) usize);

impl EarlyStoppingStrategy for After {
    fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
        epoch >= self.0
    }
}

/// A dashboard's "kill" panics on Burn's worker, and the training meets the panic when it tells the worker of a batch.
#[test]
fn a_kill_from_the_dashboard_is_a_panic() {
    for edges in [Edges::Exact, Edges::Told] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted(dir.path());
        let killer = Killer { updates: 0, at: BATCHES + 1 };
        let training = training(dir.path(), &batches, 9, edges).renderer(Box::new(killer));
        assert!(launch(training.measured_by(&run)).is_none(), "the panic is the user's to see");
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::Panicked);
        assert_eq!(epochs(&footprint), [(1, true), (2, false)], "{edges:?}");
        assert_eq!(micro(footprint.energy.total.joules()), seconds(batches.made()));
    }
}

#[test]
fn an_image_that_cannot_be_read_fails_the_training() {
    for edges in [Edges::Exact, Edges::Told] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted(dir.path());
        let digits = Digits { items: TRAIN_BATCHES * BATCH, fail_at: Some(2 * BATCH) };
        let train = DataLoaderBuilder::new(batches.clone()).batch_size(BATCH).build(digits);
        let training = training_on(dir.path(), train, batches.loader(VALID_BATCHES), 2, edges);
        let result = launch(training.measured_by(&run)).unwrap();
        assert!(result.error.is_some());
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::Failed);
        assert_eq!(epochs(&footprint), [(1, false)], "{edges:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("damaged")), "{:?}", footprint.notes);
    }
}

/// A panic in the third epoch, and a second process's worth of training from the checkpoint of the second.
#[test]
fn a_resumed_training_is_one_footprint_with_all_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted(dir.path());
    batches.incident = Incident::Panic(2 * BATCHES + 3);
    let first = training(dir.path(), &batches, 4, Edges::Exact).with_default_checkpointers();
    assert!(launch(first.measured_by(&run)).is_none());
    assert_eq!(run.finish().run.outcome, Outcome::Panicked);

    let (run, batches) = scripted(dir.path());
    let second = training(dir.path(), &batches, 4, Edges::Exact).with_default_checkpointers().checkpoint(2);
    assert!(launch(second.measured_by(&run)).unwrap().error.is_none());
    let footprint = run.finish();

    let attempts: Vec<_> =
        footprint.epochs.iter().map(|epoch| (epoch.attempt, epoch.epoch, epoch.completed)).collect();
    assert_eq!(attempts, [(1, 1, true), (1, 2, true), (1, 3, false), (2, 3, true), (2, 4, true)]);
    let whole = EPOCH_JOULES;
    assert_eq!(joules(&footprint), [whole, whole, first_seconds(3), whole, whole]);
    assert_eq!((footprint.run.attempts, footprint.run.outcome), (2, Outcome::Completed));
}

/// Where a panic ends the process nothing unwinds: what is in the ledger by then is what is known.
#[test]
fn a_process_that_dies_leaves_its_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["ends::dies_when_it_is_told_to", "--exact"])
        .env(DYING, dir.path())
        .status()
        .unwrap();
    assert!(!status.success());
    let footprint = recover(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, Outcome::Killed);
    assert_eq!(epochs(&footprint)[..1], [(1, true)]);
    assert_eq!(joules(&footprint)[0], EPOCH_JOULES);
}

const DYING: &str = "SOOTPRINT_TEST_DYING";

/// Not a test of its own: what `a_process_that_dies_leaves_its_epochs` starts.
#[test]
fn dies_when_it_is_told_to() {
    let Some(dir) = std::env::var_os(DYING) else { return };
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    let dir = Path::new(&dir);
    let (run, mut batches) = scripted(dir);
    batches.incident = Incident::Panic(BATCHES + 2);
    training(dir, &batches, 9, Edges::Exact).measured_by(&run).launch(learner());
    unreachable!("it died");
}
