//! Random GPUs, sensors and faults. The true energy is the integral of each scenario's own trace.

use super::*;

/// The true power of a GPU: watts for some seconds each, repeated.
#[derive(Debug, Clone)]
struct ScenarioTrace(Vec<(f64, f64)>);

impl ScenarioTrace {
    fn power(&self, time: f64) -> f64 {
        let mut remaining = time.rem_euclid(self.period());
        for (seconds, watts) in &self.0 {
            if remaining < *seconds {
                return *watts;
            }
            remaining -= seconds;
        }
        self.0[self.0.len() - 1].1
    }

    /// Joules from the start of the trace.
    fn energy(&self, time: f64) -> f64 {
        let round: f64 = self.0.iter().map(|(seconds, watts)| seconds * watts).sum();
        let rounds = (time / self.period()).floor();
        let mut remaining = time - rounds * self.period();
        let mut joules = rounds * round;
        for (seconds, watts) in &self.0 {
            joules += watts * seconds.min(remaining);
            remaining = (remaining - seconds).max(0.0);
        }
        joules
    }

    fn period(&self) -> f64 {
        self.0.iter().map(|(seconds, _)| seconds).sum()
    }
}

#[derive(Debug, Clone, Copy)]
enum ScenarioSensor {
    Exact,
    /// Ticks with this period in seconds, and reports a power as well.
    Ticking(f64, ReportedPower),
    Instant,
    /// The mean of the last second.
    Averaged,
}

/// The power that a GPU reports in addition to its counter.
#[derive(Debug, Clone, Copy)]
enum ReportedPower {
    Unreported,
    Current,
    /// The power at the counter's last tick, for drivers that cache the sensor value.
    AtLastTick,
}

/// What a driver reports instead of the truth. Times are parts of the window.
#[derive(Debug, Clone, Copy)]
enum DriverLie {
    /// The counter stops; afterwards it continues with the right value, or from where it stopped. The latter lasts for
    /// 2 s, or until the end: a shorter one cannot be distinguished from the errors of the sensors.
    Stopped { from: f64, to: f64, catches_up: bool },
    /// The counter shows this many joules for some seconds, then continues.
    Dip { from: f64, seconds: f64, joules: f64 },
    /// The counter steps back by this many joules more than the GPU can use between two readings.
    StepBack { at: f64, joules: f64 },
    /// All power readings show this many watts.
    AbsurdPower { from: f64, to: f64, watts: f64 },
}

#[derive(Debug, Clone)]
struct GpuScenario {
    trace: ScenarioTrace,
    sensor: ScenarioSensor,
    /// The sensor's value relative to the truth, within the tolerance of 5 %.
    gain: f64,
    limit: bool,
    /// Parts of the window: a failure from one to the other, and a reset of the counter.
    outage: Option<(f64, f64)>,
    reset: Option<f64>,
    lost: Option<f64>,
    lie: Option<DriverLie>,
    /// Multiples of the cadence, by which a reading may be early or late.
    jitter: Vec<f64>,
}

const LIMIT: f64 = 700.0;

/// The assumed limit of a GPU that reports none.
const ASSUMED_LIMIT: f64 = 3_000.0;

/// Power readings next to a counter are taken at this interval, in windows that are not longer than the next constant.
const POWER_INTERVAL: f64 = 0.05;
const LONGEST_WINDOW_WITH_POWER: f64 = 60.0;

/// Time between the start of the trace and the window, so that a mean over the last second is complete.
const LEAD_IN: f64 = 100.0;

/// The counter's value before the trace. A counter that has reset and passed this value again cannot be
/// distinguished from one that did not reset.
const INITIAL_COUNT: f64 = 1e8;

impl GpuScenario {
    fn component(&self) -> ComponentInfo {
        ComponentInfo {
            limit: self.limit.then(|| Power::from_watts(LIMIT)),
            assumed_limit: (!self.limit).then(|| Power::from_watts(ASSUMED_LIMIT)),
            min_power: Some(Power::from_watts(1.0)),
            ..super::gpu_component(0.05)
        }
    }

