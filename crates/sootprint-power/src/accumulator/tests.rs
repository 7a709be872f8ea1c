mod driver_faults;
mod scenarios;
mod short_windows;

use proptest::prelude::*;
use sootprint_core::{ComponentKind, MeasurementMethod};

use super::limits::HISTORY_LEN;
use super::*;
use crate::source::SensorTolerance;

fn gpu_component(tolerance: f64) -> ComponentInfo {
    ComponentInfo {
        kind: ComponentKind::Gpu,
        id: "GPU-0".into(),
        name: "GPU".into(),
        method: MeasurementMethod::Counter,
        gpu: None,
        limit: Some(Power::from_watts(700.0)),
        assumed_limit: None,
        min_power: None,
        includes: Vec::new(),
        share: 1.0,
        tolerance: SensorTolerance::from_accuracy(tolerance),
        note: None,
    }
}

fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

fn counter_reading(joules: f64) -> Result<SensorReading, ReadError> {
    Ok(SensorReading::Counter(Energy::from_joules(joules)))
}

fn instant_reading(watts: f64) -> Result<SensorReading, ReadError> {
    Ok(SensorReading::Instant(Power::from_watts(watts)))
}

fn lost_gpu() -> Result<SensorReading, ReadError> {
    Err(ReadError::Lost("gone".into()))
}

/// Feeds readings of a GPU with a tolerance of 5 % and returns its total at the last of them.
fn accumulate(
    readings: impl IntoIterator<Item = (f64, Result<SensorReading, ReadError>)>,
) -> (ComponentTotal, Vec<SensorEvent>) {
    let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.05), false)]);
    let mut events = Vec::new();
    let mut end = Duration::ZERO;
    for (time, reading) in readings {
        end = seconds(time);
        events.extend(accumulator.record_reading(end, 0, reading));
    }
    (accumulator.totals(end)[0], events)
}

fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * right.abs().max(1.0)
}

#[test]
fn first_counter_reading_is_origin() {
    let (total, events) = accumulate([(0.0, counter_reading(5_000.0))]);
    assert_eq!((total, events), (ComponentTotal::default(), vec![]));
}

#[test]
fn counter_difference_respects_tolerance() {
    let (total, _) = accumulate([(0.0, counter_reading(5_000.0)), (10.0, counter_reading(6_000.0))]);
    assert!(is_close(total.energy.joules(), 1_000.0) && is_close(total.low.joules(), 1_000.0 / 1.05));
    assert!(
        is_close(total.high.joules(), 1_000.0 / 0.95)
            && is_close(total.measured, 10.0)
            && is_close(total.unmeasured, 0.0)
    );
}

#[test]
fn instant_power_uses_trapezoid_rule() {
    let (total, _) = accumulate([
        (0.0, instant_reading(100.0)),
        (1.0, instant_reading(300.0)),
        (2.0, instant_reading(300.0)),
    ]);
    assert!(is_close(total.energy.joules(), 500.0));
    let averaged = |watts| Ok(SensorReading::Averaged { mean: Power::from_watts(watts), window: None });
    let (total, _) = accumulate([(0.0, averaged(100.0)), (1.0, averaged(300.0)), (2.0, averaged(500.0))]);
    assert!(is_close(total.energy.joules(), 800.0));
}

#[test]
fn mismatched_average_window_widens_bounds() {
    let averaged =
        |watts| Ok(SensorReading::Averaged { mean: Power::from_watts(watts), window: Some(seconds(1.0)) });
    let bounds = |time| {
        let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.0), false)]);
        accumulator.record_reading(seconds(0.0), 0, averaged(100.0));
        accumulator.record_reading(seconds(time), 0, averaged(500.0));
        let ComponentTotal { low, energy, high, .. } = accumulator.totals(seconds(time))[0];
        [low, energy, high].map(|energy| energy.to_string())
    };
    assert_eq!(bounds(1.0), ["500.0 J"; 3]);
    // Of the 500 J in the second at most 700 W × 0.6 s were used before, and at most 700 W × 0.4 s since.
    assert_eq!(bounds(0.4), ["80.0 J", "200.0 J", "280.0 J"]);
    // Half a second is in no reading: between 0 and 700 W.
    assert_eq!(bounds(1.5), ["500.0 J", "750.0 J", "850.0 J"]);
}

