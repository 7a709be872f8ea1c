//! Accuracy against the exact energy of a script, for each kind of sensor and for arbitrary epoch boundaries.
//!
//! The script is the one of the benchmarks, 100 W for 700 ms and 400 W for 330 ms, and the limits are the accuracy goals of
//! the project.

use std::time::Duration;

use proptest::prelude::*;
use sootprint_core::{ComponentKind, Power};
use sootprint_power::{Replay, ReplaySensor, VirtualClock};

use super::Run;

const PERIOD_SECONDS: f64 = 1.03;

/// The exact energy of the script from its start to `time`, computed independently of the code under test.
fn true_energy(time: f64) -> f64 {
    let periods = (time / PERIOD_SECONDS).floor();
    let remainder = time - periods * PERIOD_SECONDS;
    periods * 202.0 + 100.0 * remainder.min(0.7) + 400.0 * (remainder - 0.7).max(0.0)
}

/// The relative errors of a run from `start` to `start + length`, and of its only epoch.
fn relative_errors(sensor: ReplaySensor, start: f64, length: f64) -> [f64; 2] {
    let dir = tempfile::tempdir().unwrap();
    let clock = VirtualClock::default();
    let script = [(0.7, 100.0), (0.33, 400.0)]
        .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
    let replay = Replay::new()
        .with_component(ComponentKind::Gpu, "GPU", script)
        .with_sensor(sensor)
        .with_clock(clock.clone());
    clock.advance(Duration::from_secs_f64(start));
    let run = Run::pre_training(dir.path()).replay(replay).start();
    for _ in run.epochs(1..=1) {
        clock.advance(Duration::from_secs_f64(length));
    }
    let footprint = run.finish();
    let used = true_energy(start + length) - true_energy(start);
    [footprint.energy.total, footprint.epochs[0].energy].map(|energy| (energy.joules() / used - 1.0).abs())
}

fn assert_errors_within(
    sensor: ReplaySensor,
    start: f64,
    length: f64,
    goal: f64,
) -> Result<(), TestCaseError> {
    let errors = relative_errors(sensor, start, length);
    prop_assert!(
        errors.iter().all(|error| *error <= goal),
        "{errors:?} of {goal} at {start} s for {length} s"
    );
    Ok(())
}

/// GPUs that follow one script, each at a multiple of its power and with its own sensor.
fn gpus_with_sensors(sensors: &[ReplaySensor]) -> Replay {
    sensors.iter().zip(1_u32..).fold(Replay::new(), |replay, (sensor, factor)| {
        let script = [(0.7, 100.0), (0.33, 400.0)].map(|(seconds, watts)| {
            (Duration::from_secs_f64(seconds), Power::from_watts(watts * f64::from(factor)))
        });
        replay.with_component(ComponentKind::Gpu, format!("GPU {factor}"), script).with_sensor(*sensor)
    })
}

fn sensor_lists() -> impl Strategy<Value = Vec<ReplaySensor>> {
    let sensor = prop_oneof![
        Just(ReplaySensor::Counter),
        Just(ReplaySensor::TickingCounter(0.02)),
        Just(ReplaySensor::TickingCounter(0.1)),
        Just(ReplaySensor::Power),
    ];
    prop::collection::vec(sensor, 1..=8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn exact_counter_has_no_error(start in 0.0..3.0, length in 0.05..60.0) {
        assert_errors_within(ReplaySensor::Counter, start, length, 1e-6)?;
    }

    #[test]
    fn counter_with_20ms_tick_meets_goal(start in 0.0..3.0, length in 5.0..30.0) {
        assert_errors_within(ReplaySensor::TickingCounter(0.02), start, length, 0.0005)?;
    }

    #[test]
    fn counter_with_100ms_tick_meets_goal(start in 0.0..3.0, length in 5.0..30.0) {
        assert_errors_within(ReplaySensor::TickingCounter(0.1), start, length, 0.005)?;
    }

    #[test]
    fn short_window_meets_accuracy_goal(start in 0.0..3.0) {
        assert_errors_within(ReplaySensor::TickingCounter(0.1), start, 0.15, 0.05)?;
    }

    #[test]
    fn power_samples_meet_accuracy_goal(start in 0.0..3.0, length in 5.0..30.0) {
        assert_errors_within(ReplaySensor::Power, start, length, 0.01)?;
    }
}

proptest! {
    // Each case lasts hours of virtual time.
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Adjacent epochs of any length add up to the run.
    #[test]
    fn epoch_energies_sum_to_run(
        sensors in sensor_lists(),
        lengths in prop::collection::vec((0.05_f64.ln()..7_200.0_f64.ln()).prop_map(f64::exp), 1..6),
    ) {
        let dir = tempfile::tempdir().unwrap();
        let clock = VirtualClock::default();
        let run = Run::pre_training(dir.path()).replay(gpus_with_sensors(&sensors).with_clock(clock.clone())).start();
        for number in run.epochs(0..lengths.len()) {
            clock.advance(Duration::from_secs_f64(lengths[number]));
        }
        let footprint = run.finish();
        let sum: f64 = footprint.epochs.iter().map(|epoch| epoch.energy.joules()).sum();
        let total = footprint.energy.total.joules();
        prop_assert!((sum / total - 1.0).abs() < 1e-9, "{sum} J in epochs, {total} J in total");
        prop_assert!(footprint.epochs.iter().all(|epoch| epoch.energy.joules() > 0.0));
        let times: f64 = (1..=sensors.len()).map(|times| times as f64).sum();
        let used = true_energy(lengths.iter().sum()) * times;
        // The clock has a resolution of 1 ns.
        let [low, high] = [footprint.energy.low, footprint.energy.high].map(|bound| bound.joules());
        prop_assert!(
            low <= used * (1.0 + 1e-6) && used <= high * (1.0 + 1e-6),
            "{low} J to {high} J, exact {used} J"
        );
    }
}