    fn max_power(&self) -> f64 {
        if self.limit { LIMIT } else { ASSUMED_LIMIT }
    }

    fn is_ticking(&self) -> bool {
        matches!(self.sensor, ScenarioSensor::Ticking(..))
    }

    fn is_counter(&self) -> bool {
        self.is_ticking() || matches!(self.sensor, ScenarioSensor::Exact)
    }

    fn reports_power(&self) -> bool {
        matches!(self.sensor, ScenarioSensor::Ticking(_, ReportedPower::Current | ReportedPower::AtLastTick))
    }

    /// Seconds between two readings.
    fn cadence(&self, length: f64) -> f64 {
        match self.sensor {
            ScenarioSensor::Exact | ScenarioSensor::Ticking(..) => (length / 60.0).max(0.2),
            ScenarioSensor::Instant => (length / 150.0).max(0.02),
            ScenarioSensor::Averaged => 1.0,
        }
    }

    /// The sensor's reading at a time in a window of this length.
    fn read(&self, time: f64, length: f64) -> Result<SensorReading, ReadError> {
        let is_in_outage = self.outage.is_some_and(|(from, to)| (from * length..to * length).contains(&time));
        if is_in_outage {
            return Err(ReadError::Failed("busy".into()));
        }
        if self.lost.is_some_and(|at| time >= at * length) {
            return super::lost_gpu();
        }
        let origin = self.origin(time, length);
        let now = LEAD_IN + time;
        let counter_at = |until: f64| {
            let before = if origin > 0.0 { 0.0 } else { INITIAL_COUNT };
            let joules_at =
                |until: f64| before + (self.trace.energy(until) - self.trace.energy(origin)) * self.gain;
            let shown_at = |part: f64| match self.sensor {
                ScenarioSensor::Ticking(tick, _) => last_tick(origin, LEAD_IN + part * length, tick),
                _ => LEAD_IN + part * length,
            };
            let parts = [time / length, (until - LEAD_IN) / length];
            let joules =
                self.falsify_counter(parts, length, joules_at(until), |part| joules_at(shown_at(part)));
            Ok(SensorReading::Counter(Energy::from_joules(joules)))
        };
        if let Some(DriverLie::AbsurdPower { from, to, watts }) = self.lie
            && (from..to).contains(&(time / length))
        {
            let power = Power::from_watts(watts);
            match self.sensor {
                ScenarioSensor::Instant => return Ok(SensorReading::Instant(power)),
                ScenarioSensor::Averaged => {
                    return Ok(SensorReading::Averaged { mean: power, window: Some(seconds(1.0)) });
                }
                ScenarioSensor::Exact | ScenarioSensor::Ticking(..) => {}
            }
        }
        let watts = |joules: f64| Power::from_watts(joules * self.gain);
        match self.sensor {
            ScenarioSensor::Exact => counter_at(now),
            ScenarioSensor::Ticking(tick, _) => counter_at(last_tick(origin, now, tick)),
            ScenarioSensor::Instant => Ok(SensorReading::Instant(watts(self.trace.power(now)))),
            ScenarioSensor::Averaged => {
                let mean = watts(self.trace.energy(now) - self.trace.energy(now - 1.0));
                Ok(SensorReading::Averaged { mean, window: Some(seconds(1.0)) })
            }
        }
    }

    /// What the driver reports at a part of the window, whose last tick was at `ticked`, instead of the counter's true
    /// value. `at` is its true value at another part.
    fn falsify_counter(
        &self,
        [part, ticked]: [f64; 2],
        length: f64,
        joules: f64,
        at: impl Fn(f64) -> f64,
    ) -> f64 {
        let lie = match self.lie {
            Some(DriverLie::Stopped { from, to, catches_up: false }) => {
                let to = to.max(from + 2.0 / length);
                Some(DriverLie::Stopped { from, to, catches_up: !self.reports_power() && to < 1.0 })
            }
            lie => lie,
        };
        match lie {
            Some(DriverLie::Stopped { from, to, .. }) if (from..to).contains(&ticked) => at(from),
            Some(DriverLie::Stopped { from, to, catches_up: false }) if ticked >= to => {
                joules - (at(to) - at(from))
            }
            Some(DriverLie::Dip { from, seconds, joules })
                if (from..from + seconds / length).contains(&part) =>
            {
                joules
            }
            Some(DriverLie::StepBack { at, joules: back }) if part >= at => {
                joules - back - LIMIT * 1.5 * self.cadence(length)
            }
            _ => joules,
        }
    }

