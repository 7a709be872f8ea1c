//! Accumulates the energy of one component.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::{Energy, Power};

use super::component_total::ComponentTotal;
use super::counter_check::{CounterCheck, CounterVerdict};
use super::counter_excursion::{CounterExcursion, CounterReturn};
use super::limits::{HISTORY_LEN, MAX_TICK_INTERVAL, SUSPENDED_POWER};
use super::power_history::{self, MAX_SAMPLE_AGE, PowerMark};
use super::tick_tracker::{CounterTick, InitialLag, TickTracker};
use crate::source::{ComponentInfo, EnergyBounds, SensorReading, SensorTolerance};

/// Power readings further apart than this are not integrated: the time between them is a gap.
const MAX_INTEGRATION_GAP: Duration = Duration::from_secs(10);

/// If a counter's GPU reports no power, the mean power over at least this time is used at a boundary.
const FALLBACK_WINDOW: Duration = Duration::from_secs(1);

/// Factor by which a reading may exceed the power limit: a GPU may briefly exceed its limit, and a counter
/// may include energy from before the last reading.
const LIMIT_HEADROOM: f64 = 1.5;

/// The readings and the energy of one component so far.
#[derive(Debug)]
pub(super) struct ComponentAccumulator {
    /// The power limit that the driver reports, or an assumed one.
    limit: Option<Power>,
    min_power: Option<Power>,
    tolerance: SensorTolerance,
    /// The last successful reading and its time.
    last_reading: Option<(Duration, SensorReading)>,
    /// The time up to which the total covers all time, as measured or unmeasured.
    covered_until: Option<Duration>,
    pub(super) is_unavailable: bool,
    pub(super) is_suspended: bool,
    /// The total according to the readings. For a ticking counter it lags behind the true energy.
    total: ComponentTotal,
    /// The highest mean power between two readings.
    highest_mean_power: Power,
    /// The energy after each of the last observations, oldest first.
    history: VecDeque<(Duration, Energy)>,
    /// `None` unless the component has a counter that updates in ticks.
    pub(super) tick_tracker: Option<TickTracker>,
    counter_check: CounterCheck,
    /// The last reading before the counter went backwards or jumped, kept until the counter returns.
    excursion: Option<CounterExcursion>,
    /// Marks the time of the last reading in the power history.
    power_mark: PowerMark,
    /// The time of the reading at which the counter was last seen to have grown.
    grew_at: Duration,
    /// The time of the reading before that one: the counter may have stopped at any time since.
    alive_at: Duration,
}

/// The classification of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ReadingOutcome {
    Accepted,
    CounterReset,
    Implausible,
    /// The counter has just become faulty: it does not move, or reports far less energy than the power
    /// readings.
    CounterFaulty,
}

impl ComponentAccumulator {
    pub(super) fn new(component: &ComponentInfo, is_ticking: bool) -> Self {
        Self {
            limit: component.max_power(),
            min_power: component.min_power,
            tolerance: component.tolerance,
            last_reading: None,
            covered_until: None,
            is_unavailable: false,
            is_suspended: false,
            total: ComponentTotal::default(),
            highest_mean_power: Power::ZERO,
            history: VecDeque::with_capacity(HISTORY_LEN + 1),
            tick_tracker: is_ticking.then(TickTracker::default),
            counter_check: CounterCheck::new(component.min_power),
            excursion: None,
            power_mark: PowerMark::default(),
            grew_at: Duration::ZERO,
            alive_at: Duration::ZERO,
        }
    }

    /// Whether the boundaries of the component wait for a tick of its counter.
    pub(super) fn is_ticking(&self) -> bool {
        self.last_reading.is_some() && !self.is_unavailable && !self.counter_check.is_faulty
    }

    /// Records the power of a component with a counter, unless the power is implausible.
    pub(super) fn record_power(&mut self, now: Duration, power: Power) {
        let max_power = self.max_power();
        let is_believable = self.is_believable(SensorReading::Instant(power));
        let Some(ticks) = &mut self.tick_tracker else { return };
        if is_believable {
            ticks.power_history.record(now, power, max_power);
            self.counter_check.add_power(power);
        } else {
            ticks.power_history.record_missed_read();
        }
    }

