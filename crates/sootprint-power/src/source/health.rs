//! Whether an energy counter can be believed: beside the integral of the same board's power readings.

use std::thread;
use std::time::{Duration, Instant};

use serde::{Serialize, Serializer};
use sootprint_core::{Energy, Power};

use super::system::open_system;
use super::{Component, Reading, Source};

/// Counter and power are read this often: a counter that ticks is known to half of it.
const CADENCE: Duration = Duration::from_millis(2);

/// What a counter and the power readings of the same board say of the same time.
///
/// The time is from one tick of the counter to another. Both come from one sensor, so that their agreement shows that
/// the counter counts and that its unit is right; whether the sensor is right they do not show. Power readings that
/// are means of the last second, as on older drivers, lag behind: on a load that changes they differ from a good
/// counter.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct CrossCheck {
    /// The board's UUID.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// From the counter's first tick to its last one that was seen.
    #[serde(rename = "time_s", serialize_with = "seconds")]
    pub time: Duration,
    /// The usual time between two ticks: the median of those that were seen.
    #[serde(rename = "tick_s", serialize_with = "seconds")]
    pub tick: Duration,
    /// By how much the counter went forward.
    #[serde(rename = "counter_j")]
    pub counter: Energy,
    /// The integral of the power readings.
    #[serde(rename = "integrated_j")]
    pub integrated: Energy,
}

impl CrossCheck {
    /// The counter over the integral, less one: 0.02 when the counter shows 2 % more. None when the readings show no
    /// power at all.
    #[must_use]
    pub fn difference(&self) -> Option<f64> {
        let integrated = self.integrated.joules();
        (integrated > 0.0).then(|| self.counter.joules() / integrated - 1.0)
    }
}

/// Compares each board's energy counter with its power readings, over a time in which the boards had better work.
///
/// It takes that time, and reads 500 times a second meanwhile: not for the time of a training. A board that has no
/// counter, tells no power or did not tick is not in the answer. The NVML library is the system's unless
/// `SOOTPRINT_NVML` names one.
#[must_use]
pub fn cross_check(time: Duration) -> Vec<CrossCheck> {
    let nvml = std::env::var_os("SOOTPRINT_NVML").filter(|path| !path.is_empty());
    let sources = open_system(nvml.as_deref()).into_iter().filter_map(|attempt| attempt.source).collect();
    let began = Instant::now();
    watch(sources, time, || began.elapsed(), thread::sleep)
}

fn watch(
    mut sources: Vec<Box<dyn Source>>,
    time: Duration,
    now: impl Fn() -> Duration,
    wait: impl Fn(Duration),
) -> Vec<CrossCheck> {
    let mut boards: Vec<Watched> =
        sources.iter().enumerate().flat_map(|(source, it)| Watched::of(source, it.as_ref())).collect();
    while !boards.is_empty() && now() < time {
        for board in &mut boards {
            board.read(sources[board.source].as_mut(), &now);
        }
        wait(CADENCE);
    }
    boards.into_iter().filter_map(Watched::check).collect()
}

/// A board whose counter is compared.
struct Watched {
    source: usize,
    index: usize,
    component: Component,
    /// What the counter showed last.
    shown: Option<Energy>,
    first: Option<Tick>,
    last: Option<Tick>,
    /// The times between two ticks.
    ticks: Vec<Duration>,
    power: Option<(Duration, Power)>,
    /// The integral of the power from the first tick on.
    integrated: Energy,
}

/// When the counter ticked, what it then showed, and the integral up to then.
#[derive(Clone, Copy)]
struct Tick {
    at: Duration,
    shown: Energy,
    integrated: Energy,
}

impl Watched {
    fn of(source: usize, read: &dyn Source) -> Vec<Self> {
        let components = read.components().into_iter().enumerate().filter(|(index, _)| read.ticks(*index));
        let watched = |(index, component)| Self {
            source,
            index,
            component,
            shown: None,
            first: None,
            last: None,
            ticks: Vec::new(),
            power: None,
            integrated: Energy::ZERO,
        };
        components.map(watched).collect()
    }