    /// The start of the counter: that of the trace, or the reset.
    fn origin(&self, time: f64, length: f64) -> f64 {
        self.reset.map(|at| at * length).filter(|at| time >= *at).map_or(0.0, |reset| LEAD_IN + reset)
    }

    /// The power that the GPU reports in addition to its counter.
    fn reported_power(&self, time: f64, length: f64) -> Option<Power> {
        let moment = match self.sensor {
            ScenarioSensor::Ticking(_, ReportedPower::Current) => LEAD_IN + time,
            ScenarioSensor::Ticking(tick, ReportedPower::AtLastTick) => {
                last_tick(self.origin(time, length), LEAD_IN + time, tick)
            }
            _ => return None,
        };
        if let Some(DriverLie::AbsurdPower { from, to, watts }) = self.lie
            && (from..to).contains(&(time / length))
        {
            return Some(Power::from_watts(watts));
        }
        Some(Power::from_watts(self.trace.power(moment) * self.gain))
    }

    /// Replays the window as the sampler would: densely at boundaries until the counter has ticked, then at its
    /// cadence. Returns the totals at the two later boundaries, each taken as soon as the counter has ticked.
    fn play(
        &self,
        accumulator: &mut EnergyAccumulator,
        component: usize,
        [cut, length]: [f64; 2],
    ) -> [ComponentTotal; 2] {
        let cadence = self.cadence(length);
        let mut jitter = self.jitter.iter().cycle();
        let mut boundaries = [0.0, cut, length].into_iter().peekable();
        let (mut time, mut boundary, mut last_reading) = (0.0, None, None);
        let mut totals = Vec::new();
        while totals.len() < 3 {
            boundary = boundary.or_else(|| boundaries.next_if(|next| *next <= time));
            let reading = self.read(time, length);
            let power = self.reported_power(time, length).filter(|_| reading.is_ok());
            let ticked = matches!((&reading, &last_reading), (Ok(now), Some(Ok(then))) if now != then);
            last_reading = Some(reading.clone());
            if let Some(power) = power {
                accumulator.record_power(seconds(time), component, power);
            }
            accumulator.record_reading(seconds(time), component, reading);
            let is_settled = |at: f64| !self.is_ticking() || ticked && time > at || time > at + 0.25;
            if let Some(at) = boundary.filter(|at| is_settled(*at)) {
                totals.push(accumulator.totals(seconds(at))[component]);
                boundary = boundaries.next_if(|next| *next <= time);
            }
            let step = match boundary {
                Some(at) if time - at < 0.025 => 0.001,
                Some(_) => 0.002,
                None => cadence * jitter.next().unwrap_or(&1.0),
            };
            // The sampler always reads at a boundary.
            let next = boundaries.peek().filter(|next| **next > time);
            let next_time = next.map_or(time + step, |next| (time + step).min(*next));
            if length <= LONGEST_WINDOW_WITH_POWER {
                let mut at = time + POWER_INTERVAL;
                while at < next_time {
                    if let (Ok(_), Some(power)) = (self.read(at, length), self.reported_power(at, length)) {
                        accumulator.record_power(seconds(at), component, power);
                    }
                    at += POWER_INTERVAL;
                }
            }
            time = next_time;
        }
        [totals[1], totals[2]]
    }

