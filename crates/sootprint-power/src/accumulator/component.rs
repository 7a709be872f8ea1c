//! The energy of one component.

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Energy, Power};

use super::limits::{HISTORY_LEN, MAX_TICK_INTERVAL};
use super::power_history;
use super::tick_tracker::{CounterTick, InitialLag, TickTracker};
use crate::source::{ComponentInfo, EnergyBounds, SensorReading, SensorTolerance};

/// Power readings that lie further apart than this are not joined: what happened between them is a gap.
const MAX_INTEGRATION_GAP: Duration = Duration::from_secs(10);

/// Where a counter's board tells no power, its mean over at least so long stands in at an edge.
const FALLBACK_WINDOW: Duration = Duration::from_secs(1);

/// A board may exceed its limit for a moment, and a counter shows what the time since its last tick used.
const LIMIT_HEADROOM: f64 = 1.5;

/// What is known of one component so far. Each value only grows, but for the bounds, which close as a tick is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ComponentTotal {
    /// The best estimate.
    #[serde(rename = "e")]
    pub energy: Energy,
    /// The bounds that the readings themselves give, without unmeasured time.
    #[serde(rename = "lo")]
    pub low: Energy,
    /// The upper bound.
    #[serde(rename = "hi")]
    pub high: Energy,
    /// Seconds that readings cover.
    #[serde(rename = "m")]
    pub measured: f64,
    /// Seconds that no reading covers.
    #[serde(rename = "u")]
    pub unmeasured: f64,
    /// How often the counter began again.
    #[serde(rename = "r")]
    pub resets: u32,
}

#[derive(Debug)]
pub(super) struct ComponentAccumulator {
    limit: Option<Power>,
    tolerance: SensorTolerance,
    /// The last good reading and when it was taken.
    last_reading: Option<(Duration, SensorReading)>,
    /// Up to when the total accounts for the time.
    covered_until: Option<Duration>,
    pub(super) is_unavailable: bool,
    /// As the readings show it; a counter that ticks lags behind the truth in it.
    total: ComponentTotal,
    /// The highest mean power between two readings so far.
    highest_mean_power: Power,
    /// The energy after each of the last observations, oldest first.
    history: VecDeque<(Duration, Energy)>,
    /// None for a component whose readings are up to the moment.
    pub(super) tick_tracker: Option<TickTracker>,
}

