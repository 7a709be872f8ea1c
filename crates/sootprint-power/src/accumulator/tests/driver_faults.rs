//! Drivers that report something else than the truth, as seen in bug reports, and correct ones that must be believed.

use super::*;

/// A GPU whose counter ticks every 100 ms, as a driver reports it.
struct ReportedGpu<C, P> {
    limit: Option<f64>,
    /// The counter in joules and the power in watts at a time in seconds. `None` if the driver does not report it.
    counter: C,
    power: P,
}

impl<C: Fn(f64) -> f64, P: Fn(f64) -> Option<f64>> ReportedGpu<C, P> {
    /// Reads the power about every 100 ms and the counter with every second reading. Returns the totals with unmeasured time included in
    /// the high bound, and the events.
    fn play(&self, length: f64) -> ([f64; 3], Vec<SensorEvent>) {
        let component = ComponentInfo {
            limit: self.limit.map(Power::from_watts),
            assumed_limit: self.limit.is_none().then(|| Power::from_watts(3_000.0)),
            min_power: Some(Power::from_watts(1.0)),
            ..gpu_component(0.05)
        };
        let mut accumulator = EnergyAccumulator::new([(&component, true)]);
        let mut events = Vec::new();
        let steps = (length * 10.0).round() as u32;
        for step in 0..=steps {
            // The sampler varies its intervals, so that no load alternates in step with its readings.
            let part = (f64::from(step) * 0.618_034).fract() * 0.05;
            let time = (f64::from(step) / 10.0 + part).min(length);
            let time = if step == 0 { 0.0 } else { time };
            if let Some(watts) = (self.power)(time) {
                accumulator.record_power(seconds(time), 0, Power::from_watts(watts));
            }
            if step % 2 == 0 {
                events.extend(accumulator.record_reading(
                    seconds(time),
                    0,
                    counter_reading((self.counter)(time)),
                ));
            }
        }
        let total = accumulator.totals(seconds(length))[0];
        let unmeasured = component.max_power().unwrap().watts() * total.unmeasured;
        let [low, best, high] = [total.low, total.energy, total.high].map(Energy::joules);
        ([low, best, high + unmeasured], events)
    }
}

fn contains([low, _, high]: [f64; 3], truth: f64) -> bool {
    low <= truth && truth <= high
}

const FAULTY: SensorEvent = SensorEvent::CounterFaulty { component: 0 };

/// The counter of a GPU that has drawn 300 W for long.
fn steady_counter(time: f64) -> f64 {
    22e6 + 300.0 * (time * 10.0 + 1e-6).floor() / 10.0
}

#[test]
fn frozen_counter_is_replaced_by_power() {
    for limit in [None, Some(700.0)] {
        let gpu = ReportedGpu { limit, counter: |_| 22e6, power: |_| Some(300.0) };
        let (total, events) = gpu.play(10.0);
        assert!((total[1] - 3_000.0).abs() < 1.0 && contains(total, 3_000.0), "{total:?}");
        assert_eq!(events, [FAULTY]);
    }
}

#[test]
fn frozen_counter_without_power_is_unmeasured() {
    let gpu = ReportedGpu { limit: Some(700.0), counter: |_| 0.0, power: |_| None };
    let (total, events) = gpu.play(10.0);
    assert!(contains(total, 3_000.0) && contains(total, 6_900.0), "{total:?}");
    assert_eq!(events, [FAULTY]);
}

#[test]
fn counter_frozen_midway_is_replaced() {
    let gpu = ReportedGpu {
        limit: None,
        counter: |time: f64| steady_counter(time.min(4.0)),
        power: |_| Some(300.0),
    };
    let (total, events) = gpu.play(10.0);
    assert!((total[1] - 3_000.0).abs() < 30.0 && contains(total, 3_000.0), "{total:?}");
    assert_eq!(events, [FAULTY]);
}

#[test]
fn faulty_counter_is_believed_after_recovery() {
    let gpu = ReportedGpu {
        limit: None,
        counter: |time: f64| steady_counter(if time < 5.0 { time.min(1.0) } else { time - 4.0 }),
        power: |_| Some(300.0),
    };
    let (total, events) = gpu.play(20.0);
    assert!((total[1] - 6_000.0).abs() < 60.0 && contains(total, 6_000.0), "{total:?}");
    assert_eq!(events, [FAULTY]);
}

#[test]
fn counter_of_a_hundredth_is_replaced() {
    let gpu = ReportedGpu { limit: None, counter: |time| 3.0 * time, power: |_| Some(300.0) };
    let (total, events) = gpu.play(10.0);
    assert!((total[1] - 3_000.0).abs() < 1.0 && contains(total, 3_000.0), "{total:?}");
    assert!(contains(total, 30.0), "the power may be the wrong one: {total:?}");
    assert_eq!(events, [FAULTY]);
}

#[test]
fn dip_of_counter_is_bridged() {
    for (length, limit, has_power) in [
        (0.05, None, true),
        (0.05, Some(700.0), false),
        (1.0, None, false),
        (1.0, Some(700.0), true),
        (3.0, None, true),
        (3.0, Some(700.0), false),
    ] {
        let is_dip = |time: f64| (4.0..=4.0 + length).contains(&time);
        let gpu = ReportedGpu {
            limit,
            counter: |time| if is_dip(time) { 200.0 } else { steady_counter(time) },
            power: |_| has_power.then_some(300.0),
        };
        let (total, events) = gpu.play(8.0);
        assert!(contains(total, 2_400.0), "{length} s: {total:?}");
        assert!((total[1] - 2_400.0).abs() < 100.0, "{length} s: {total:?}");
        assert_eq!(events[0], SensorEvent::CounterReset { component: 0 });
    }
}

