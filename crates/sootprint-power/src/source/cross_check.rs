//! Checks energy counters against the integral of the same GPU's power readings.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use sootprint_core::{Energy, Power};

use super::system::open_all_sources;
use super::{ComponentInfo, EnergySource, SensorReading};
use crate::clock::SamplerClock;

/// Interval of the reads of counter and power. A tick is located to half of it.
const CADENCE: Duration = Duration::from_millis(2);

/// The energy of one GPU over a period, from its counter and from its power readings.
///
/// The period starts and ends at a tick, a moment at which the counter updates. Both values come from the same
/// sensor: if they agree, the counter works and its unit is right, but the sensor itself may still be wrong. Power
/// readings that are one-second means, as on older drivers, lag behind, so they differ from a correct counter
/// under a changing load.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CrossCheck {
    /// The UUID of the GPU.
    pub id: String,
    /// The name for display.
    pub name: String,
    /// The time between the first and the last observed tick.
    #[serde(rename = "time_s", serialize_with = "seconds")]
    pub time: Duration,
    /// The tick interval of the counter: the median of the observed intervals.
    #[serde(rename = "tick_s", serialize_with = "seconds")]
    pub tick: Duration,
    /// The increase of the counter over the period.
    #[serde(rename = "counter_j")]
    pub counter: Energy,
    /// The integral of the power readings over the period.
    #[serde(rename = "integrated_j")]
    pub integrated: Energy,
}

impl CrossCheck {
    /// Returns the increase of the counter divided by the integral, minus one: 0.02 if the counter reports
    /// 2 % more. `None` if the power readings are zero.
    #[must_use]
    pub fn relative_difference(&self) -> Option<f64> {
        let integrated = self.integrated.joules();
        (integrated > 0.0).then(|| self.counter.joules() / integrated - 1.0)
    }
}

/// Compares the energy counter of each GPU with its power readings for `time`, during which the GPUs should be
/// busy.
///
/// Blocks for that time and reads up to 500 times per second, so it should not run during training. GPUs without
/// a counter, without power readings or with fewer than two ticks in that time are left out. Uses the NVML library
/// at `SOOTPRINT_NVML` if the variable is set, otherwise the system's.
#[must_use]
pub fn cross_check(time: Duration) -> Vec<CrossCheck> {
    let sources = open_all_sources(SamplerClock::System(Instant::now()))
        .into_iter()
        .filter_map(|probe| probe.source)
        .collect();
    let began = Instant::now();
    compare_sources(sources, time, || began.elapsed(), thread::sleep)
}

fn compare_sources(
    mut sources: Vec<Box<dyn EnergySource>>,
    time: Duration,
    now: impl Fn() -> Duration,
    wait: impl Fn(Duration),
) -> Vec<CrossCheck> {
    let mut gpus: Vec<MonitoredGpu> = sources
        .iter()
        .enumerate()
        .flat_map(|(source, it)| MonitoredGpu::from_source(source, it.as_ref()))
        .collect();
    while !gpus.is_empty() && now() < time {
        for gpu in &mut gpus {
            gpu.poll(sources[gpu.source_index].as_mut(), &now);
        }
        wait(CADENCE);
    }
    gpus.into_iter().filter_map(MonitoredGpu::into_cross_check).collect()
}

/// A GPU whose counter is checked.
struct MonitoredGpu {
    source_index: usize,
    component_index: usize,
    component: ComponentInfo,
    /// The last counter value.
    last_counter: Option<Energy>,
    first_tick: Option<CrossCheckTick>,
    last_tick: Option<CrossCheckTick>,
    /// The intervals between ticks.
    tick_intervals: Vec<Duration>,
    last_power: Option<(Duration, Power)>,
    /// The integral of the power since the start.
    integrated: Energy,
}

/// A tick: its time, the counter's new value, and the integral at that time.
#[derive(Clone, Copy)]
struct CrossCheckTick {
    at: Duration,
    counter: Energy,
    integrated: Energy,
}

impl MonitoredGpu {
    fn from_source(source_index: usize, energy_source: &dyn EnergySource) -> Vec<Self> {
        let components = energy_source
            .components()
            .into_iter()
            .enumerate()
            .filter(|(index, _)| energy_source.is_ticking_counter(*index));
        let monitored = |(component_index, component)| Self {
            source_index,
            component_index,
            component,
            last_counter: None,
            first_tick: None,
            last_tick: None,
            tick_intervals: Vec::new(),
            last_power: None,
            integrated: Energy::ZERO,
        };
        components.map(monitored).collect()
    }