/// What a reading was.
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

    /// Nothing came at this time. Before the first reading there is nothing to compare with: silence counts from here.
    pub(super) fn record_missed_read(&mut self, now: Duration) {
        self.covered_until.get_or_insert(now);
        if let Some(ticks) = &mut self.tick_tracker {
            ticks.power_history.record_missed_read();
        }
    }

    /// Takes a reading; `after_silence` when one before it did not come.
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
        } else if let Some(settled) = self.covered_until {
            self.total.unmeasured += now.saturating_sub(settled).as_secs_f64();
        }
        self.last_reading = Some((now, reading));
        self.covered_until = Some(now);
        if self.history.len() == HISTORY_LEN {
            self.history.pop_front();
        }
        self.history.push_back((now, self.total.energy));
        outcome
    }

    /// The energy between two readings; none when they show none.
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
            // Instant readings lie on the curve: the best is the trapezoid between them, the bounds are its corners.
            (SensorReading::Instant(before), SensorReading::Instant(after)) if is_joinable => {
                Some(power_history::trapezoid_bounds(before, after, time))
            }
            // An averaged reading stands for the time before it: such readings tile.
            (_, SensorReading::Averaged { mean, window }) if is_joinable => {
                let best = mean * time;
                let Some(window) = window else { return exactly(best) };
                let (low, high) = self.window_overlap(mean, window, time);
                // A limit that the driver does not hold must not turn the bounds around.
                Some(EnergyBounds { low: low.min(best), best, high: high.max(best) })
            }
            _ => None,
        }
    }

    /// The power around a silence says little of the power in it, which may have been nothing or the limit.
    fn widen_after_gap(&self, energy: EnergyBounds, reading: SensorReading, time: Duration) -> EnergyBounds {
        match reading {
            SensorReading::Instant(_) | SensorReading::Averaged { window: None, .. } => {
                energy.widen_to(self.max_power() * time)
            }
            // A counter and a model know what was used meanwhile, and a mean of a known time has its own bounds.
            SensorReading::Counter(_) | SensorReading::Modelled(_) | SensorReading::Averaged { .. } => energy,
        }
    }

    /// The least and the most that can have been used in the last part of a time whose mean power is known, or in more
    /// than that time: what is outside of both was used at nothing or at the limit.
    fn window_overlap(&self, mean: Power, window: Duration, time: Duration) -> (Energy, Energy) {
        let (whole, max_power) = (mean * window, self.max_power());
        if time <= window {
            ((whole - max_power * (window - time)).max(Energy::ZERO), whole.min(max_power * time))
        } else {
            (whole, whole + max_power * (time - window))
        }
    }

    /// Whether the component can have drawn that much, as far as its limit is known.
    fn is_plausible(&self, energy: EnergyBounds, reading: SensorReading, time: Duration) -> bool {
        // A counter may show at once what was used since its last tick.
        let lag =
            if matches!(reading, SensorReading::Counter(_)) { MAX_TICK_INTERVAL } else { Duration::ZERO };
        self.limit.is_none_or(|limit| energy.best <= limit * (time + lag) * LIMIT_HEADROOM)
    }

    fn add_measured(&mut self, time: Duration, energy: EnergyBounds) {
        self.total.energy += energy.best;
        self.total.low += self.tolerance.lower_bound(energy.low);
        self.total.high += self.tolerance.upper_bound(energy.high);
        self.total.measured += time.as_secs_f64();
        // Over a shorter time a counter shows its tick's whole energy at once.
        if let Some(mean) = energy.best / time
            && time >= MAX_TICK_INTERVAL
            && mean > self.highest_mean_power
        {
            self.highest_mean_power = mean;
        }
    }

    /// Keeps a tick that was seen closely; the first one tells how far the counter lagged behind at the beginning.
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

    /// The counter restarted somewhere between two readings. What it shows now was used since; what was used before
    /// is known from the powers around it, or lost, when the time counts as unmeasured.
    fn handle_counter_reset(&mut self, then: Duration, now: Duration, reading: SensorReading) {
        let time = now.saturating_sub(then);
        self.total.resets += 1;
        let SensorReading::Counter(count) = reading else { return };
        // The counter may have shown last what was used up to a tick before.
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
        // Of a component that answers, the next reading will tell.
        let silent = self.covered_until.filter(|_| self.is_unavailable);
        let uncovered = silent.map_or(Duration::ZERO, |settled| now.saturating_sub(settled));
        // Readings may be ahead of a moment just past, as when a tick after it had to be waited for.
        let ahead = self.covered_until.map_or(Duration::ZERO, |settled| settled.saturating_sub(now));
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

    /// The energy from the account's beginning to a moment.
    pub(super) fn energy_at(&self, moment: Duration) -> Energy {
        let lag = self.tick_tracker.as_ref().and_then(|ticks| ticks.initial_lag).unwrap_or_default();
        let shown = self.energy_from_next_tick(moment).unwrap_or_else(|| self.interpolated_energy(moment));
        // The difference may round to less than zero.
        (shown - lag.energy).max(Energy::ZERO)
    }

    /// The energy that a counter will show of a moment once it ticks: that of the tick after it, less what was used
    /// from the moment on. It is never less than what the counter showed at that moment.
    fn energy_from_next_tick(&self, moment: Duration) -> Option<Energy> {
        let ticks = self.tick_tracker.as_ref()?;
        let tick = ticks.first_tick_after(moment)?;
        let bridged = tick.energy - self.energy_until_tick(tick, moment).best;
        let seen = self.history.partition_point(|(time, _)| *time <= moment);
        let counter_energy = seen.checked_sub(1).map_or(Energy::ZERO, |last| self.history[last].1);
        Some(bridged.max(counter_energy))
    }

    /// How far the energy at a moment may be off because a counter moves in ticks. A component that was never read has
    /// nothing that could be off.
    fn boundary_uncertainty(&self, moment: Duration) -> Energy {
        let (Some(ticks), Some(_)) = (&self.tick_tracker, self.last_reading) else { return Energy::ZERO };
        let max_power = self.max_power();
        let Some(tick) = ticks.first_tick_after(moment) else {
            return max_power * (MAX_TICK_INTERVAL + self.interpolation_error(moment));
        };
        let EnergyBounds { low, high, .. } = self.energy_until_tick(tick, moment);
        max_power * tick.uncertainty + (high - low)
    }

    /// The energy between a moment and the tick after it: by the power readings, else by the mean power that the counter
    /// itself has shown of late, when it may have been nothing as well as the limit.
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

    /// The same for the account's beginning, of which more is known once the counter has ticked.
    fn initial_uncertainty(&self) -> Energy {
        let lag = self.tick_tracker.as_ref().and_then(|ticks| ticks.initial_lag);
        lag.map_or_else(|| self.boundary_uncertainty(Duration::ZERO), |lag| lag.uncertainty)
    }

    /// What the readings show at a moment, on the line between those around it.
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

    /// How long the component may have drawn all it can, or nothing, without the line between the readings around a moment
    /// having shown it: nothing at a reading, and a quarter of their distance in the middle.
    fn interpolation_error(&self, moment: Duration) -> Duration {
        let after = self.history.partition_point(|(time, _)| *time < moment);
        let before = after.checked_sub(1).map(|before| self.history[before].0);
        let (Some(before), Some(&(after, _))) = (before, self.history.get(after)) else {
            return Duration::ZERO;
        };
        let part = (moment - before).as_secs_f64() / (after - before).as_secs_f64();
        (after - moment).mul_f64(part.clamp(0.0, 1.0))
    }

    /// The most that the component is taken to draw: its limit, else the highest power or mean that was seen.
    fn max_power(&self) -> Power {
        self.limit.unwrap_or_else(|| {
            let read =
                self.tick_tracker.as_ref().map_or(Power::ZERO, |ticks| ticks.power_history.highest_power);
            if read < self.highest_mean_power { self.highest_mean_power } else { read }
        })
    }
}
