//! Checks a counter against the power readings of the same GPU, and against the least power that any hardware
//! draws.
//!
//! Several drivers are known to have counters that stop, or that count only a small fraction of the energy.
//! Such a counter can still be read, so only a comparison reveals the fault.

use std::time::Duration;

use sootprint_core::{Energy, Power};

use super::component_total::ComponentTotal;
use super::limits::MAX_TICK_INTERVAL;
use super::power_history::{PowerHistory, PowerMark};
use crate::source::EnergyBounds;

/// A counter is found to be faulty over at least this time.
const MIN_STRETCH: Duration = Duration::from_secs(2);

/// A counter that moves is compared with the power readings over at least this time. The shorter a stretch, the smaller
/// the loss that goes unnoticed in it.
const MIN_COMPARED_STRETCH: Duration = Duration::from_secs(1);

/// A stretch ends after this time even if it has too few power readings for a comparison.
const MAX_COMPARED_STRETCH: Duration = Duration::from_secs(4);

/// At a reset or a gap, a stretch of this length is judged as well: every known counter has ticked by then.
const MIN_INTERRUPTED_STRETCH: Duration = Duration::from_millis(500);

/// A counter is too low if its growth corresponds to less than this fraction of the lowest power reading.
///
/// The fraction is much smaller than the errors of the two sensors require, because a correct counter must
/// not be rejected: if a load alternates faster than its power is read, all readings of a stretch may be from
/// its high phases. A smaller difference only widens the bounds.
const MIN_FRACTION_OF_POWER: f64 = 0.1;

/// The lowest power reading of a stretch is only used if the stretch has at least this many readings.
const MIN_POWER_READINGS: u32 = 16;

/// The factor and the time by which a correct counter may differ from the power readings: the errors of both
/// sensors, and the energy of one tick.
const SENSOR_DIFFERENCE: f64 = 1.1;
const TICK_DIFFERENCE: Duration = Duration::from_millis(120);

/// Under a steady load the ratio of a counter to the power readings of the same sensor stays the same, with this
/// difference at most.
const STEADY_DIFFERENCE: f64 = 1.03;

/// A load is steady if the bounds of its power differ by less than this factor.
const STEADY_LOAD: f64 = 1.05;

/// Fewer power readings than this are not compared with a counter that moves, under a changing and a steady load.
const MIN_COMPARED_READINGS: u32 = 8;
const MIN_STEADY_READINGS: u32 = 2;

/// Range of [`CounterCheck::power_scale`].
const POWER_SCALE_RANGE: [f64; 2] = [0.8, 1.25];

/// Compares a counter with the power readings of the same time, stretch by stretch.
#[derive(Debug)]
pub(super) struct CounterCheck {
    /// The least that the component draws while it is on.
    min_power: Power,
    stretch: Option<CounterStretch>,
    /// Whether the counter was wrong in the last stretch that was judged.
    pub(super) is_faulty: bool,
    /// The energy of the counter divided by that of the power readings, over the last stretch in which they
    /// agreed.
    pub(super) power_scale: f64,
    /// The same over the last steady stretch. `None` if there was none.
    steady_scale: Option<f64>,
    /// The most by which the counter may have been too low in that stretch without being detected. It is
    /// added to the upper bound if the counter is found to have stopped later, because the counter may have
    /// stopped before the end of that stretch.
    undetected_shortfall: Energy,
    /// Whether the last stretch had a shortfall, which may continue in the current one.
    has_shortfall: bool,
}

/// The time since the counter was last judged.
#[derive(Debug)]
struct CounterStretch {
    from: Duration,
    /// The total of the component at the start of the stretch.
    total: ComponentTotal,
    /// The growth of the counter since the start.
    counted: Energy,
    /// Marks the start in the power history.
    power_mark: PowerMark,
    /// The lowest power reading since the start. `None` if there is none.
    lowest_power: Option<Power>,
    highest_power: Power,
    /// The last two power readings.
    last_powers: [Power; 2],
    power_readings: u32,
}

/// The result for a stretch.
#[derive(Debug)]
pub(super) enum CounterVerdict {
    /// The counter agrees with the power readings, at least roughly.
    Agrees {
        /// The energy by which the counter may be too low. Zero if it agrees within the errors of both
        /// sensors.
        shortfall: Energy,
        /// The energy by which the counter may be too high. Zero if it agrees within the errors of both
        /// sensors.
        excess: Energy,
    },
    /// The counter is wrong.
    Disagrees {
        /// The total of the component at the start of the stretch.
        total: ComponentTotal,
        time: Duration,
        /// Marks the start in the power history.
        power_mark: PowerMark,
        /// The energy that may be missing from the time before the stretch.
        missing_before: Energy,
        /// The energy of the stretch according to the power readings, if there are any. Unless the counter
        /// has stopped, the lower bound also allows for the figure of the counter, because the power readings
        /// may be the wrong ones.
        by_power: Option<EnergyBounds>,
    },
}