    fn check_bounds(&self, total: ComponentTotal, length: f64) -> Result<(), TestCaseError> {
        let truth = self.trace.energy(LEAD_IN + length) - self.trace.energy(LEAD_IN);
        let [low, best, high] = [total.low, total.energy, total.high].map(Energy::joules);
        prop_assert!(0.0 <= low && low <= best + 1e-9 && best <= high + 1e-9, "{total:?}");
        prop_assert!(total.measured + total.unmeasured >= length - 1e-6, "{total:?}");
        prop_assert!(total.measured + total.unmeasured <= length + 0.26, "{total:?}");
        // A counter includes energy used between reads. Power that was not read must not be counted.
        let max_energy = self.max_power() * 1.5 * total.measured;
        prop_assert!(self.is_counter() || best <= max_energy, "{best} J in {} s", total.measured);
        prop_assert!(low <= truth + 1e-6, "{truth} J, and at least {low} J: {total:?}");
        // A loss within the errors of both sensors cannot be seen.
        let unseen = match self.lie {
            Some(DriverLie::Stopped { catches_up: false, .. }) => 0.1 * truth,
            _ => 0.0,
        };
        let high = high + self.max_power() * total.unmeasured + unseen;
        prop_assert!(truth <= high + 1e-6, "{truth} J, and at most {high} J: {total:?}");
        Ok(())
    }
}

fn last_tick(origin: f64, now: f64, tick: f64) -> f64 {
    origin + ((now - origin) / tick).floor() * tick
}

/// Window lengths, from short to long.
fn window_lengths() -> impl Strategy<Value = f64> {
    (0.05_f64.ln()..14_400.0_f64.ln()).prop_map(f64::exp)
}

fn gpu_scenarios(length: f64) -> impl Strategy<Value = Vec<GpuScenario>> {
    // There is at most one power step between two power readings, and between two samples of the sensor, as the
    // bounds assume.
    let shortest = (length / 150.0).max(0.05) * 2.0;
    let trace = prop::collection::vec((shortest..shortest * 20.0, 5.0..650.0), 1..6).prop_map(ScenarioTrace);
    let tick = prop_oneof![Just(0.02), Just(0.1), 0.015..0.12];
    let ticking = (tick, 0..5).prop_map(|(tick, reported)| match reported {
        0 => ScenarioSensor::Ticking(tick, ReportedPower::Unreported),
        1 | 2 => ScenarioSensor::Ticking(tick, ReportedPower::Current),
        _ => ScenarioSensor::Ticking(tick.min(0.1), ReportedPower::AtLastTick),
    });
    let sensor = prop_oneof![
        Just(ScenarioSensor::Exact),
        ticking,
        Just(ScenarioSensor::Instant),
        Just(ScenarioSensor::Averaged),
    ];
    let outage = prop::option::weighted(0.3, (0.0..1.0, 0.0..1.0))
        .prop_map(|outage| outage.map(|(one, other): (f64, f64)| (one.min(other), one.max(other))));
    let fault = || prop::option::weighted(0.2, 0.0..1.0);
    let jitter = prop::collection::vec(0.5..1.5, 1..8);
    let lie = prop::option::weighted(0.3, driver_lies());
    let gpu = (trace, sensor, 0.951..1.049, prop::bool::weighted(0.8), outage, fault(), fault(), jitter, lie);
    let gpu = gpu.prop_map(|(trace, sensor, gain, limit, outage, reset, lost, jitter, lie)| {
        let scripted = GpuScenario { trace, sensor, gain, limit, outage, reset: None, lost, lie, jitter };
        match scripted.sensor {
            // A counter without ticks is a script, which does not lie.
            ScenarioSensor::Exact => GpuScenario { reset, lie: None, ..scripted },
            // After a reset, a lie may look like growth.
            ScenarioSensor::Ticking(..) if scripted.lie.is_none() => GpuScenario { reset, ..scripted },
            // A step back may be hidden by the energy of an outage.
            ScenarioSensor::Ticking(..) => GpuScenario { outage: None, ..scripted },
            ScenarioSensor::Instant | ScenarioSensor::Averaged => scripted,
        }
    });
    prop::collection::vec(gpu, 1..=8)
}

