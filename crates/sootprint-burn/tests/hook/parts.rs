//! What an epoch consists of, and what a budget allows.

use sootprint::{Budget, Energy, EpochSummary, Outcome, RunBuilder};
use sootprint_burn::MeasuredBy as _;

use super::digits::*;
use super::ends::After;

fn phases(epoch: &EpochSummary) -> Vec<(&str, f64, f64)> {
    epoch
        .phases
        .iter()
        .map(|phase| (phase.name.as_str(), micro(phase.duration_s), micro(phase.energy.joules())))
        .collect()
}

#[test]
fn training_validation_and_checkpoint_are_told_apart() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    training(dir.path(), &batches, 2, Edges::Exact)
        .with_default_checkpointers()
        .with_checkpointing_strategy(Slowly(batches.clone()))
        .measured_by(&run)
        .launch(learner());
    let footprint = run.finish();
    for epoch in &footprint.epochs {
        assert_eq!(
            phases(epoch),
            [
                ("training", TRAIN_BATCHES as f64, TRAIN_BATCHES as f64 * TRAIN_WATTS),
                ("validation", VALID_BATCHES as f64, VALID_BATCHES as f64 * VALID_WATTS),
                ("checkpoint and early stopping", BATCHES as f64, EPOCH_JOULES),
            ]
        );
        assert_eq!(epoch.samples, Some((TRAIN_BATCHES * BATCH) as u64));
    }
}

#[test]
fn an_epoch_without_exact_edges_has_its_phases_and_samples_too() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    training(dir.path(), &batches, 2, Edges::Told).measured_by(&run).launch(learner());
    let footprint = run.finish();
    for epoch in &footprint.epochs {
        let names: Vec<&str> = phases(epoch).into_iter().map(|(name, ..)| name).collect();
        assert_eq!(names, ["training", "validation", "checkpoint and early stopping"]);
        assert_eq!(epoch.samples, Some((TRAIN_BATCHES * BATCH) as u64));
    }
}

fn with_budget(joules: f64) -> impl Fn(RunBuilder) -> RunBuilder {
    move |run| run.budget(Budget::energy(Energy::from_joules(joules)).stop())
}

/// Two epochs fit into the budget and a third one does not: Burn is interrupted at its first batch.
#[test]
fn a_budget_that_is_not_enough_for_another_epoch_stops_there() {
    for edges in [Edges::Exact, Edges::Told] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_with(dir.path(), with_budget(2.5 * EPOCH_JOULES));
        let result = training(dir.path(), &batches, 9, edges)
            .with_default_checkpointers()
            .measured_by(&run)
            .launch(learner());
        assert!(result.interrupted.is_some_and(|stop| stop.reason.unwrap().contains("budget")));
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::StoppedEarly, "{edges:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("the budget of")), "{:?}", footprint.notes);
        // What the worker tells of the edges, and so of the next epoch's energy, is not the same each time.
        if edges == Edges::Exact {
            assert_eq!(epochs(&footprint), [(1, true), (2, true)]);
            assert_eq!(joules(&footprint), [EPOCH_JOULES; 2]);
            assert_eq!(batches.made(), 2 * BATCHES + 1);
            assert!(dir.path().join("checkpoint/model-2.bpk").exists(), "the last epoch is saved");
        }
    }
}

#[test]
fn with_early_stopping_it_stops_between_two_epochs() {
    for edges in [Edges::Exact, Edges::Told] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_with(dir.path(), with_budget(2.5 * EPOCH_JOULES));
        let result = training(dir.path(), &batches, 9, edges)
            .with_default_checkpointers()
            .measured_by(&run)
            .early_stopping(After(9))
            .launch(learner());
        assert!(result.interrupted.is_none() && result.error.is_none());
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::StoppedEarly, "{edges:?}");
        assert_eq!(epochs(&footprint), [(1, true), (2, true)], "{edges:?}");
        assert_eq!(batches.made(), 2 * BATCHES, "{edges:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("not enough")), "{:?}", footprint.notes);
        assert!(dir.path().join("checkpoint/model-2.bpk").exists(), "the last epoch is saved");
    }
}

/// Who has done all planned epochs has nothing left to stop.
#[test]
fn a_budget_for_all_planned_epochs_stops_none() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_with(dir.path(), with_budget(2.5 * EPOCH_JOULES));
    let training = training(dir.path(), &batches, 2, Edges::Exact).measured_by(&run);
    training.early_stopping(After(9)).launch(learner());
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    assert!(!footprint.notes.iter().any(|note| note.contains("stopped early")), "{:?}", footprint.notes);
}

#[test]
fn a_budget_that_is_used_up_stops_within_an_epoch() {
    for edges in [Edges::Exact, Edges::Told] {
        let dir = tempfile::tempdir().unwrap();
        let (run, batches) = scripted_with(dir.path(), with_budget(1.5 * TRAIN_WATTS));
        training(dir.path(), &batches, 9, edges).measured_by(&run).launch(learner());
        let footprint = run.finish();
        assert_eq!(footprint.run.outcome, Outcome::StoppedEarly, "{edges:?}");
        assert_eq!(epochs(&footprint), [(1, false)], "{edges:?}");
        assert!(footprint.notes.iter().any(|note| note.contains("used up")), "{:?}", footprint.notes);
    }
}
