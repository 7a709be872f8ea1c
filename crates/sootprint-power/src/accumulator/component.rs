//! The energy of one component.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Energy, Power};

use super::limits::{HISTORY_LEN, MAX_TICK_INTERVAL};
use super::power_history;
use super::tick_tracker::{CounterTick, InitialLag, TickTracker};
use crate::source::{ComponentInfo, EnergyBounds, SensorReading, SensorTolerance};

/// Power readings further apart than this are not integrated: the time between them is a gap.
const MAX_INTEGRATION_GAP: Duration = Duration::from_secs(10);

/// If a counter's GPU reports no power, the mean power over at least this time is used at a boundary.
const FALLBACK_WINDOW: Duration = Duration::from_secs(1);

/// A GPU may briefly exceed its limit, and a counter may include energy from before the last reading.
const LIMIT_HEADROOM: f64 = 1.5;

/// The energy of one component so far. All values only grow, except the bounds, which narrow when a tick is
/// observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ComponentTotal {
    /// The best estimate.
    #[serde(rename = "e")]
    pub energy: Energy,
    /// The lower bound from the readings alone, without unmeasured time.
    #[serde(rename = "lo")]
    pub low: Energy,
    /// The upper bound from the readings alone, without unmeasured time.
    #[serde(rename = "hi")]
    pub high: Energy,
    /// Seconds covered by readings.
    #[serde(rename = "m")]
    pub measured: f64,
    /// Seconds not covered by any reading.
    #[serde(rename = "u")]
    pub unmeasured: f64,
    /// Number of counter resets.
    #[serde(rename = "r")]
    pub resets: u32,
}

#[derive(Debug)]
pub(super) struct ComponentAccumulator {
    limit: Option<Power>,
    tolerance: SensorTolerance,
    /// The last successful reading and its time.
    last_reading: Option<(Duration, SensorReading)>,
    /// The time up to which the total is complete.
    covered_until: Option<Duration>,
    pub(super) is_unavailable: bool,
    /// The total as the readings show it. That of a ticking counter lags behind the true energy.
    total: ComponentTotal,
    /// The highest mean power between two readings.
    highest_mean_power: Power,
    /// The energy after each of the last observations, oldest first.
    history: VecDeque<(Duration, Energy)>,
    /// `None` for a component whose readings are current.
    pub(super) tick_tracker: Option<TickTracker>,
}

/// The classification of a reading.
pub(super) enum ReadingOutcome {
    Accepted,
    CounterReset,
    Implausible,
}

impl ComponentAccumulator {
    pub(super) fn new(component: &ComponentInfo, is_ticking: bool) -> Self {
        Self {
            limit: component.limit,
            tolerance: component.tolerance,
            last_reading: None,
            covered_until: None,
            is_unavailable: false,
            total: ComponentTotal::default(),
            highest_mean_power: Power::ZERO,
            history: VecDeque::with_capacity(HISTORY_LEN + 1),
            tick_tracker: is_ticking.then(TickTracker::default),
        }
    }

    pub(super) fn is_responding(&self) -> bool {
        self.last_reading.is_some() && !self.is_unavailable
    }

    /// Records that a read failed. Before the first successful reading, unmeasured time counts from here.
    pub(super) fn record_missed_read(&mut self, now: Duration) {
        self.covered_until.get_or_insert(now);
        if let Some(ticks) = &mut self.tick_tracker {
            ticks.power_history.record_missed_read();
        }
    }

