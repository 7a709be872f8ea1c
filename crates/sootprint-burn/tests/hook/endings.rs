//! Each outcome in the table of the crate's documentation.

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
use sootprint::{Footprint, RunStatus, load_footprint};
use sootprint_burn::{TrackEmissionsExt as _, TrackedTraining};

use super::fixture::*;
use super::renderers::{PanickingRenderer, ResettingDashboard};

/// A training and its expected outcome.
struct TrainingEndCase {
    name: &'static str,
    planned_epochs: usize,
    fault: fn(&Interrupter) -> BatchFault,
    configure: fn(SupervisedTraining<TestClassifier>, &Interrupter) -> SupervisedTraining<TestClassifier>,
    outcome: RunStatus,
    epochs: &'static [(u32, bool)],
    /// Batches made in an incomplete last epoch.
    batches_before_exit: usize,
    /// Part of a note in the footprint.
    expected_note: Option<&'static str>,
}

const COMPLETED_CASE: TrainingEndCase = TrainingEndCase {
    name: "all planned epochs",
    planned_epochs: 3,
    fault: |_| BatchFault::None,
    configure: |training, _| training,
    outcome: RunStatus::Completed,
    epochs: &[(1, true), (2, true), (3, true)],
    batches_before_exit: 0,
    expected_note: None,
};

fn end_cases() -> Vec<TrainingEndCase> {
    vec![
        COMPLETED_CASE,
        TrainingEndCase { name: "a single epoch", planned_epochs: 1, epochs: &[(1, true)], ..COMPLETED_CASE },
        TrainingEndCase {
            name: "Burn's early stopping",
            planned_epochs: 9,
            configure: |training, _| training.early_stopping(StopAfterEpoch(2)),
            outcome: RunStatus::StoppedEarly,
            epochs: &[(1, true), (2, true)],
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "an interruption during training",
            planned_epochs: 9,
            fault: |interrupter| BatchFault::Interrupt(BATCHES_PER_EPOCH + 2, interrupter.clone()),
            outcome: RunStatus::Interrupted,
            epochs: &[(1, true), (2, false)],
            batches_before_exit: 2,
            expected_note: Some("enough"),
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "an interruption during validation",
            planned_epochs: 9,
            fault: |interrupter| {
                BatchFault::Interrupt(BATCHES_PER_EPOCH + TRAIN_BATCHES + 1, interrupter.clone())
            },
            outcome: RunStatus::Interrupted,
            epochs: &[(1, true), (2, false)],
            batches_before_exit: TRAIN_BATCHES + 1,
            expected_note: Some("enough"),
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "an interruption at the last training batch",
            planned_epochs: 9,
            fault: |interrupter| {
                BatchFault::Interrupt(BATCHES_PER_EPOCH + TRAIN_BATCHES, interrupter.clone())
            },
            outcome: RunStatus::Interrupted,
            epochs: &[(1, true), (2, false)],
            batches_before_exit: TRAIN_BATCHES,
            expected_note: Some("enough"),
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "an interruption at an epoch's last batch",
            planned_epochs: 9,
            fault: |interrupter| BatchFault::Interrupt(2 * BATCHES_PER_EPOCH, interrupter.clone()),
            outcome: RunStatus::Interrupted,
            epochs: &[(1, true), (2, true)],
            expected_note: Some("enough"),
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "an interruption with a dashboard that resets it",
            planned_epochs: 9,
            fault: |interrupter| BatchFault::Interrupt(BATCHES_PER_EPOCH + 2, interrupter.clone()),
            configure: |training, interrupter| {
                training.renderer(Box::new(ResettingDashboard(interrupter.clone())))
            },
            outcome: RunStatus::Interrupted,
            epochs: &[(1, true), (2, false)],
            batches_before_exit: 2,
            expected_note: Some("enough"),
        },
        TrainingEndCase {
            name: "a panic in a step",
            planned_epochs: 9,
            fault: |_| BatchFault::Panic(BATCHES_PER_EPOCH + 2),
            outcome: RunStatus::Panicked,
            epochs: &[(1, true), (2, false)],
            batches_before_exit: 2,
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "a panic in a validation step",
            planned_epochs: 9,
            fault: |_| BatchFault::Panic(2 * BATCHES_PER_EPOCH),
            outcome: RunStatus::Panicked,
            epochs: &[(1, true), (2, false)],
            batches_before_exit: BATCHES_PER_EPOCH,
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "several devices",
            planned_epochs: 2,
            configure: |training, _| training.with_training_strategy(two_device_strategy().into()),
            epochs: &[(1, true), (2, true)],
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "several devices with sharded optimizers",
            planned_epochs: 2,
            configure: |training, _| {
                let devices = vec![Device::flex(), Device::flex()];
                let strategy = ExecutionStrategy::multi(devices, MultiDeviceOptim::OptimSharded);
                training.with_training_strategy(strategy.into())
            },
            epochs: &[(1, true), (2, true)],
            ..COMPLETED_CASE
        },
        TrainingEndCase {
            name: "a worker of several devices that panics",
            planned_epochs: 9,
            // Each step makes one batch per device.
            fault: |_| BatchFault::Panic(BATCHES_PER_EPOCH + 3),
            configure: |training, _| training.with_training_strategy(two_device_strategy().into()),
            outcome: RunStatus::Failed,
            epochs: &[(1, true), (2, false)],
            batches_before_exit: 4,
            expected_note: Some("on purpose"),
        },
    ]
}