#[test]
fn distant_power_readings_leave_gap() {
    let (total, _) = accumulate([
        (0.0, instant_reading(100.0)),
        (1.0, instant_reading(100.0)),
        (31.0, instant_reading(100.0)),
    ]);
    assert!(
        is_close(total.energy.joules(), 100.0)
            && is_close(total.measured, 1.0)
            && is_close(total.unmeasured, 30.0)
    );
}

#[test]
fn counter_reset_keeps_new_energy() {
    let (total, events) = accumulate([
        (0.0, counter_reading(5_000.0)),
        (1.0, counter_reading(5_400.0)),
        (2.0, counter_reading(150.0)),
    ]);
    assert_eq!(events, [SensorEvent::CounterReset { component: 0 }]);
    assert!(is_close(total.energy.joules(), 550.0), "{total:?}");
    assert_eq!(total.resets, 1);
    assert!(is_close(total.measured, 1.0) && is_close(total.unmeasured, 1.0));
}

#[test]
fn implausible_reset_adds_nothing() {
    let (total, _) = accumulate([(0.0, counter_reading(5_000.0)), (1.0, counter_reading(4_000.0))]);
    assert!(is_close(total.energy.joules(), 0.0) && is_close(total.unmeasured, 1.0));
}

#[test]
fn power_readings_bridge_counter_reset() {
    let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.05), true)]);
    for (time, joules) in [(0.0, 5_000.0), (0.2, 5_080.0), (0.4, 20.0), (0.6, 100.0)] {
        accumulator.record_power(seconds(time), 0, Power::from_watts(400.0));
        accumulator.record_reading(seconds(time), 0, counter_reading(joules));
    }
    let total = accumulator.totals(seconds(0.6))[0];
    // 80 J before, 400 W for the 0.2 s of the reset, of which 20 J were shown, and 80 J after.
    assert!(is_close(total.energy.joules(), 240.0), "{total:?}");
    // At either end the counter, whose ticks were not observed, may be off by 0.25 s of 700 W, and at the reset by
    // more.
    assert!(is_close(total.low.joules(), 0.0), "{total:?}");
    assert!(is_close(total.high.joules(), (160.0 + 700.0 * 0.45) / 0.95 + 2.0 * 700.0 * 0.25), "{total:?}");
    assert_eq!((total.resets, total.unmeasured), (1, 0.0));
}

#[test]
fn reset_energy_interpolates_power() {
    let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.0), true)]);
    for (time, joules, watts) in [(0.0, 5_000.0, 100.0), (0.2, 5_020.0, 100.0), (0.4, 10.0, 400.0)] {
        accumulator.record_power(seconds(time), 0, Power::from_watts(watts));
        accumulator.record_reading(seconds(time), 0, counter_reading(joules));
    }
    // 20 J before, and 0.2 s at 250 W.
    assert!(is_close(accumulator.totals(seconds(0.4))[0].energy.joules(), 70.0));
}

#[test]
fn implausible_reading_is_not_counted() {
    let (total, events) = accumulate([
        (0.0, counter_reading(0.0)),
        (1.0, counter_reading(90_000.0)),
        (2.0, counter_reading(90_100.0)),
    ]);
    assert_eq!(events, [SensorEvent::Implausible { component: 0 }]);
    assert!(
        is_close(total.energy.joules(), 100.0)
            && is_close(total.unmeasured, 1.0)
            && is_close(total.measured, 1.0)
    );
}

#[test]
fn boundary_energy_waits_for_tick() {
    let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.0), true)]);
    // A steady 100 W, a counter that ticks at 0.050, 0.150, 0.250 s and so on.
    let counter_at = |time: f64| 100.0 * (((time + 0.05) / 0.1).floor() * 0.1 - 0.05).max(0.0);
    let mut play = |from: u32, to: u32, step: usize| {
        for millis in (from..=to).step_by(step) {
            let time = f64::from(millis) / 1e3;
            accumulator.record_reading(seconds(time), 0, counter_reading(counter_at(time)));
            accumulator.record_power(seconds(time), 0, Power::from_watts(100.0));
        }
        (
            accumulator.have_counters_ticked_since(seconds(2.0)),
            accumulator.energy_at(seconds(2.0))[0].joules(),
        )
    };
    play(0, 60, 5);
    let (is_settled, energy) = play(200, 2_040, 40);
    assert!(!is_settled && (190.0..200.0).contains(&energy), "not yet ticked: {energy} J");
    let (is_settled, energy) = play(2_045, 2_060, 5);
    assert!(is_settled && (energy - 200.0).abs() <= 0.5, "{energy} J of 200 J");
}