fn driver_lies() -> impl Strategy<Value = DriverLie> {
    let span = || (0.0..1.0, 0.0..1.0).prop_map(|(one, other): (f64, f64)| (one.min(other), one.max(other)));
    prop_oneof![
        (span(), any::<bool>()).prop_map(|((from, to), catches_up)| DriverLie::Stopped {
            from,
            to,
            catches_up
        }),
        (0.0..1.0).prop_map(|from| DriverLie::Stopped { from, to: 2.0, catches_up: false }),
        (0.0..1.0, prop_oneof![Just(0.05), Just(1.0), Just(3.0), 0.01..5.0], 0.0..500.0)
            .prop_map(|(from, seconds, joules)| DriverLie::Dip { from, seconds, joules }),
        (0.0..1.0, 1.0..500.0).prop_map(|(at, joules)| DriverLie::StepBack { at, joules }),
        (span(), prop_oneof![Just(4_294_967.0), Just(0.0), Just(0.087), 1e4..1e7])
            .prop_map(|((from, to), watts)| DriverLie::AbsurdPower { from, to, watts }),
    ]
}

/// `PROPTEST_CASES`, or as many as a test run has time for.
fn case_count() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|count| count.parse().ok()).unwrap_or(3_000)
}

/// A counter that ticks, reports no power and resets in a short run.
fn reset_scenario(trace: &[(f64, f64)], tick: f64, reset: f64) -> GpuScenario {
    GpuScenario {
        trace: ScenarioTrace(trace.to_vec()),
        sensor: ScenarioSensor::Ticking(tick, ReportedPower::Unreported),
        gain: 0.951,
        limit: true,
        outage: None,
        reset: Some(reset),
        lost: None,
        lie: None,
        jitter: vec![1.0],
    }
}

#[test]
fn reset_in_short_run_is_bounded() -> Result<(), TestCaseError> {
    let one_second =
        [(1.71164645771058, 368.00814759619414), (1.26, 0.0), (0.57, 0.0), (0.811_688_3, 631.76)];
    for (length, truth, scenario) in [
        (
            0.20803997521667494,
            76.254,
            reset_scenario(&[(0.1, 366.537545919866)], 0.07868247623894234, 0.26883634755557074),
        ),
        (0.18518535916527534, 101.561, reset_scenario(&one_second, 0.04264555978265598, 0.569604454286097)),
    ] {
        let mut accumulator = EnergyAccumulator::new([(&scenario.component(), true)]);
        let [_, total] = scenario.play(&mut accumulator, 0, [0.0, length]);
        let energy = scenario.trace.energy(LEAD_IN + length) - scenario.trace.energy(LEAD_IN);
        assert!((energy - truth).abs() < 0.01, "{energy} J");
        scenario.check_bounds(total, length)?;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { max_shrink_iters: 20_000, ..ProptestConfig::with_cases(case_count()) })]

    /// For any GPU behaviour and any failure, the bounds contain the true energy of a window and of any part of it,
    /// time adds up, and no gap is filled.
    #[test]
    fn bounds_contain_true_energy(
        (length, gpus) in window_lengths().prop_flat_map(|length| (Just(length), gpu_scenarios(length))),
        cut in 0.0..1.0,
    ) {
        // A mean is read every second, which would dominate the longest windows.
        let length = if gpus.iter().any(|it| matches!(it.sensor, ScenarioSensor::Averaged)) { length.min(200.0) } else { length };
        // In a longer window the power next to a counter is not read often enough to find a lie.
        let length = if gpus.iter().any(|it| it.lie.is_some()) { length.min(LONGEST_WINDOW_WITH_POWER) } else { length };
        let components: Vec<ComponentInfo> = gpus.iter().map(GpuScenario::component).collect();
        let mut accumulator = EnergyAccumulator::new(components.iter().zip(gpus.iter().map(GpuScenario::is_ticking)));
        for (position, gpu) in gpus.iter().enumerate() {
            let boundaries = [length * cut, length];
            let totals = gpu.play(&mut accumulator, position, boundaries);
            for (total, boundary) in totals.into_iter().zip(boundaries) {
                gpu.check_bounds(total, boundary)?;
            }
        }
    }
}