#[test]
fn each_ending_has_status_and_energy() {
    for case in end_cases() {
        for boundaries in [BoundaryMode::Loader, BoundaryMode::Worker] {
            let dir = tempfile::tempdir().unwrap();
            let interrupter = Interrupter::new();
            let (run, mut batches) = scripted_run(dir.path());
            batches.fault = (case.fault)(&interrupter);
            let training = training(dir.path(), &batches, case.planned_epochs, boundaries)
                .with_interrupter(interrupter.clone());
            let training = (case.configure)(training, &interrupter).track_emissions(&run);
            let panics = try_launch(training).is_none();
            assert_ending(&case, boundaries, panics, &run.finish(), &batches);
        }
    }
}

fn assert_ending(
    case: &TrainingEndCase,
    boundaries: BoundaryMode,
    panics: bool,
    footprint: &Footprint,
    batches: &TimedBatcher,
) {
    let name = format!("{} ({boundaries:?})", case.name);
    assert_eq!(panics, case.outcome == RunStatus::Panicked, "{name}");
    assert_eq!(footprint.run.outcome, case.outcome, "{name}");
    assert_eq!(epoch_completion(footprint), case.epochs, "{name}");
    assert_eq!(
        round_to_micro(footprint.energy.total.joules()),
        joules_after_seconds(batches.batches_made()),
        "{name}"
    );
    let is_noted =
        case.expected_note.is_none_or(|text| footprint.notes.iter().any(|note| note.contains(text)));
    assert!(is_noted, "{name}: {:?}", footprint.notes);
    assert!(!footprint.run.partial, "{name}: the CPU has no device id: {:?}", footprint.components);
    if boundaries == BoundaryMode::Loader {
        let expected = |(_, is_complete): &(u32, bool)| match is_complete {
            true => EPOCH_JOULES,
            false => joules_of_first_seconds(case.batches_before_exit),
        };
        assert_eq!(epoch_joules(footprint), case.epochs.iter().map(expected).collect::<Vec<_>>(), "{name}");
    }
}

/// Launches a training. Returns `None` if it panics.
fn try_launch(training: TrackedTraining<TestClassifier>) -> Option<LearningResult<TestClassifier>> {
    catch_unwind(AssertUnwindSafe(|| training.launch(learner()))).ok()
}

fn two_device_strategy() -> ExecutionStrategy {
    ExecutionStrategy::multi(vec![Device::flex(), Device::flex()], MultiDeviceOptim::OptimMainDevice)
}

#[derive(Clone)]
pub(crate) struct StopAfterEpoch(pub(crate) usize);

impl EarlyStoppingStrategy for StopAfterEpoch {
    fn should_stop(&mut self, epoch: usize, _: &EventStoreClient) -> bool {
        epoch >= self.0
    }
}