    fn read(&mut self, source: &mut dyn Source, now: impl Fn() -> Duration) {
        let at = now();
        let reading = source.read(self.index, at);
        let power = source.power(self.index);
        if let (Some(power), Some((then, before))) = (power, self.power) {
            self.integrated += (before + power) * 0.5 * at.saturating_sub(then);
        }
        self.power = power.map(|power| (at, power));
        let Ok(Reading::Counter(shown)) = reading else { return };
        if self.shown.is_some_and(|before| shown < before) {
            // A counter that began again has nothing to compare with what it showed before.
            (self.first, self.last) = (None, None);
            self.ticks.clear();
        } else if self.shown.is_some_and(|before| before < shown) {
            let tick = Tick { at, shown, integrated: self.integrated };
            self.ticks.extend(self.last.map(|last| at.saturating_sub(last.at)));
            self.first.get_or_insert(tick);
            self.last = Some(tick);
        }
        self.shown = Some(shown);
    }

    /// None where there is nothing to compare: fewer than two ticks, or no power.
    fn check(mut self) -> Option<CrossCheck> {
        let (first, last) = (self.first?, self.last?);
        let time = last.at.checked_sub(first.at).filter(|time| !time.is_zero())?;
        self.power?;
        // A thread that was woken late has missed some.
        self.ticks.sort_unstable();
        Some(CrossCheck {
            id: self.component.id,
            name: self.component.name,
            time,
            tick: *self.ticks.get(self.ticks.len() / 2)?,
            counter: last.shown - first.shown,
            integrated: last.integrated - first.integrated,
        })
    }
}

fn seconds<S: Serializer>(time: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(time.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use sootprint_core::Kind;

    use super::*;
    use crate::clock::VirtualClock;
    use crate::source::{Replay, Sensor, Unreadable};

    /// 100 W for 700 ms, 400 W for 330 ms, and a counter that ticks every 100 ms.
    fn board() -> Replay {
        let script = [(0.7, 100.0), (0.33, 400.0)]
            .map(|(seconds, watts)| (Duration::from_secs_f64(seconds), Power::from_watts(watts)));
        Replay::new().component(Kind::Gpu, "board", script).sensor(Sensor::TickingCounter(0.1))
    }

    fn check(source: impl Source + 'static, seconds: u64) -> Vec<CrossCheck> {
        let clock = VirtualClock::default();
        let (now, wait) = (|| clock.now(), |time| clock.advance(time));
        watch(vec![Box::new(source)], Duration::from_secs(seconds), now, wait)
    }

    /// A source whose counter shows another part of the truth than the whole.
    struct Off(Replay, f64);

    impl Source for Off {
        fn components(&self) -> Vec<Component> {
            self.0.components()
        }
        fn cadence(&self, index: usize, cost: Duration) -> Duration {
            self.0.cadence(index, cost)
        }
        fn read(&mut self, index: usize, now: Duration) -> Result<Reading, Unreadable> {
            self.0.read(index, now).map(|reading| reading.part(self.1))
        }
        fn ticks(&self, index: usize) -> bool {
            self.0.ticks(index)
        }
        fn power(&mut self, index: usize) -> Option<Power> {
            self.0.power(index)
        }
    }

    #[test]
    fn a_good_counter_agrees_with_the_power_and_its_tick_is_found() {
        let [check] = &check(board(), 10)[..] else { panic!("one board") };
        // Up to the tick at 9.9 s nine rounds of 202 J and 0.63 s of 100 W, less 0.1 s of them up to the first tick.
        assert!((check.time.as_secs_f64() - 9.8).abs() < 0.01, "{check:?}");
        assert!((check.tick.as_secs_f64() - 0.1).abs() < 0.001, "{check:?}");
        assert!((check.counter.joules() - (9.0 * 202.0 + 63.0 - 10.0)).abs() < 1e-6, "{check:?}");
        assert!(check.difference().is_some_and(|difference| difference.abs() < 0.005), "{check:?}");
    }

    #[test]
    fn a_counter_that_shows_four_fifths_is_found_out() {
        let [check] = &check(Off(board(), 0.8), 10)[..] else { panic!("one board") };
        assert!(check.difference().is_some_and(|difference| (difference + 0.2).abs() < 0.005), "{check:?}");
    }

    #[test]
    fn what_does_not_tick_has_no_check() {
        let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
        assert_eq!(check(Replay::new().component(Kind::Cpu, "exact", steady), 1), []);
        let slow = Replay::new().component(Kind::Gpu, "slow", steady).sensor(Sensor::TickingCounter(30.0));
        assert_eq!(check(slow, 10), []);
    }
}