#[test]
fn lost_gpu_time_is_unmeasured() {
    let (total, events) = accumulate([
        (0.0, counter_reading(0.0)),
        (4.0, counter_reading(400.0)),
        (5.0, lost_gpu()),
        (6.0, lost_gpu()),
        (9.0, lost_gpu()),
    ]);
    assert_eq!(events.len(), 1, "reported once: {events:?}");
    assert!(
        is_close(total.energy.joules(), 400.0)
            && is_close(total.measured, 4.0)
            && is_close(total.unmeasured, 5.0)
    );
}

#[test]
fn counter_bridges_gap_power_does_not() {
    let (total, events) = accumulate([
        (0.0, counter_reading(0.0)),
        (20.0, Err(ReadError::Failed("busy".into()))),
        (40.0, counter_reading(4_000.0)),
    ]);
    assert_eq!(events.last(), Some(&SensorEvent::Recovered { component: 0 }));
    assert!(is_close(total.energy.joules(), 4_000.0) && is_close(total.unmeasured, 0.0));
    let (total, _) =
        accumulate([(0.0, instant_reading(100.0)), (20.0, lost_gpu()), (40.0, instant_reading(100.0))]);
    assert!(is_close(total.energy.joules(), 0.0) && is_close(total.unmeasured, 40.0));
}

#[test]
fn unresponsive_gpu_is_unmeasured_from_start() {
    let (total, _) = accumulate([(1.0, lost_gpu()), (5.0, lost_gpu())]);
    assert!(is_close(total.unmeasured, 4.0) && is_close(total.measured, 0.0));
}

#[test]
fn boundary_energy_is_interpolated() {
    let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.0), false)]);
    for (time, joules) in [(0.0, 0.0), (1.0, 100.0), (3.0, 700.0)] {
        accumulator.record_reading(seconds(time), 0, counter_reading(joules));
    }
    for (moment, joules) in [(0.0, 0.0), (0.5, 50.0), (1.0, 100.0), (2.0, 400.0), (3.0, 700.0), (9.0, 700.0)]
    {
        assert!(is_close(accumulator.energy_at(seconds(moment))[0].joules(), joules), "at {moment} s");
    }
}

proptest! {
    /// For any behaviour of a GPU, its energy never decreases and stays within its bounds, and no time is lost or
    /// counted twice.
    #[test]
    fn energy_grows_and_time_adds_up(
        steps in prop::collection::vec((1_u32..5_000, 0_u32..4, 0.0_f64..700.0), 1..60),
    ) {
        let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.05), false)]);
        let (mut now, mut count, mut before) = (Duration::ZERO, 0.0, 0.0);
        accumulator.record_reading(now, 0, counter_reading(count));
        for (millis, event, watts) in steps {
            let time = Duration::from_millis(u64::from(millis));
            now += time;
            count = if event == 1 { 0.0 } else { count + watts * time.as_secs_f64() };
            accumulator.record_reading(now, 0, if event == 2 { lost_gpu() } else { counter_reading(count) });
            let total = accumulator.totals(now)[0];
            prop_assert!(total.energy.joules() >= before);
            prop_assert!(total.low <= total.energy && total.energy <= total.high);
            prop_assert!((total.measured + total.unmeasured - now.as_secs_f64()).abs() < 1e-6);
            before = total.energy.joules();
        }
    }

    /// Splitting a window at any point does not change its sum.
    #[test]
    fn window_equals_sum_of_parts(
        powers in prop::collection::vec(0.0_f64..700.0, 2..HISTORY_LEN), cut in 0.0_f64..1.0,
    ) {
        let mut accumulator = EnergyAccumulator::new([(&gpu_component(0.0), false)]);
        for (second, watts) in powers.iter().enumerate() {
            accumulator.record_reading(seconds(second as f64), 0, instant_reading(*watts));
        }
        let end = (powers.len() - 1) as f64;
        let at = |time: f64| accumulator.energy_at(seconds(time))[0].joules();
        let parts = (at(end * cut) - at(0.0)) + (at(end) - at(end * cut));
        let whole: f64 = powers.windows(2).map(|pair| (pair[0] + pair[1]) / 2.0).sum();
        prop_assert!((parts - whole).abs() < 1e-9 * whole.max(1.0));
    }
}