    /// Records a reading. `after_gap` is set if the previous read failed.
    pub(super) fn record_reading(
        &mut self,
        now: Duration,
        reading: SensorReading,
        after_gap: bool,
    ) -> ReadingOutcome {
        let mut outcome = ReadingOutcome::Accepted;
        if let Some((then, before)) = self.last_reading {
            let time = now.saturating_sub(then);
            let went_back =
                matches!((before, reading), (SensorReading::Counter(a), SensorReading::Counter(b)) if b < a);
            let between = self.energy_between(before, reading, time);
            match between
                .map(|energy| if after_gap { self.widen_after_gap(energy, reading, time) } else { energy })
            {
                Some(energy) if self.is_plausible(energy, reading, time) => {
                    self.add_measured(time, energy);
                    self.record_tick(then, now, energy.best);
                }
                Some(_) => {
                    self.total.unmeasured += time.as_secs_f64();
                    outcome = ReadingOutcome::Implausible;
                }
                None if went_back => {
                    self.handle_counter_reset(then, now, reading);
                    outcome = ReadingOutcome::CounterReset;
                }
                None => self.total.unmeasured += time.as_secs_f64(),
            }
        } else if let Some(until) = self.covered_until {
            self.total.unmeasured += now.saturating_sub(until).as_secs_f64();
        }
        self.last_reading = Some((now, reading));
        self.covered_until = Some(now);
        if self.history.len() == HISTORY_LEN {
            self.history.pop_front();
        }
        self.history.push_back((now, self.total.energy));
        outcome
    }

    /// The energy between two readings. `None` if it cannot be derived from them.
    fn energy_between(
        &self,
        before: SensorReading,
        after: SensorReading,
        time: Duration,
    ) -> Option<EnergyBounds> {
        let exactly = |energy| Some(EnergyBounds { low: energy, best: energy, high: energy });
        let is_joinable = time <= MAX_INTEGRATION_GAP;
        match (before, after) {
            (SensorReading::Counter(before), SensorReading::Counter(after)) if before <= after => {
                exactly(after - before)
            }
            (SensorReading::Modelled(before), SensorReading::Modelled(after)) => Some(EnergyBounds {
                low: after.low - before.low,
                best: after.best - before.best,
                high: after.high - before.high,
            }),
            // Instant readings lie on the power curve: best is the trapezoid, the bounds are its lower and upper
            // corner.
            (SensorReading::Instant(before), SensorReading::Instant(after)) if is_joinable => {
                Some(power_history::trapezoid_bounds(before, after, time))
            }
            // An averaged reading covers the time before it, so consecutive readings tile.
            (_, SensorReading::Averaged { mean, window }) if is_joinable => {
                let best = mean * time;
                let Some(window) = window else { return exactly(best) };
                let (low, high) = self.window_overlap(mean, window, time);
                // The GPU may exceed its limit, which must not invert the bounds.
                Some(EnergyBounds { low: low.min(best), best, high: high.max(best) })
            }
            _ => None,
        }
    }

    /// The power on both sides of a gap does not limit the power within it, which may be zero or the power limit.
    fn widen_after_gap(&self, energy: EnergyBounds, reading: SensorReading, time: Duration) -> EnergyBounds {
        match reading {
            SensorReading::Instant(_) | SensorReading::Averaged { window: None, .. } => {
                energy.widen_to(self.max_power() * time)
            }
            // Counters and models include the energy of the gap, and a mean over a known window has its own bounds.
            SensorReading::Counter(_) | SensorReading::Modelled(_) | SensorReading::Averaged { .. } => energy,
        }
    }

    /// The minimum and maximum energy of the last `time`, from the mean power of the last `window`. In the part that
    /// only one of the two covers, the power may have been anything from zero to the limit.
    fn window_overlap(&self, mean: Power, window: Duration, time: Duration) -> (Energy, Energy) {
        let (whole, max_power) = (mean * window, self.max_power());
        if time <= window {
            ((whole - max_power * (window - time)).max(Energy::ZERO), whole.min(max_power * time))
        } else {
            (whole, whole + max_power * (time - window))
        }
    }

    /// Whether the component can have used this much energy, given its power limit.
    fn is_plausible(&self, energy: EnergyBounds, reading: SensorReading, time: Duration) -> bool {
        // A counter may report the energy since its last tick in one step.
        let lag =
            if matches!(reading, SensorReading::Counter(_)) { MAX_TICK_INTERVAL } else { Duration::ZERO };
        self.limit.is_none_or(|limit| energy.best <= limit * (time + lag) * LIMIT_HEADROOM)
    }