    /// Records that a read failed. If no read has succeeded yet, unmeasured time is counted from here.
    pub(super) fn record_missed_read(&mut self, now: Duration) {
        self.covered_until.get_or_insert(now);
        if let Some(ticks) = &mut self.tick_tracker {
            ticks.power_history.record_missed_read();
        }
    }

    /// Records that the GPU is suspended. Returns whether it was not suspended before.
    pub(super) fn record_suspended(&mut self, now: Duration) -> bool {
        let is_new = !std::mem::replace(&mut self.is_suspended, true);
        if let Some(until) = self.covered_until {
            let time = now.saturating_sub(until);
            if is_new && self.last_reading.is_some() {
                // The GPU was awake for part of this time.
                self.total.unmeasured += time.as_secs_f64();
            } else {
                self.total.measured += time.as_secs_f64();
                self.total.high += SUSPENDED_POWER * time;
            }
        }
        // A counter may continue from another value after the suspension.
        (self.last_reading, self.excursion) = (None, None);
        self.covered_until = Some(now);
        self.is_unavailable = false;
        is_new
    }

    /// Whether a power reading is in the range that the component can draw. All other readings are
    /// believable.
    pub(super) fn is_believable(&self, reading: SensorReading) -> bool {
        let (SensorReading::Instant(power) | SensorReading::Averaged { mean: power, .. }) = reading else {
            return true;
        };
        self.limit.is_none_or(|limit| power <= limit * LIMIT_HEADROOM)
            && self.min_power.is_none_or(|least| power >= least)
    }

    /// Records a believable reading. `after_gap` is set if the previous read failed.
    pub(super) fn record_reading(
        &mut self,
        now: Duration,
        reading: SensorReading,
        after_gap: bool,
    ) -> ReadingOutcome {
        let mut outcome = ReadingOutcome::Accepted;
        match (self.last_reading, reading) {
            (Some((then, SensorReading::Counter(before))), SensorReading::Counter(after)) => {
                if after_gap {
                    self.restart_check(then);
                }
                outcome = self.record_counter((then, before), (now, after));
                if after_gap {
                    self.restart_check(now);
                }
            }
            (Some((then, before)), _) => {
                let time = now.saturating_sub(then);
                match self.energy_between(before, reading, time) {
                    Some(energy) if after_gap => {
                        self.add_measured(time, self.widen_after_gap(energy, reading, time));
                    }
                    Some(energy) => self.add_measured(time, energy),
                    None => self.total.unmeasured += time.as_secs_f64(),
                }
            }
            (None, _) => {
                if let Some(until) = self.covered_until {
                    self.total.unmeasured += now.saturating_sub(until).as_secs_f64();
                }
                self.restart_check(now);
            }
        }
        self.last_reading = Some((now, reading));
        self.covered_until = Some(now);
        self.power_mark = self.mark_power(now);
        while self.history.len() >= HISTORY_LEN {
            self.history.pop_front();
        }
        self.history.push_back((now, self.total.energy));
        outcome
    }

    /// Records two consecutive readings of a counter.
    fn record_counter(
        &mut self,
        (then, before): (Duration, Energy),
        (now, after): (Duration, Energy),
    ) -> ReadingOutcome {
        let is_jump = after < before
            || !self.is_plausible_growth(after - before, now.saturating_sub(self.alive_at.min(then)));
        if let Some(excursion) = self.excursion.filter(|it| after >= it.counter)
            && self.is_plausible_growth(after - excursion.counter, now.saturating_sub(excursion.left_at))
        {
            self.excursion = None;
            let since = after - excursion.counter;
            match excursion.classify_return(now, is_jump) {
                CounterReturn::Certain => {
                    self.return_to_course(&excursion, now, since);
                    return ReadingOutcome::Accepted;
                }
                CounterReturn::Possible => {
                    let low = excursion.total.low + self.tolerance.lower_bound(since);
                    self.total.low = self.total.low.min(low);
                }
                CounterReturn::Grown => {}
            }
        }
        if is_jump {
            let excursion = CounterExcursion { left_at: then, counter: before, total: self.total };
            self.excursion = Some(CounterExcursion::continue_or_replace(self.excursion, excursion));
            self.judge_counter(then, true);
            let outcome = if after < before {
                self.total.resets += 1;
                self.bridge(then, now, Some(after));
                ReadingOutcome::CounterReset
            } else {
                self.bridge(then, now, None);
                ReadingOutcome::Implausible
            };
            (self.grew_at, self.alive_at) = (now, now);
            self.restart_check(now);
            return outcome;
        }
        self.add_counted(then, now, after - before);
        if self.judge_counter(now, false) { ReadingOutcome::CounterFaulty } else { ReadingOutcome::Accepted }
    }