#[test]
fn step_back_of_counter_is_bridged() {
    for has_power in [true, false] {
        let gpu = ReportedGpu {
            limit: None,
            counter: |time| steady_counter(time) - if time >= 3.0 { 150.0 } else { 0.0 },
            power: |_| has_power.then_some(300.0),
        };
        let (total, events) = gpu.play(6.0);
        assert!(contains(total, 1_800.0) && (total[1] - 1_800.0).abs() < 70.0, "{total:?}");
        assert_eq!(events, [SensorEvent::CounterReset { component: 0 }]);
    }
}

#[test]
fn implausible_power_is_unmeasured() {
    for (limit, watts) in
        [(Some(70.0), 593.0), (None, 4_294_967.0), (None, 0.0), (Some(203.0), 0.087), (None, 0.2)]
    {
        let component = ComponentInfo {
            limit: limit.map(Power::from_watts),
            assumed_limit: limit.is_none().then(|| Power::from_watts(3_000.0)),
            min_power: Some(Power::from_watts(1.0)),
            ..gpu_component(0.05)
        };
        let mut accumulator = EnergyAccumulator::new([(&component, false)]);
        let events: Vec<SensorEvent> = (0..=50)
            .filter_map(|step| {
                accumulator.record_reading(seconds(f64::from(step) / 10.0), 0, instant_reading(watts))
            })
            .collect();
        let total = accumulator.totals(seconds(5.0))[0];
        assert_eq!((total.energy, total.measured), (Energy::ZERO, 0.0));
        assert!(is_close(total.unmeasured, 5.0), "{total:?}");
        assert_eq!(events, [SensorEvent::Implausible { component: 0 }]);
    }
}

#[test]
fn power_spike_does_not_spoil_neighbours() {
    let readings = (0..=50).map(|step| {
        let time = f64::from(step) / 10.0;
        (time, instant_reading(if step == 20 { 4_294_967.0 } else { 100.0 }))
    });
    let (total, events) = accumulate(readings);
    assert!(is_close(total.energy.joules(), 500.0), "{total:?}");
    assert!(total.high.joules() < 500.0 / 0.95 + 0.2 * 700.0 / 0.95, "{total:?}");
    let component = 0;
    assert_eq!(events, [SensorEvent::Implausible { component }, SensorEvent::Recovered { component }]);
}

/// A load that alternates between two powers, in watts and seconds.
#[derive(Debug, Clone, Copy)]
struct PulsedLoad {
    watts: [f64; 2],
    times: [f64; 2],
    tick: f64,
}

impl PulsedLoad {
    fn power(&self, time: f64) -> f64 {
        self.watts[usize::from(time.rem_euclid(self.times[0] + self.times[1]) >= self.times[0])]
    }

    fn energy(&self, time: f64) -> f64 {
        let period = self.times[0] + self.times[1];
        let (rounds, rest) = ((time / period).floor(), time.rem_euclid(period));
        let first = rounds * self.times[0] + rest.min(self.times[0]);
        self.watts[0] * first + self.watts[1] * (time - first)
    }
}

fn pulsed_loads() -> impl Strategy<Value = PulsedLoad> {
    let watts = || 7.0..700.0;
    let length = || (0.004_f64.ln()..8.0_f64.ln()).prop_map(f64::exp);
    ((watts(), watts()), (length(), length()), prop_oneof![Just(0.02), Just(0.1), 0.015..0.1])
        .prop_map(|(watts, times, tick)| PulsedLoad { watts: watts.into(), times: times.into(), tick })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    /// A correct counter is believed under idle, steady and fast-changing loads.
    #[test]
    fn correct_counter_is_believed(load in pulsed_loads(), offset in 0.0_f64..1.0, steps in 25_u32..300) {
        let length = f64::from(steps) / 5.0;
        let gpu = ReportedGpu {
            limit: None,
            counter: |time: f64| 1e6 + load.energy(((time + offset) / load.tick).floor() * load.tick),
            power: |time| Some(load.power(time + offset)),
        };
        let (total, events) = gpu.play(length);
        prop_assert_eq!(events, []);
        let truth = load.energy(length + offset) - load.energy(offset);
        let tick = 700.0 * (load.tick * 2.0 + 0.01);
        prop_assert!((total[1] - truth).abs() <= tick, "{total:?}, {truth} J");
        prop_assert!(contains(total, truth), "{total:?}, {truth} J");
    }
}

#[test]
fn hidden_step_back_widens_bounds() {
    let component = ComponentInfo {
        limit: Some(Power::from_watts(700.0)),
        min_power: Some(Power::from_watts(1.0)),
        ..gpu_component(0.05)
    };
    let mut accumulator = EnergyAccumulator::new([(&component, true)]);
    // The counter ticks every 79 ms and is read every second: the step is smaller than what is used in between.
    let counter = |time: f64| {
        872_355.0 + 474.0 * (time / 0.079 + 1e-9).floor() * 0.079 - if time >= 2.428 { 173.0 } else { 0.0 }
    };
    for step in 0..=60 {
        let time = f64::from(step) / 10.0;
        accumulator.record_power(seconds(time), 0, Power::from_watts(474.0));
        if step % 10 == 0 {
            accumulator.record_reading(seconds(time), 0, counter_reading(counter(time)));
        }
    }
    let total = accumulator.totals(seconds(6.0))[0];
    assert!(total.high.joules() >= 2_844.0, "{total:?}");
}
