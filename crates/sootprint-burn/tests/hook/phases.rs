//! The phases of an epoch, and budgets.

use sootprint::{Budget, Energy, EpochSummary, RunBuilder, RunStatus};
use sootprint_burn::TrackEmissionsExt as _;

use super::endings::StopAfterEpoch;
use super::fixture::*;

fn phases(epoch: &EpochSummary) -> Vec<(&str, f64, f64)> {
    epoch
        .phases
        .iter()
        .map(|phase| {
            (phase.name.as_str(), round_to_micro(phase.duration_s), round_to_micro(phase.energy.joules()))
        })
        .collect()
}

#[test]
fn epoch_has_three_separate_phases() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    training(dir.path(), &batches, 2, BoundaryMode::Loader)
        .with_default_checkpointers()
        .with_checkpointing_strategy(SlowCheckpointing(batches.clone()))
        .track_emissions(&run)
        .launch(learner());
    let footprint = run.finish();
    for epoch in &footprint.epochs {
        assert_eq!(
            phases(epoch),
            [
                ("training", TRAIN_BATCHES as f64, TRAIN_BATCHES as f64 * TRAIN_WATTS),
                ("validation", VALID_BATCHES as f64, VALID_BATCHES as f64 * VALID_WATTS),
                ("checkpoint and early stopping", BATCHES_PER_EPOCH as f64, EPOCH_JOULES),
            ]
        );
        assert_eq!(epoch.samples, Some((TRAIN_BATCHES * BATCH_SIZE) as u64));
    }
}

#[test]
fn uninstrumented_epoch_has_phases_and_samples() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    training(dir.path(), &batches, 2, BoundaryMode::Worker).track_emissions(&run).launch(learner());
    let footprint = run.finish();
    for epoch in &footprint.epochs {
        let names: Vec<&str> = phases(epoch).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["training", "validation", "checkpoint and early stopping"]);
        assert_eq!(epoch.samples, Some((TRAIN_BATCHES * BATCH_SIZE) as u64));
    }
}

fn with_budget(joules: f64) -> impl Fn(RunBuilder) -> RunBuilder {
    move |run| run.budget(Budget::max_energy(Energy::from_joules(joules)).stop_when_exceeded())
}

/// The budget suffices for two epochs: Burn is interrupted at the first batch of the third one.
#[test]
fn budget_stops_before_unaffordable_epoch() {
    for boundaries in [BoundaryMode::Loader, BoundaryMode::Worker] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run_with(dir.path(), with_budget(2.5 * EPOCH_JOULES));
        let result = training(dir.path(), &batches, 9, boundaries)
            .with_default_checkpointers()
            .track_emissions(&run)
            .launch(learner());
        assert!(result.interrupted.is_some_and(|stop| stop.reason.unwrap().contains("budget")));
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly, "{boundaries:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("the budget of")), "{:?}", footprint.notes);
        // With the worker's boundaries, the expected energy of the next epoch varies between runs.
        if boundaries == BoundaryMode::Loader {
            assert_eq!(epoch_completion(&footprint), [(1, true), (2, true)]);
            assert_eq!(epoch_joules(&footprint), [EPOCH_JOULES; 2]);
            assert_eq!(batches.batches_made(), 2 * BATCHES_PER_EPOCH + 1);
            assert!(dir.path().join("checkpoint/model-2.bpk").exists(), "the last epoch is saved");
        }
    }
}

#[test]
fn early_stopping_applies_budget_between_epochs() {
    for boundaries in [BoundaryMode::Loader, BoundaryMode::Worker] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run_with(dir.path(), with_budget(2.5 * EPOCH_JOULES));
        let result = training(dir.path(), &batches, 9, boundaries)
            .with_default_checkpointers()
            .track_emissions(&run)
            .early_stopping(StopAfterEpoch(9))
            .launch(learner());
        assert!(result.interrupted.is_none() && result.error.is_none());
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly, "{boundaries:?}");
        assert_eq!(epoch_completion(&footprint), [(1, true), (2, true)], "{boundaries:?}");
        assert_eq!(batches.batches_made(), 2 * BATCHES_PER_EPOCH, "{boundaries:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("not enough")), "{:?}", footprint.notes);
        assert!(dir.path().join("checkpoint/model-2.bpk").exists(), "the last epoch is saved");
    }
}

/// After all planned epochs, there is nothing left to stop.
#[test]
fn sufficient_budget_stops_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run_with(dir.path(), with_budget(2.5 * EPOCH_JOULES));
    let training = training(dir.path(), &batches, 2, BoundaryMode::Loader).track_emissions(&run);
    training.early_stopping(StopAfterEpoch(9)).launch(learner());
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert!(!footprint.notes.iter().any(|note| note.contains("stopped early")), "{:?}", footprint.notes);
}

#[test]
fn exhausted_budget_stops_within_epoch() {
    for boundaries in [BoundaryMode::Loader, BoundaryMode::Worker] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_run_with(dir.path(), with_budget(1.5 * TRAIN_WATTS));
        training(dir.path(), &batches, 9, boundaries).track_emissions(&run).launch(learner());
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly, "{boundaries:?}");
        assert_eq!(epoch_completion(&footprint), [(1, false)], "{boundaries:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("used up")), "{:?}", footprint.notes);
    }
}