    fn add_measured(&mut self, time: Duration, energy: EnergyBounds) {
        self.total.energy += energy.best;
        self.total.low += self.tolerance.lower_bound(energy.low);
        self.total.high += self.tolerance.upper_bound(energy.high);
        self.total.measured += time.as_secs_f64();
        // Over a shorter time a counter may show the energy of a whole tick in one step.
        if let Some(mean) = energy.best / time
            && time >= MAX_TICK_INTERVAL
            && mean > self.highest_mean_power
        {
            self.highest_mean_power = mean;
        }
    }

    /// Records a tick that was observed closely. The first one determines how far the counter lagged at the start.
    fn record_tick(&mut self, then: Duration, now: Duration, energy: Energy) {
        let Some(ticks) = &mut self.tick_tracker else { return };
        if energy > Energy::ZERO && now - then <= ticks.resolution {
            ticks.record_tick(then, now, self.total.energy);
        }
        if ticks.initial_lag.is_none()
            && (ticks.first_tick_after(Duration::ZERO).is_some() || now > MAX_TICK_INTERVAL)
        {
            let uncertainty = self.boundary_uncertainty(Duration::ZERO);
            let energy = self.energy_from_next_tick(Duration::ZERO).unwrap_or_default();
            if let Some(ticks) = &mut self.tick_tracker {
                ticks.initial_lag = Some(InitialLag { energy, uncertainty });
            }
        }
    }

    /// Handles a counter that restarted between two readings. Its new value was used since the restart. The energy
    /// before the restart is derived from the power readings around it; without them the time counts as unmeasured.
    fn handle_counter_reset(&mut self, then: Duration, now: Duration, reading: SensorReading) {
        let time = now.saturating_sub(then);
        self.total.resets += 1;
        let SensorReading::Counter(count) = reading else { return };
        // Before the restart the counter may have lagged by one tick.
        let at_limit = self.limit.map(|limit| limit * (time + MAX_TICK_INTERVAL));
        let since = if at_limit.is_none_or(|most| count <= most) { count } else { Energy::ZERO };
        let Some(used) = self
            .tick_tracker
            .as_ref()
            .and_then(|ticks| ticks.power_history.energy_between(then, now, self.max_power()))
        else {
            self.total.unmeasured += time.as_secs_f64();
            self.total.energy += since;
            self.total.low += self.tolerance.lower_bound(since);
            self.total.high += self.tolerance.upper_bound(since);
            return;
        };
        let best = used.best.max(since);
        let high = best.max(at_limit.unwrap_or(self.max_power() * time));
        self.add_measured(time, EnergyBounds { low: since, best, high });
    }

    pub(super) fn total_at(&self, now: Duration) -> ComponentTotal {
        let total = self.total;
        // If the component responds, the next reading will cover this time.
        let covered = self.covered_until.filter(|_| self.is_unavailable);
        let uncovered = covered.map_or(Duration::ZERO, |until| now.saturating_sub(until));
        // Readings may be later than `now`, for example if a query waited for a tick after it.
        let ahead = self.covered_until.map_or(Duration::ZERO, |until| until.saturating_sub(now));
        let energy = self.energy_at(now);
        let until_now = energy - total.energy;
        let uncertainty = self.boundary_uncertainty(now) + self.initial_uncertainty();
        ComponentTotal {
            energy,
            low: (total.low + self.tolerance.lower_bound(until_now) - uncertainty).max(Energy::ZERO),
            high: (total.high + self.tolerance.upper_bound(until_now) + uncertainty).max(Energy::ZERO),
            measured: (total.measured - ahead.as_secs_f64()).max(0.0),
            unmeasured: total.unmeasured + uncovered.as_secs_f64(),
            ..total
        }
    }

    /// The energy from the start to a moment.
    pub(super) fn energy_at(&self, moment: Duration) -> Energy {
        let lag = self.tick_tracker.as_ref().and_then(|ticks| ticks.initial_lag).unwrap_or_default();
        let shown = self.energy_from_next_tick(moment).unwrap_or_else(|| self.interpolated_energy(moment));
        // The difference may round to less than zero.
        (shown - lag.energy).max(Energy::ZERO)
    }