    /// Adds the growth of the counter between two readings or, while the counter is faulty, the integral of
    /// the power.
    fn add_counted(&mut self, then: Duration, now: Duration, counted: Energy) {
        let time = now.saturating_sub(then);
        self.counter_check.add_counted(counted);
        if counted > Energy::ZERO {
            self.total.high += self.possible_loss(then, counted);
            if then.saturating_sub(self.grew_at) > MAX_TICK_INTERVAL {
                // The growth includes energy that was used while the counter stood still.
                self.forget_since(self.grew_at, self.total.energy);
            }
            (self.grew_at, self.alive_at) = (now, then);
        }
        if self.counter_check.is_faulty {
            match self.power_since(self.power_mark, now) {
                Some(energy) => {
                    self.add_measured(time, self.counter_check.believable_bounds(energy, counted, time));
                }
                None => self.total.unmeasured += time.as_secs_f64(),
            }
        } else {
            self.add_measured(time, EnergyBounds { low: counted, best: counted, high: counted });
            self.record_tick(then, now, counted);
        }
    }

    /// Returns the energy that a counter may have lost if it has not ticked until `then`, although it should
    /// have, and has now grown by `counted`. Zero if the GPU reports its power, because [`CounterCheck`] then
    /// finds such a loss.
    fn possible_loss(&self, then: Duration, counted: Energy) -> Energy {
        let idle = then.saturating_sub(self.grew_at);
        let has_power = self.tick_tracker.as_ref().is_none_or(|ticks| ticks.power_history.has_samples());
        if has_power || idle <= MAX_TICK_INTERVAL {
            return Energy::ZERO;
        }
        self.tolerance
            .upper_bound((self.max_power() * (idle + MAX_TICK_INTERVAL) - counted).max(Energy::ZERO))
    }

    /// Judges the counter if the current stretch is long enough, and corrects the total if the counter was
    /// wrong in that stretch. Returns whether the counter has just become faulty.
    fn judge_counter(&mut self, now: Duration, is_interrupted: bool) -> bool {
        let (was_faulty, max_power) = (self.counter_check.is_faulty, self.max_power());
        let history = self.tick_tracker.as_ref().map(|ticks| &ticks.power_history);
        let Some(verdict) = self.counter_check.judge(now, history, max_power, is_interrupted) else {
            return false;
        };
        match verdict {
            CounterVerdict::Agrees { shortfall, excess } => {
                self.total.high += self.tolerance.upper_bound(shortfall);
                self.total.low = (self.total.low - self.tolerance.upper_bound(excess)).max(Energy::ZERO);
            }
            CounterVerdict::Disagrees { .. } if was_faulty => {}
            CounterVerdict::Disagrees { total, time, power_mark, missing_before, by_power } => {
                self.correct_stretch(total, time, by_power);
                let start = now.saturating_sub(time);
                self.forget_since(start, total.energy);
                if let Some(ticks) = &self.tick_tracker {
                    let corrected = ticks.power_history.energies_since(power_mark);
                    let within = corrected.filter(|(at, _)| *at > start && *at < now);
                    self.history.extend(within.map(|(at, energy)| (at, total.energy + energy)));
                }
                self.total.high += self.tolerance.upper_bound(missing_before);
            }
        }
        self.restart_check(now);
        self.counter_check.is_faulty && !was_faulty
    }

    /// Replaces the energy that a faulty counter reported in a stretch by the energy from the power readings.
    /// Without power readings, the stretch is unmeasured.
    fn correct_stretch(&mut self, start: ComponentTotal, time: Duration, by_power: Option<EnergyBounds>) {
        self.total.low = start.low;
        let Some(energy) = by_power else {
            self.total.measured = start.measured;
            self.total.unmeasured = start.unmeasured + time.as_secs_f64();
            return;
        };
        self.total.energy = self.total.energy.max(start.energy + energy.best);
        self.total.low += self.tolerance.lower_bound(energy.low);
        let high = start.high + self.tolerance.upper_bound(energy.high);
        self.total.high = self.total.high.max(high).max(self.total.energy);
    }