impl CounterCheck {
    pub(super) fn new(min_power: Option<Power>) -> Self {
        Self {
            min_power: min_power.unwrap_or(Power::ZERO),
            stretch: None,
            is_faulty: false,
            power_scale: 1.0,
            steady_scale: None,
            undetected_shortfall: Energy::ZERO,
            has_shortfall: false,
        }
    }

    /// Starts a new stretch.
    pub(super) fn restart(&mut self, now: Duration, total: ComponentTotal, power_mark: PowerMark) {
        self.stretch = Some(CounterStretch {
            from: now,
            total,
            counted: Energy::ZERO,
            power_mark,
            lowest_power: None,
            highest_power: Power::ZERO,
            last_powers: [Power::ZERO; 2],
            power_readings: 0,
        });
    }

    /// Adds growth of the counter to the stretch.
    pub(super) fn add_counted(&mut self, energy: Energy) {
        if let Some(stretch) = &mut self.stretch {
            stretch.counted += energy;
        }
    }

    /// Adds a power reading to the stretch.
    pub(super) fn add_power(&mut self, power: Power) {
        if let Some(stretch) = &mut self.stretch {
            stretch.power_readings = stretch.power_readings.saturating_add(1);
            if stretch.lowest_power.is_none_or(|lowest| power < lowest) {
                stretch.lowest_power = Some(power);
            }
            if power > stretch.highest_power {
                stretch.highest_power = power;
            }
            stretch.last_powers = [stretch.last_powers[1], power];
        }
    }

    /// Judges the counter, or returns `None` if the stretch is too short. `is_interrupted` is set if the next
    /// reading does not continue the counter. After a verdict, the caller starts the next stretch.
    pub(super) fn judge(
        &mut self,
        now: Duration,
        power: Option<&PowerHistory>,
        max_power: Power,
        is_interrupted: bool,
    ) -> Option<CounterVerdict> {
        let stretch = self.stretch.as_ref()?;
        let time = now.saturating_sub(stretch.from);
        let looks_wrong = self.is_stopped(stretch.counted, time) || stretch.is_low(time);
        let needed = match (is_interrupted, looks_wrong) {
            (true, _) => MIN_INTERRUPTED_STRETCH,
            (false, true) => MIN_STRETCH,
            (false, false) => MIN_COMPARED_STRETCH,
        };
        if time < needed {
            return None;
        }
        let by_power = stretch.energy_by_power(now, power, max_power);
        let is_comparable = by_power.is_some_and(|by_power| stretch.is_comparable(by_power));
        if !is_interrupted && !looks_wrong && !is_comparable && time < MAX_COMPARED_STRETCH {
            return None;
        }
        let is_low = stretch.is_low(time) && stretch.power_readings >= MIN_POWER_READINGS;
        let was_faulty = self.is_faulty;
        self.is_faulty = self.is_stopped(stretch.counted, time) || is_low;
        if was_faulty && !self.is_faulty {
            // The power readings cover the time up to now. The counter adds the energy of its last tick once more.
            return Some(CounterVerdict::Agrees { shortfall: Energy::ZERO, excess: stretch.tick() });
        }
        if self.is_faulty {
            let by_power = by_power.map(|energy| self.believable_bounds(energy, stretch.counted, time));
            let missing_before = std::mem::take(&mut self.undetected_shortfall) + stretch.tick();
            let (total, power_mark) = (stretch.total, stretch.power_mark);
            return Some(CounterVerdict::Disagrees { total, time, power_mark, missing_before, by_power });
        }
        let (shortfall, excess) = self.difference(stretch, by_power);
        let most = by_power.map_or(max_power * time, |by_power| by_power.high);
        self.undetected_shortfall = (most - stretch.counted - shortfall).max(Energy::ZERO);
        self.has_shortfall = shortfall > Energy::ZERO && !self.has_shortfall;
        if let Some(by_power) = by_power.filter(|by_power| by_power.best > Energy::ZERO) {
            let [lowest, highest] = POWER_SCALE_RANGE;
            let scale = stretch.counted.joules() / by_power.best.joules();
            self.power_scale = scale.clamp(lowest, highest);
            if is_steady(by_power) && shortfall <= Energy::ZERO && excess <= Energy::ZERO {
                self.steady_scale = Some(scale);
            }
        }
        Some(CounterVerdict::Agrees { shortfall, excess })
    }