/// "Kill" in a dashboard panics on Burn's worker; the training thread panics when it sends the worker the next batch.
#[test]
fn dashboard_kill_is_recorded_as_panic() {
    for boundaries in [BoundaryMode::Loader, BoundaryMode::Worker] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run(dir.path());
        let renderer = PanickingRenderer { updates: 0, panic_at: BATCHES_PER_EPOCH + 1 };
        let training = training(dir.path(), &batches, 9, boundaries).renderer(Box::new(renderer));
        assert!(try_launch(training.track_emissions(&run)).is_none(), "the panic propagates");
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::Panicked);
        assert_eq!(epoch_completion(&footprint), [(1, true), (2, false)], "{boundaries:?}");
        assert_eq!(
            round_to_micro(footprint.energy.total.joules()),
            joules_after_seconds(batches.batches_made())
        );
    }
}

#[test]
fn unreadable_image_fails_training() {
    for boundaries in [BoundaryMode::Loader, BoundaryMode::Worker] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run(dir.path());
        let digits = DigitDataset { items: TRAIN_BATCHES * BATCH_SIZE, fail_at: Some(2 * BATCH_SIZE) };
        let train = DataLoaderBuilder::new(batches.clone()).batch_size(BATCH_SIZE).build(digits);
        let training = training_with_loaders(dir.path(), train, batches.loader(VALID_BATCHES), 2, boundaries);
        let result = try_launch(training.track_emissions(&run)).unwrap();
        assert!(result.error.is_some());
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::Failed);
        assert_eq!(epoch_completion(&footprint), [(1, false)], "{boundaries:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("damaged")), "{:?}", footprint.notes);
    }
}

/// The first attempt panics in the third epoch; the second one resumes from the checkpoint of the second epoch.
#[test]
fn resumed_training_has_all_attempts() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted_run(dir.path());
    batches.fault = BatchFault::Panic(2 * BATCHES_PER_EPOCH + 3);
    let first = training(dir.path(), &batches, 4, BoundaryMode::Loader).with_default_checkpointers();
    assert!(try_launch(first.track_emissions(&run)).is_none());
    assert_eq!(run.finish().run.outcome, RunStatus::Panicked);

    let (run, batches) = scripted_run(dir.path());
    let second =
        training(dir.path(), &batches, 4, BoundaryMode::Loader).with_default_checkpointers().checkpoint(2);
    assert!(try_launch(second.track_emissions(&run)).unwrap().error.is_none());
    let footprint = run.finish();

    let attempts: Vec<_> =
        footprint.epochs.iter().map(|epoch| (epoch.attempt, epoch.epoch, epoch.completed)).collect();
    assert_eq!(attempts, [(1, 1, true), (1, 2, true), (1, 3, false), (2, 3, true), (2, 4, true)]);
    let partial_joules = joules_of_first_seconds(3);
    assert_eq!(
        epoch_joules(&footprint),
        [EPOCH_JOULES, EPOCH_JOULES, partial_joules, EPOCH_JOULES, EPOCH_JOULES]
    );
    assert_eq!((footprint.run.attempts, footprint.run.outcome), (2, RunStatus::Completed));
}

/// If a panic aborts the process, the footprint comes from the ledger.
#[test]
fn aborted_process_keeps_epochs() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new(std::env::current_exe().unwrap())
        .args(["endings::child_process_aborts_on_panic", "--exact"])
        .env(ABORT_DIR_VAR, dir.path())
        .status()
        .unwrap();
    assert!(!status.success());
    let footprint = load_footprint(dir.path(), None).unwrap();
    assert_eq!(footprint.run.outcome, RunStatus::Killed);
    assert_eq!(epoch_completion(&footprint)[..1], [(1, true)]);
    assert_eq!(epoch_joules(&footprint)[0], EPOCH_JOULES);
}

const ABORT_DIR_VAR: &str = "SOOTPRINT_TEST_ABORT_DIR";

/// The child process of `aborted_process_keeps_epochs`; does nothing otherwise.
#[test]
fn child_process_aborts_on_panic() {
    let Some(dir) = std::env::var_os(ABORT_DIR_VAR) else { return };
    std::panic::set_hook(Box::new(|_| std::process::abort()));
    let dir = Path::new(&dir);
    let (run, mut batches) = scripted_run(dir);
    batches.fault = BatchFault::Panic(BATCHES_PER_EPOCH + 2);
    training(dir, &batches, 9, BoundaryMode::Loader).track_emissions(&run).launch(learner());
    unreachable!("the hook aborts the process");
}