    /// The energy that the counter will report for a moment once it ticks: the value at the next tick, less the
    /// energy used between the moment and the tick. It is never less than the counter's value at the moment.
    fn energy_from_next_tick(&self, moment: Duration) -> Option<Energy> {
        let ticks = self.tick_tracker.as_ref()?;
        let tick = ticks.first_tick_after(moment)?;
        let bridged = tick.energy - self.energy_until_tick(tick, moment).best;
        let seen = self.history.partition_point(|(time, _)| *time <= moment);
        let counter_energy = seen.checked_sub(1).map_or(Energy::ZERO, |last| self.history[last].1);
        Some(bridged.max(counter_energy))
    }

    /// The uncertainty of the energy at a moment that results from the ticks of the counter. Zero for a component
    /// without any reading.
    fn boundary_uncertainty(&self, moment: Duration) -> Energy {
        let (Some(ticks), Some(_)) = (&self.tick_tracker, self.last_reading) else { return Energy::ZERO };
        let max_power = self.max_power();
        let Some(tick) = ticks.first_tick_after(moment) else {
            return max_power * (MAX_TICK_INTERVAL + self.interpolation_error(moment));
        };
        let EnergyBounds { low, high, .. } = self.energy_until_tick(tick, moment);
        max_power * tick.uncertainty + (high - low)
    }

    /// The energy between a moment and the next tick, from the power readings. Without them it is the recent mean
    /// power of the counter, with bounds from zero to the power limit.
    fn energy_until_tick(&self, tick: CounterTick, moment: Duration) -> EnergyBounds {
        let by_power = self
            .tick_tracker
            .as_ref()
            .and_then(|ticks| ticks.power_history.energy_between(moment, tick.at, self.max_power()));
        by_power.unwrap_or_else(|| {
            let time = tick.at.saturating_sub(moment);
            let since = self.history.iter().rev().find(|(then, _)| *then + FALLBACK_WINDOW <= moment);
            let (then, energy) = since.or(self.history.front()).copied().unwrap_or_default();
            let mean = ((tick.energy - energy) / tick.at.saturating_sub(then)).unwrap_or_default();
            let high = self.max_power() * time;
            EnergyBounds { low: Energy::ZERO, best: (mean * time).min(high), high }
        })
    }

    /// The uncertainty at the start, which shrinks once the counter has ticked.
    fn initial_uncertainty(&self) -> Energy {
        let lag = self.tick_tracker.as_ref().and_then(|ticks| ticks.initial_lag);
        lag.map_or_else(|| self.boundary_uncertainty(Duration::ZERO), |lag| lag.uncertainty)
    }

    /// The energy at a moment, interpolated linearly between the readings around it.
    fn interpolated_energy(&self, moment: Duration) -> Energy {
        let after = self.history.partition_point(|(time, _)| *time < moment);
        match (after.checked_sub(1).map(|before| self.history[before]), self.history.get(after)) {
            (Some((then, before)), Some(&(now, energy))) => {
                let part = (moment - then).as_secs_f64() / (now - then).as_secs_f64();
                before + (energy - before) * part
            }
            (Some((_, energy)), None) | (None, Some(&(_, energy))) => energy,
            (None, None) => Energy::ZERO,
        }
    }

    /// Worst-case interpolation error at `moment`, as time at full power: 0 at a reading, a quarter of the sampling
    /// interval midway between two.
    fn interpolation_error(&self, moment: Duration) -> Duration {
        let after = self.history.partition_point(|(time, _)| *time < moment);
        let before = after.checked_sub(1).map(|before| self.history[before].0);
        let (Some(before), Some(&(after, _))) = (before, self.history.get(after)) else {
            return Duration::ZERO;
        };
        let part = (moment - before).as_secs_f64() / (after - before).as_secs_f64();
        (after - moment).mul_f64(part.clamp(0.0, 1.0))
    }

    /// The assumed maximum power: the power limit, or without one the highest power or mean power observed.
    fn max_power(&self) -> Power {
        self.limit.unwrap_or_else(|| {
            let read =
                self.tick_tracker.as_ref().map_or(Power::ZERO, |ticks| ticks.power_history.highest_power);
            if read < self.highest_mean_power { self.highest_mean_power } else { read }
        })
    }
}
