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
    /// Multiples of the cadence, by which a reading may be early or late.
    jitter: Vec<f64>,
}

const LIMIT: f64 = 700.0;

/// Time between the start of the trace and the window, so that a mean over the last second is complete.
const LEAD_IN: f64 = 100.0;

/// The counter's value before the trace. A counter that has reset and passed this value again cannot be
/// distinguished from one that did not reset.
const INITIAL_COUNT: f64 = 1e8;

impl GpuScenario {
    fn component(&self) -> ComponentInfo {
        ComponentInfo { limit: self.limit.then(|| Power::from_watts(LIMIT)), ..super::gpu_component(0.05) }
    }

    fn is_ticking(&self) -> bool {
        matches!(self.sensor, ScenarioSensor::Ticking(..))
    }

    fn is_counter(&self) -> bool {
        self.is_ticking() || matches!(self.sensor, ScenarioSensor::Exact)
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
            let joules = before + (self.trace.energy(until) - self.trace.energy(origin)) * self.gain;
            Ok(SensorReading::Counter(Energy::from_joules(joules)))
        };
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
        let cadence = match self.sensor {
            ScenarioSensor::Exact | ScenarioSensor::Ticking(..) => (length / 60.0).max(0.2),
            ScenarioSensor::Instant => (length / 150.0).max(0.02),
            ScenarioSensor::Averaged => 1.0,
        };
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
            time = next.map_or(time + step, |next| (time + step).min(*next));
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
        let max_energy = LIMIT * 1.05 * total.measured;
        prop_assert!(self.is_counter() || best <= max_energy, "{best} J in {} s", total.measured);
        if self.limit {
            prop_assert!(low <= truth + 1e-6, "{truth} J, and at least {low} J: {total:?}");
            let high = high + LIMIT * total.unmeasured;
            prop_assert!(truth <= high + 1e-6, "{truth} J, and at most {high} J: {total:?}");
        }
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
    let trace = prop::collection::vec((shortest..shortest * 20.0, 0.0..650.0), 1..6).prop_map(ScenarioTrace);
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
    let gpu = (trace, sensor, 0.951..1.049, prop::bool::weighted(0.8), outage, fault(), fault(), jitter);
    let gpu = gpu.prop_map(|(trace, sensor, gain, limit, outage, reset, lost, jitter)| {
        let scripted = GpuScenario { trace, sensor, gain, limit, outage, reset: None, lost, jitter };
        // Only a counter can reset.
        if scripted.is_counter() { GpuScenario { reset, ..scripted } } else { scripted }
    });
    prop::collection::vec(gpu, 1..=8)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    /// For any GPU behaviour and any failure, the bounds contain the true energy of a window and of any part of it,
    /// time adds up, and no gap is filled.
    #[test]
    fn bounds_contain_true_energy(
        (length, gpus) in window_lengths().prop_flat_map(|length| (Just(length), gpu_scenarios(length))),
        cut in 0.0..1.0,
    ) {
        // A mean is read every second, which would dominate the longest windows.
        let length = if gpus.iter().any(|it| matches!(it.sensor, ScenarioSensor::Averaged)) { length.min(200.0) } else { length };
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