    /// Replaces the energy since an excursion by the growth of the counter, which has returned to its course.
    fn return_to_course(&mut self, excursion: &CounterExcursion, now: Duration, since: Energy) {
        let (before, after) = (excursion.total, self.total);
        let time = now.saturating_sub(excursion.left_at).as_secs_f64();
        let energy = before.energy + since;
        self.total = ComponentTotal {
            // The total never decreases, even if the energy of the excursion was estimated too high.
            energy: energy.max(after.energy),
            low: before.low + self.tolerance.lower_bound(since),
            high: (before.high + self.tolerance.upper_bound(since)).max(after.energy),
            measured: before.measured + time,
            unmeasured: before.unmeasured,
            resets: after.resets,
        };
        self.counter_check.is_faulty = false;
        (self.grew_at, self.alive_at) = (now, now);
        self.forget_since(excursion.left_at, before.energy);
        self.restart_check(now);
    }

    /// Removes the observations after a moment, because their energies have turned out to be wrong. `energy`
    /// is the energy at that moment.
    fn forget_since(&mut self, moment: Duration, energy: Energy) {
        self.history.retain(|(time, _)| *time < moment);
        self.history.push_back((moment, energy));
        if let Some(ticks) = &mut self.tick_tracker {
            ticks.forget_since(moment);
        }
    }

    fn restart_check(&mut self, now: Duration) {
        self.counter_check.restart(now, self.total, self.mark_power(now));
    }

    fn mark_power(&self, now: Duration) -> PowerMark {
        let mark = |ticks: &TickTracker| ticks.power_history.mark(now, self.max_power());
        self.tick_tracker.as_ref().map(mark).unwrap_or_default()
    }

    /// The integral of the power readings since a mark. `None` if there are none.
    fn power_since(&self, mark: PowerMark, now: Duration) -> Option<EnergyBounds> {
        self.tick_tracker.as_ref()?.power_history.energy_since(mark, now, self.max_power())
    }