    fn poll(&mut self, source: &mut dyn EnergySource, now: impl Fn() -> Duration) {
        let at = now();
        let reading = source.read(self.component_index, at);
        let power = source.read_power(self.component_index);
        if let (Some(power), Some((then, before))) = (power, self.last_power) {
            self.integrated += (before + power) * 0.5 * at.saturating_sub(then);
        }
        self.last_power = power.map(|power| (at, power));
        let Ok(SensorReading::Counter(counter)) = reading else { return };
        if self.last_counter.is_some_and(|before| counter < before) {
            // A counter reset: its values before and after cannot be compared.
            (self.first_tick, self.last_tick) = (None, None);
            self.tick_intervals.clear();
        } else if self.last_counter.is_some_and(|before| before < counter) {
            let tick = CrossCheckTick { at, counter, integrated: self.integrated };
            self.tick_intervals.extend(self.last_tick.map(|last| at.saturating_sub(last.at)));
            self.first_tick.get_or_insert(tick);
            self.last_tick = Some(tick);
        }
        self.last_counter = Some(counter);
    }

    /// `None` if there is nothing to compare: fewer than two ticks, or no power.
    fn into_cross_check(mut self) -> Option<CrossCheck> {
        let (first, last) = (self.first_tick?, self.last_tick?);
        let time = last.at.checked_sub(first.at).filter(|time| !time.is_zero())?;
        self.last_power?;
        // The median ignores ticks that a late wake-up has missed.
        self.tick_intervals.sort_unstable();
        Some(CrossCheck {
            id: self.component.id,
            name: self.component.name,
            time,
            tick: *self.tick_intervals.get(self.tick_intervals.len() / 2)?,
            counter: last.counter - first.counter,
            integrated: last.integrated - first.integrated,
        })
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use sootprint_core::ComponentKind;

    use super::*;
    use crate::clock::VirtualClock;
    use crate::source::{ReadCadence, ReadError, Replay, ReplaySensor};

    /// 100 W for 700 ms, 400 W for 330 ms, and a counter that ticks every 100 ms.
    fn ticking_gpu() -> Replay {
        let script = [(0.7, 100.0), (0.33, 400.0)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
        Replay::new()
            .with_component(ComponentKind::Gpu, "GPU", script)
            .with_sensor(ReplaySensor::TickingCounter(0.1))
    }

    fn run_cross_check(source: impl EnergySource + 'static, seconds: u64) -> Vec<CrossCheck> {
        let clock = VirtualClock::default();
        let (now, wait) = (|| clock.now(), |time| clock.advance(time));
        compare_sources(vec![Box::new(source)], Duration::from_secs(seconds), now, wait)
    }

    /// A source whose counter shows a fixed fraction of the true energy.
    struct MiscalibratedSource(Replay, f64);

    impl EnergySource for MiscalibratedSource {
        fn components(&self) -> Vec<ComponentInfo> {
            self.0.components()
        }
        fn cadence(&self, index: usize) -> ReadCadence {
            self.0.cadence(index)
        }
        fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError> {
            self.0.read(index, now).map(|reading| reading.scaled(self.1))
        }
        fn is_ticking_counter(&self, index: usize) -> bool {
            self.0.is_ticking_counter(index)
        }
        fn read_power(&mut self, index: usize) -> Option<Power> {
            self.0.read_power(index)
        }
    }

    #[test]
    fn accurate_counter_agrees_with_power() {
        let [check] = &run_cross_check(ticking_gpu(), 10)[..] else { panic!("one GPU") };
        // Up to the tick at 9.9 s: nine periods of 202 J and 0.63 s of 100 W, less the 0.1 s before the first tick.
        assert!((check.time.as_secs_f64() - 9.8).abs() < 0.01, "{check:?}");
        assert!((check.tick.as_secs_f64() - 0.1).abs() < 0.001, "{check:?}");
        assert!((check.counter.joules() - (9.0 * 202.0 + 63.0 - 10.0)).abs() < 1e-6, "{check:?}");
        assert!(check.relative_difference().is_some_and(|difference| difference.abs() < 0.005), "{check:?}");
    }

    #[test]
    fn miscalibrated_counter_is_detected() {
        let [check] = &run_cross_check(MiscalibratedSource(ticking_gpu(), 0.8), 10)[..] else {
            panic!("one GPU")
        };
        assert!(
            check.relative_difference().is_some_and(|difference| (difference + 0.2).abs() < 0.005),
            "{check:?}"
        );
    }

    #[test]
    fn component_without_ticks_is_skipped() {
        let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
        assert_eq!(run_cross_check(Replay::new().with_component(ComponentKind::Cpu, "exact", steady), 1), []);
        let slow = Replay::new()
            .with_component(ComponentKind::Gpu, "slow", steady)
            .with_sensor(ReplaySensor::TickingCounter(30.0));
        assert_eq!(run_cross_check(slow, 10), []);
    }
}
