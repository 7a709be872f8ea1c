//! Forecasts and budgets, checked against sums done by hand.

use sootprint_core::{Co2e, Energy};

use super::*;

/// A scripted run of 400 W with these budgets; one joule emits 1.5e-4 g.
fn run_with_budgets(dir: &Path, budgets: &[Budget]) -> (Run, VirtualClock) {
    let clock = VirtualClock::default();
    let steady = [(Duration::from_secs(1), Power::from_watts(400.0))];
    let replay =
        Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", steady).with_clock(clock.clone());
    let run = Run::pre_training(dir)
        .replay(replay)
        .intensity(CarbonIntensity::from_grams_per_kilowatt_hour(360.0))
        .pue(Pue::new(1.5).unwrap());
    (budgets.iter().fold(run, |run, budget| run.budget(*budget)).start(), clock)
}

/// Advances the clock by an epoch and waits until it is sampled.
fn advance_and_flush(run: &Run, clock: &VirtualClock, seconds: u64) {
    clock.advance(Duration::from_secs(seconds));
    assert!(run.handle().flush(TIMEOUT));
}

fn energy_budget(joules: f64) -> Budget {
    Budget::max_energy(Energy::from_joules(joules))
}

#[test]
fn forecast_interval_uses_student_t() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = run_with_budgets(dir.path(), &[]);
    let mut forecasts = Vec::new();
    for epoch in run.epochs(1..=6) {
        advance_and_flush(&run, &clock, [0, 9, 10, 11, 10, 10, 10][epoch]);
        forecasts.push(run.forecast());
    }
    // There is no forecast within the first epoch.
    assert_eq!(forecasts[0], None);
    let after_one = forecasts[1].unwrap();
    assert_eq!(
        (after_one.completed_epochs, after_one.remaining_epochs, after_one.energy_interval),
        (1, 5, None)
    );
    assert!(approx_eq(after_one.energy.joules(), 6.0 * 3_600.0), "{after_one:?}");
    // Three epochs of 3,600, 4,000 and 4,400 J: mean 4,000 J, standard deviation 400 J, t = 4.302653 for two degrees of freedom.
    let after_three = forecasts[3].unwrap();
    assert!(approx_eq(after_three.energy.joules(), 24_000.0), "{after_three:?}");
    let spread = 4.302_653 * 400.0 * (3.0_f64 + 9.0 / 3.0).sqrt();
    let (low, high) = after_three.energy_interval.unwrap();
    assert!(
        approx_eq(high.joules(), 24_000.0 + spread) && approx_eq(low.joules(), 24_000.0 - spread),
        "{low} {high}"
    );
    assert!(approx_eq(after_three.emissions.grams(), 24_000.0 * 1.5e-4));
    assert!(approx_eq(after_three.emissions_interval.unwrap().1.grams(), (24_000.0 + spread) * 1.5e-4));
    let footprint = run.finish();
    assert!(approx_eq(footprint.energy.total.joules(), 24_000.0));
}

#[test]
fn budget_stops_before_exceeding_epoch() {
    let dir = tempfile::tempdir().unwrap();
    // Four epochs of 4,000 J fit into 18 kJ, a fifth one does not.
    let (run, clock) = run_with_budgets(dir.path(), &[energy_budget(18_000.0).stop_when_exceeded()]);
    for _ in run.epochs(1..=10) {
        advance_and_flush(&run, &clock, 10);
    }
    let footprint = run.finish();
    assert_eq!(footprint.epochs.len(), 4);
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
    let reason = "training stopped early: the budget of 5.00 Wh is not enough for another epoch of 1.11 Wh";
    assert!(footprint.notes.iter().any(|note| note == reason), "{:?}", footprint.notes);
    assert_eq!(load_footprint(dir.path(), None).unwrap(), footprint);
}

#[test]
fn warning_budget_does_not_stop_loop() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) =
        run_with_budgets(dir.path(), &[energy_budget(4_500.0), Budget::max_emissions(Co2e::from_grams(0.1))]);
    for _ in run.epochs(1..=3) {
        advance_and_flush(&run, &clock, 10);
    }
    assert_eq!(run.handle().budget_exceeded(), None);
    let footprint = run.finish();
    assert_eq!((footprint.epochs.len(), footprint.run.outcome), (3, RunStatus::Completed));
}

#[test]
fn finished_loop_is_completed_despite_budget() {
    let dir = tempfile::tempdir().unwrap();
    let (run, clock) = run_with_budgets(dir.path(), &[energy_budget(7_900.0).stop_when_exceeded()]);
    for _ in run.epochs(1..=2) {
        // The second epoch is longer than the forecast expects.
        let seconds = if run.forecast().is_none() { 9 } else { 20 };
        advance_and_flush(&run, &clock, seconds);
    }
    assert_eq!(run.finish().run.outcome, RunStatus::Completed);
}

#[test]
fn windows_stop_when_budget_exceeded() {
    let dir = tempfile::tempdir().unwrap();
    // 1.2 g at 1.5e-4 g/J: 8,000 J, 20 s.
    let (run, clock) =
        run_with_budgets(dir.path(), &[Budget::max_emissions(Co2e::from_grams(1.2)).stop_when_exceeded()]);
    let mut steps = 0;
    for _ in run.windows(WindowLength::steps(100), 0..1_000) {
        advance_and_flush(&run, &clock, 3);
        steps += 1;
    }
    assert_eq!(steps, 7);
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::StoppedEarly);
    assert!(approx_eq(footprint.energy.total.joules(), 8_400.0));
    assert!(footprint.notes.iter().any(|note| note.ends_with("the budget of 1.20 g CO2e is used up")));
}

#[test]
fn each_budget_warning_is_emitted_once() {
    let mut tracker = super::super::budget::BudgetTracker::new(vec![energy_budget(1_000.0)]);
    tracker.set_planned_epochs(4);
    let mut warnings = Vec::new();
    for epoch in 1..=4 {
        let used = |times: u32| Energy::from_joules(300.0 * f64::from(times));
        tracker.start_epoch(used(epoch - 1));
        tracker.end_epoch(true, used(epoch));
        warnings.push(tracker.take_warnings(used(epoch), 0.0));
        assert!(tracker.take_warnings(used(epoch), 0.0).is_empty(), "warned twice");
    }
    let expected =
        "the budget of 1000.0 J will not be enough: after 1 epoch the whole run is expected to use 1200.0 J";
    assert_eq!(
        warnings,
        [vec![expected.to_owned()], vec![], vec![], vec!["the budget of 1000.0 J is used up".to_owned()]]
    );
}