    /// Whether a counter can have grown by this much, given the power limit. It may report all energy since
    /// its last tick in one step.
    fn is_plausible_growth(&self, energy: Energy, time: Duration) -> bool {
        self.limit.is_none_or(|limit| energy <= limit * (time + MAX_TICK_INTERVAL) * LIMIT_HEADROOM)
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
            (SensorReading::Modelled(before), SensorReading::Modelled(after)) => Some(EnergyBounds {
                low: after.low - before.low,
                best: after.best - before.best,
                high: after.high - before.high,
            }),
            // Instant readings lie on the power curve: the best estimate is the trapezoid, and the bounds
            // assume the lower and the higher power for the whole time.
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

    /// Widens the bounds around a gap in power readings: the power on both sides of a gap does not limit the
    /// power within it, which may be anything from zero to the power limit.
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

    /// Records a tick if the two readings around it are close enough to locate it. The first located ticks
    /// determine how far the counter lagged at the start.
    fn record_tick(&mut self, then: Duration, now: Duration, energy: Energy) {
        let Some(ticks) = &mut self.tick_tracker else { return };
        if energy > Energy::ZERO && now - then <= ticks.resolution {
            ticks.record_tick(then, now, self.total.energy);
        }
        // Without power readings, the power at the start follows from two ticks.
        let (needed, timeout) = if ticks.power_history.has_samples() {
            (1, MAX_TICK_INTERVAL)
        } else {
            (2, MAX_TICK_INTERVAL * 2)
        };
        if ticks.initial_lag.is_none() && (ticks.has_ticks(needed) || now > timeout) {
            let lag = self.estimate_initial_lag();
            if let Some(ticks) = &mut self.tick_tracker {
                ticks.initial_lag = Some(lag);
            }
        }
    }

    /// Estimates how far the counter lagged at the start, from the ticks so far.
    fn estimate_initial_lag(&self) -> InitialLag {
        let energy = self.energy_from_next_tick(Duration::ZERO).unwrap_or_default();
        InitialLag { energy, uncertainty: self.boundary_uncertainty(Duration::ZERO) }
    }

    fn initial_lag(&self) -> InitialLag {
        let known = self.tick_tracker.as_ref().and_then(|ticks| ticks.initial_lag);
        known.unwrap_or_else(|| self.estimate_initial_lag())
    }

    /// Adds the energy between two counter readings that cannot be compared, derived from the power readings
    /// around them. Without power readings, the time is unmeasured. `restarted` is the new value of a counter
    /// that went backwards: if the counter restarted at zero, that much energy was used since.
    fn bridge(&mut self, then: Duration, now: Duration, restarted: Option<Energy>) {
        let time = now.saturating_sub(then);
        // A counter may have lagged by one tick when it stopped.
        let lagged = if self.tick_tracker.is_some() { time + MAX_TICK_INTERVAL } else { time };
        let max_power = self.max_power();
        let at_limit = self.limit.map(|limit| limit * lagged);
        let since = restarted.filter(|count| at_limit.is_none_or(|most| *count <= most)).unwrap_or_default();
        match self.energy_by_power(then, now) {
            Some(used) => {
                let best = if since <= used.high { used.best.max(since) } else { used.best };
                let high = best.max(used.high).max(at_limit.unwrap_or(max_power * lagged));
                self.add_measured(time, EnergyBounds { low: used.low.min(since), best, high });
            }
            None => {
                self.total.unmeasured += time.as_secs_f64();
                self.total.energy += since;
                let lag = max_power * (lagged - time);
                self.total.high += self.tolerance.upper_bound(since).max(lag);
            }
        }
    }

    /// The energy from `then` to `now`, from the power readings around it. `None` if there are none.
    fn energy_by_power(&self, then: Duration, now: Duration) -> Option<EnergyBounds> {
        /// The samples of a longer time may have been discarded; their integral is kept.
        const MAX_DETAILED_TIME: Duration = Duration::from_secs(1);

        let history = &self.tick_tracker.as_ref()?.power_history;
        if now.saturating_sub(then) <= MAX_DETAILED_TIME {
            history.energy_between(then, now, self.max_power())
        } else {
            self.power_since(self.power_mark, now)
        }
    }

    /// The energy from the last counter reading to `now`, from power readings that were taken since. Zero if there are
    /// none.
    fn energy_since_reading(&self, now: Duration) -> EnergyBounds {
        if self.is_unavailable || self.covered_until.is_none_or(|until| now <= until) {
            return EnergyBounds::default();
        }
        let scale = if self.counter_check.is_faulty { 1.0 } else { self.counter_check.power_scale };
        let energy = self.power_since(self.power_mark, now).unwrap_or_default();
        EnergyBounds { best: (energy.best * scale).max(energy.low).min(energy.high), ..energy }
    }

    pub(super) fn total_at(&self, now: Duration) -> ComponentTotal {
        let total = self.total;
        // If the component responds, the next reading will cover this time.
        let covered = self.covered_until.filter(|_| self.is_unavailable);
        let uncovered = covered.map_or(Duration::ZERO, |until| now.saturating_sub(until));
        // Readings may be later than `now`, for example if a query waited for a tick after it.
        let ahead = self.covered_until.map_or(Duration::ZERO, |until| until.saturating_sub(now));
        let since_reading = self.energy_since_reading(now);
        let energy = self.energy_at(now);
        let until_now = energy - since_reading.best - total.energy;
        let uncertainty = self.boundary_uncertainty(now) + self.initial_lag().uncertainty;
        let low = total.low + self.tolerance.lower_bound(until_now + since_reading.low) - uncertainty;
        let high = total.high + self.tolerance.upper_bound(until_now + since_reading.high) + uncertainty;
        let shortfall = self.possible_shortfall();
        // Power readings since the last reading of the counter cover that time.
        let followed = self.covered_until.filter(|_| since_reading.best > Energy::ZERO);
        let followed = followed.map_or(Duration::ZERO, |until| now.saturating_sub(until));
        ComponentTotal {
            energy,
            low: low.max(Energy::ZERO).min(energy),
            high: (high + self.tolerance.upper_bound(shortfall)).max(energy),
            measured: (total.measured - ahead.as_secs_f64()).max(0.0) + followed.as_secs_f64(),
            unmeasured: total.unmeasured + uncovered.as_secs_f64(),
            ..total
        }
    }

    /// The energy from the start to a moment.
    pub(super) fn energy_at(&self, moment: Duration) -> Energy {
        let lag = self.initial_lag();
        let shown = self
            .energy_from_next_tick(moment)
            .unwrap_or_else(|| self.interpolated_energy(moment) + self.energy_since_reading(moment).best);
        // The difference may round to less than zero.
        (shown - lag.energy).max(Energy::ZERO)
    }

    /// The energy that the counter may have missed since it was last judged.
    fn possible_shortfall(&self) -> Energy {
        let Some((now, SensorReading::Counter(_))) = self.last_reading else { return Energy::ZERO };
        let history = self.tick_tracker.as_ref().map(|ticks| &ticks.power_history);
        self.counter_check.possible_shortfall(now, history, self.max_power())
    }

    /// The energy that the counter will report for a moment once it ticks: the value at the next tick, less
    /// the energy used between the moment and the tick. It is never less than the counter's value at the
    /// moment. `None` if no such tick has been located.
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
        let (Some(ticks), Some((read_at, _))) = (&self.tick_tracker, self.last_reading) else {
            return Energy::ZERO;
        };
        let max_power = self.max_power();
        if self.counter_check.is_faulty {
            // The reported power may be as old as the last sample of the driver.
            let stale = ticks.power_history.highest_power * MAX_SAMPLE_AGE;
            return max_power * self.interpolation_error(moment) + stale;
        }
        let Some(tick) = ticks.first_tick_after(moment) else {
            // The counter may have stopped since it was last seen to grow or, without power readings, since
            // the reading before that.
            let grew_at = if ticks.power_history.has_samples() { self.grew_at } else { self.alive_at };
            let idle = moment.min(read_at).saturating_sub(grew_at);
            return max_power * (MAX_TICK_INTERVAL + self.interpolation_error(moment) + idle);
        };
        let EnergyBounds { low, high, .. } = self.energy_until_tick(tick, moment);
        max_power * tick.uncertainty + (high - low)
    }