    /// Returns the bounds for a time in which the counter is wrong, from the power readings and the growth of
    /// the counter.
    pub(super) fn believable_bounds(
        &self,
        by_power: EnergyBounds,
        counted: Energy,
        time: Duration,
    ) -> EnergyBounds {
        let low = if self.is_stopped(counted, time) { by_power.low } else { by_power.low.min(counted) };
        EnergyBounds { low, ..by_power }
    }

    /// Whether the counter has grown by less than the component must have used.
    fn is_stopped(&self, counted: Energy, time: Duration) -> bool {
        counted < self.min_power * time
    }

    /// The energy by which the counter may be too low in the current stretch, even if the stretch is too
    /// short to be judged. Zero if the counter does not look wrong.
    pub(super) fn possible_shortfall(
        &self,
        now: Duration,
        power: Option<&PowerHistory>,
        max_power: Power,
    ) -> Energy {
        let Some(stretch) = self.stretch.as_ref().filter(|_| !self.is_faulty) else { return Energy::ZERO };
        let time = now.saturating_sub(stretch.from);
        if time <= MAX_TICK_INTERVAL {
            return Energy::ZERO;
        }
        let by_power = stretch.energy_by_power(now, power, max_power);
        if self.is_stopped(stretch.counted, time) || stretch.is_low(time) {
            let most = by_power.map_or(max_power * time, |by_power| by_power.high);
            return self.undetected_shortfall + stretch.tick() + (most - stretch.counted).max(Energy::ZERO);
        }
        self.difference(stretch, by_power).0
    }

    /// The energies by which the counter may be too low and too high in a stretch. Both are zero if it agrees
    /// with the power readings.
    fn difference(&self, stretch: &CounterStretch, by_power: Option<EnergyBounds>) -> (Energy, Energy) {
        let Some(by_power) = by_power.filter(|by_power| stretch.is_comparable(*by_power)) else {
            return (Energy::ZERO, Energy::ZERO);
        };
        let (counted, tick) = (stretch.counted, stretch.tick());
        let shortfall = (by_power.high - counted + tick).max(Energy::ZERO);
        let expected = self.steady_scale.filter(|_| is_steady(by_power)).map(|scale| by_power.low * scale);
        // Both stretches may differ by a tick.
        let ticks = stretch.last_tick() * 2.0;
        let is_below_expected = expected.is_some_and(|it| counted * STEADY_DIFFERENCE + ticks < it);
        if is_below_expected || counted * SENSOR_DIFFERENCE + stretch.last_tick() < by_power.low {
            // It may have begun in the stretch before.
            (shortfall + self.undetected_shortfall, Energy::ZERO)
        } else if self.has_shortfall {
            (shortfall, Energy::ZERO)
        } else if is_steady(by_power) && counted > by_power.high * SENSOR_DIFFERENCE + tick {
            (Energy::ZERO, counted - by_power.low)
        } else {
            (Energy::ZERO, Energy::ZERO)
        }
    }
}

fn is_steady(by_power: EnergyBounds) -> bool {
    by_power.high <= by_power.low * STEADY_LOAD
}

impl CounterStretch {
    /// Whether there are enough power readings. Few say nothing about a load that changes between them.
    fn is_comparable(&self, by_power: EnergyBounds) -> bool {
        let needed = if is_steady(by_power) { MIN_STEADY_READINGS } else { MIN_COMPARED_READINGS };
        self.power_readings >= needed
    }

    fn energy_by_power(
        &self,
        now: Duration,
        power: Option<&PowerHistory>,
        max_power: Power,
    ) -> Option<EnergyBounds> {
        power.filter(|_| self.power_readings > 0)?.energy_since(self.power_mark, now, max_power)
    }

    /// The energy that a correct counter may not have reported yet, because it adds the energy of a tick at
    /// the end of the tick.
    fn last_tick(&self) -> Energy {
        let [before, last] = self.last_powers;
        (if before < last { last } else { before }) * TICK_DIFFERENCE
    }

    /// The most energy that may be missing at one end of the stretch.
    fn tick(&self) -> Energy {
        self.highest_power * TICK_DIFFERENCE
    }

    /// Whether the counter has grown by far less than even the lowest power reading implies.
    fn is_low(&self, time: Duration) -> bool {
        self.lowest_power.is_some_and(|lowest| self.counted < lowest * time * MIN_FRACTION_OF_POWER)
    }
}
