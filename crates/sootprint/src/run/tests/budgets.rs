//! Predictions and budgets, against sums done by hand.

use sootprint_core::{Co2e, Energy};

use super::*;

const PATIENCE: Duration = Duration::from_secs(120);

/// The scripted run of 400 W with these budgets; a joule emits 1.5 × 1e-4 g.
fn held(dir: &Path, budgets: &[Budget]) -> (Run, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(400.0))];
    let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
    let run = Run::pre_training(dir)
        .replay(replay)
        .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(360.0))
        .pue(Pue::new(1.5).unwrap());
    (budgets.iter().fold(run, |run, budget| run.budget(*budget)).start(), clock)
}

/// An epoch of so many seconds, after which the readings have come.
fn train(run: &Run, clock: &VirtualClock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
    assert!(run.handle().settle(PATIENCE));
}

fn joules(joules: f64) -> Budget {
    Budget::energy(Energy::from_joules(joules))
}

#[test]
fn a_prediction_is_the_mean_of_the_epochs_and_its_interval_is_student_s() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = held(dir.path(), &[]);
    let mut predictions = Vec::new();
    for epoch in run.epochs(1..=6) {
        train(&run, &clock, [0, 9, 10, 11, 10, 10, 10][epoch]);
        predictions.push(run.prediction());
    }
    // Within the first epoch there is nothing to go by.
    assert_eq!(predictions[0], None);
    let after_one = predictions[1].unwrap();
    assert_eq!((after_one.epochs, after_one.to_come, after_one.energy_range), (1, 5, None));
    assert!(close(after_one.energy.joules(), 6.0 * 3_600.0), "{after_one:?}");
    // Three epochs of 3,600, 4,000 and 4,400 J: mean 4,000 J, deviation 400 J, t of two degrees 4.303.
    let after_three = predictions[3].unwrap();
    assert!(close(after_three.energy.joules(), 24_000.0), "{after_three:?}");
    let spread = 4.303 * 400.0 * (3.0_f64 + 9.0 / 3.0).sqrt();
    let (low, high) = after_three.energy_range.unwrap();
    assert!(
        close(high.joules(), 24_000.0 + spread) && close(low.joules(), 24_000.0 - spread),
        "{low} {high}"
    );
    assert!(close(after_three.emissions.grams(), 24_000.0 * 1.5e-4));
    assert!(close(after_three.emissions_range.unwrap().1.grams(), (24_000.0 + spread) * 1.5e-4));
    let footprint = run.finish();
    assert!(close(footprint.energy.total.joules(), 24_000.0));
}

#[test]
fn a_budget_that_stops_ends_the_loop_before_the_epoch_that_would_go_beyond() {
    let dir = tempfile::tempdir().unwrap();
    // Four epochs of 4,000 J fit into 18 kJ, a fifth does not.
    let (run, clock) = held(dir.path(), &[joules(18_000.0).stop()]);
    for _ in run.epochs(1..=10) {
        train(&run, &clock, 10);
    }
    let footprint = run.finish();
    assert_eq!(footprint.epochs.len(), 4);
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    let reason =
        "the training stopped early: the budget of 5.00 Wh is not enough for another epoch of 1.11 Wh";
    assert!(footprint.notes.iter().any(|note| note == reason), "{:?}", footprint.notes);
    assert_eq!(recover(dir.path(), None).unwrap(), footprint);
}

#[test]
fn a_budget_that_only_warns_ends_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = held(dir.path(), &[joules(4_500.0), Budget::emissions(Co2e::from_grams(0.1))]);
    for _ in run.epochs(1..=3) {
        train(&run, &clock, 10);
    }
    assert_eq!(run.handle().over_budget(), None);
    let footprint = run.finish();
    assert_eq!((footprint.epochs.len(), footprint.run.outcome), (3, Outcome::Completed));
}

#[test]
fn a_loop_whose_last_epoch_was_done_is_complete_whatever_it_used() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = held(dir.path(), &[joules(7_900.0).stop()]);
    for _ in run.epochs(1..=2) {
        // The second epoch is longer than the first let expect.
        let seconds = if run.prediction().is_none() { 9 } else { 20 };
        train(&run, &clock, seconds);
    }
    assert_eq!(run.finish().run.outcome, Outcome::Completed);
}

#[test]
fn a_loop_without_epochs_stops_at_the_step_at_which_its_budget_is_used_up() {
    let dir = tempfile::tempdir().unwrap();
    // 1.2 g at 1.5e-4 g a joule: 8,000 J, 20 s.
    let (run, clock) = held(dir.path(), &[Budget::emissions(Co2e::from_grams(1.2)).stop()]);
    let mut steps = 0;
    for _ in run.slices(Every::steps(100), 0..1_000) {
        train(&run, &clock, 3);
        steps += 1;
    }
    assert_eq!(steps, 7);
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::StoppedEarly);
    assert!(close(footprint.energy.total.joules(), 8_400.0));
    assert!(footprint.notes.iter().any(|note| note.ends_with("the budget of 1.20 g CO2e is used up")));
}

#[test]
fn every_warning_is_told_once_when_it_is_foreseen_and_once_when_it_has_come() {
    let mut pace = super::super::budget::Pace::new(vec![joules(1_000.0)]);
    pace.planned(4);
    let mut told = Vec::new();
    for epoch in 1..=4 {
        let used = |times: u32| Energy::from_joules(300.0 * f64::from(times));
        pace.epoch_started(used(epoch - 1));
        pace.epoch_ended(true, used(epoch));
        told.push(pace.warnings(used(epoch), 0.0));
        assert!(pace.warnings(used(epoch), 0.0).is_empty(), "told twice");
    }
    let foreseen =
        "the budget of 1000.0 J will not be enough: after 1 epoch the whole run is expected to use 1200.0 J";
    assert_eq!(
        told,
        [vec![foreseen.to_owned()], vec![], vec![], vec!["the budget of 1000.0 J is used up".to_owned()]]
    );
}