    /// The energy between a moment and the next tick, from the power readings. Without them, it is derived
    /// from the mean power of the counter around the tick, with bounds from zero to the power limit.
    fn energy_until_tick(&self, tick: CounterTick, moment: Duration) -> EnergyBounds {
        let by_power = self
            .tick_tracker
            .as_ref()
            .and_then(|ticks| ticks.power_history.energy_between(moment, tick.at, self.max_power()));
        by_power.unwrap_or_else(|| {
            let time = tick.at.saturating_sub(moment);
            let mean = self.mean_power_near(tick, moment);
            let high = self.max_power() * time;
            EnergyBounds { low: Energy::ZERO, best: (mean * time).min(high), high }
        })
    }

    /// The mean power around a tick: from the tick to the next located one, or from the previous located one
    /// to the tick. If neither is near, the mean over at least [`FALLBACK_WINDOW`] before `moment`: readings
    /// lag behind by up to a tick, which matters over a shorter time.
    fn mean_power_near(&self, tick: CounterTick, moment: Duration) -> Power {
        let located = self.tick_tracker.as_ref().and_then(|ticks| ticks.nearest_to(tick));
        if let Some(other) = located {
            let (first, last) = if other.at < tick.at { (other, tick) } else { (tick, other) };
            return ((last.energy - first.energy) / (last.at - first.at)).unwrap_or_default();
        }
        let since = self.history.iter().rev().find(|(then, _)| *then + FALLBACK_WINDOW <= moment);
        let (then, energy) = since.or(self.history.front()).copied().unwrap_or_default();
        ((tick.energy - energy) / tick.at.saturating_sub(then)).unwrap_or_default()
    }

    /// Whether the energy at the start is known as precisely as the ticks of the counter allow.
    pub(super) fn has_located_start(&self) -> bool {
        self.tick_tracker.as_ref().is_none_or(|ticks| ticks.initial_lag.is_some())
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

    /// The assumed maximum power: the power limit, or the highest power or mean power observed if that is higher.
    fn max_power(&self) -> Power {
        let read = self.tick_tracker.as_ref().map_or(Power::ZERO, |ticks| ticks.power_history.highest_power);
        let seen = if read < self.highest_mean_power { self.highest_mean_power } else { read };
        // A GPU may exceed its limit.
        self.limit.map_or(seen, |limit| if limit < seen { seen } else { limit })
    }
}
