//! The energy of one component.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::{Energy, Power};

use super::ticks::{Lag, Tick, Ticks};
use super::{LONGEST_TICK, REMEMBERED, Total, powers};
use crate::source::{Bounded, Component, Reading, Tolerance};

/// Power readings that lie further apart than this are not joined: what happened between them is a gap.
const LONGEST_STRIDE: Duration = Duration::from_secs(10);

/// Where a counter's board tells no power, its mean over at least so long stands in at an edge.
const MEAN_OF_LATE: Duration = Duration::from_secs(1);

/// A board may exceed its limit for a moment, and a counter shows what the time since its last tick used.
const EXCESS: f64 = 1.5;

#[derive(Debug)]
pub(super) struct Account {
    limit: Option<Power>,
    tolerance: Tolerance,
    /// The last good reading and when it was taken.
    last: Option<(Duration, Reading)>,
    /// Up to when the total accounts for the time.
    settled: Option<Duration>,
    pub(super) silent: bool,
    /// As the readings show it; a counter that ticks lags behind the truth in it.
    total: Total,
    /// The highest mean power between two readings so far.
    highest: Power,
    /// The energy after each of the last observations, oldest first.
    trail: VecDeque<(Duration, Energy)>,
    /// None for a component whose readings are up to the moment.
    pub(super) ticks: Option<Ticks>,
}

/// What a reading was.
pub(super) enum Step {
    Good,
    Reset,
    Implausible,
}

impl Account {
    pub(super) fn new(component: &Component, ticks: bool) -> Self {
        Self {
            limit: component.limit,
            tolerance: component.tolerance,
            last: None,
            settled: None,
            silent: false,
            total: Total::default(),
            highest: Power::ZERO,
            trail: VecDeque::with_capacity(REMEMBERED + 1),
            ticks: ticks.then(Ticks::default),
        }
    }

    pub(super) fn is_waited_for(&self) -> bool {
        self.last.is_some() && !self.silent
    }

    /// Nothing came at this time. Before the first reading there is nothing to compare with: silence counts from here.
    pub(super) fn miss(&mut self, now: Duration) {
        self.settled.get_or_insert(now);
        if let Some(ticks) = &mut self.ticks {
            ticks.powers.miss();
        }
    }

    /// Takes a reading; `after_silence` when one before it did not come.
    pub(super) fn add(&mut self, now: Duration, reading: Reading, after_silence: bool) -> Step {
        let mut step = Step::Good;
        if let Some((then, before)) = self.last {
            let time = now.saturating_sub(then);
            let went_back = matches!((before, reading), (Reading::Counter(a), Reading::Counter(b)) if b < a);
            let between = self.between(before, reading, time);
            match between
                .map(|energy| if after_silence { self.unsure(energy, reading, time) } else { energy })
            {
                Some(energy) if self.is_plausible(energy, reading, time) => {
                    self.measured(time, energy);
                    self.tick(then, now, energy.best);
                }
                Some(_) => {
                    self.total.unmeasured += time.as_secs_f64();
                    step = Step::Implausible;
                }
                None if went_back => {
                    self.restarted(then, now, reading);
                    step = Step::Reset;
                }
                None => self.total.unmeasured += time.as_secs_f64(),
            }
        } else if let Some(settled) = self.settled {
            self.total.unmeasured += now.saturating_sub(settled).as_secs_f64();
        }
        self.last = Some((now, reading));
        self.settled = Some(now);
        if self.trail.len() == REMEMBERED {
            self.trail.pop_front();
        }
        self.trail.push_back((now, self.total.energy));
        step
    }

    /// The energy between two readings; none when they show none.
    fn between(&self, before: Reading, after: Reading, time: Duration) -> Option<Bounded> {
        let exactly = |energy| Some(Bounded { low: energy, best: energy, high: energy });
        let near = time <= LONGEST_STRIDE;
        match (before, after) {
            (Reading::Counter(before), Reading::Counter(after)) if before <= after => exactly(after - before),
            (Reading::Modelled(before), Reading::Modelled(after)) => Some(Bounded {
                low: after.low - before.low,
                best: after.best - before.best,
                high: after.high - before.high,
            }),
            // Instant readings lie on the curve: the best is the trapezoid between them, the bounds are its corners.
            (Reading::Instant(before), Reading::Instant(after)) if near => {
                Some(powers::between(before, after, time))
            }
            // An averaged reading stands for the time before it: such readings tile.
            (_, Reading::Averaged { mean, over }) if near => {
                let best = mean * time;
                let Some(over) = over else { return exactly(best) };
                let (low, high) = self.part_of_mean(mean, over, time);
                // A limit that the driver does not hold must not turn the bounds around.
                Some(Bounded { low: lesser(low, best), best, high: greater(high, best) })
            }
            _ => None,
        }
    }

    /// The power around a silence says little of the power in it, which may have been nothing or the limit.
    fn unsure(&self, energy: Bounded, reading: Reading, time: Duration) -> Bounded {
        match reading {
            Reading::Instant(_) | Reading::Averaged { over: None, .. } => energy.up_to(self.most() * time),
            // A counter and a model know what was used meanwhile, and a mean of a known time has its own bounds.
            Reading::Counter(_) | Reading::Modelled(_) | Reading::Averaged { .. } => energy,
        }
    }

    /// The least and the most that can have been used in the last part of a time whose mean power is known, or in more
    /// than that time: what is outside of both was used at nothing or at the limit.
    fn part_of_mean(&self, mean: Power, over: Duration, time: Duration) -> (Energy, Energy) {
        let (whole, most) = (mean * over, self.most());
        if time <= over {
            (floor(whole - most * (over - time)), lesser(whole, most * time))
        } else {
            (whole, whole + most * (time - over))
        }
    }

    /// Whether the component can have drawn that much, as far as its limit is known.
    fn is_plausible(&self, energy: Bounded, reading: Reading, time: Duration) -> bool {
        // A counter may show at once what was used since its last tick.
        let lag = if matches!(reading, Reading::Counter(_)) { LONGEST_TICK } else { Duration::ZERO };
        self.limit.is_none_or(|limit| energy.best <= limit * (time + lag) * EXCESS)
    }

    fn measured(&mut self, time: Duration, energy: Bounded) {
        self.total.energy += energy.best;
        self.total.low += self.tolerance.low(energy.low);
        self.total.high += self.tolerance.high(energy.high);
        self.total.measured += time.as_secs_f64();
        // Over a shorter time a counter shows its tick's whole energy at once.
        if let Some(mean) = energy.best / time
            && time >= LONGEST_TICK
            && mean > self.highest
        {
            self.highest = mean;
        }
    }

    /// Keeps a tick that was seen closely; the first one tells how far the counter lagged behind at the beginning.
    fn tick(&mut self, then: Duration, now: Duration, energy: Energy) {
        let Some(ticks) = &mut self.ticks else { return };
        if energy > Energy::ZERO && now - then <= ticks.fine {
            ticks.observe_tick(then, now, self.total.energy);
        }
        if ticks.lag.is_none() && (ticks.next_after(Duration::ZERO).is_some() || now > LONGEST_TICK) {
            let blur = self.blur(Duration::ZERO);
            let energy = self.bridged(Duration::ZERO).unwrap_or_default();
            if let Some(ticks) = &mut self.ticks {
                ticks.lag = Some(Lag { energy, blur });
            }
        }
    }

    /// The counter restarted somewhere between two readings. What it shows now was used since; what was used before
    /// is known from the powers around it, or lost, when the time counts as unmeasured.
    fn restarted(&mut self, then: Duration, now: Duration, reading: Reading) {
        let time = now.saturating_sub(then);
        self.total.resets += 1;
        let Reading::Counter(shown) = reading else { return };
        // The counter may have shown last what was used up to a tick before.
        let most = self.limit.map(|limit| limit * (time + LONGEST_TICK));
        let since = if most.is_none_or(|most| shown <= most) { shown } else { Energy::ZERO };
        let Some(used) =
            self.ticks.as_ref().and_then(|ticks| ticks.powers.used_between(then, now, self.most()))
        else {
            self.total.unmeasured += time.as_secs_f64();
            self.total.energy += since;
            self.total.low += self.tolerance.low(since);
            self.total.high += self.tolerance.high(since);
            return;
        };
        let best = greater(used.best, since);
        let high = greater(best, most.unwrap_or(self.most() * time));
        self.measured(time, Bounded { low: since, best, high });
    }

    pub(super) fn total_at(&self, now: Duration) -> Total {
        let total = self.total;
        // Of a component that answers, the next reading will tell.
        let silent = self.settled.filter(|_| self.silent);
        let open = silent.map_or(Duration::ZERO, |settled| now.saturating_sub(settled));
        // Readings may be ahead of a moment just past, as when a tick after it had to be waited for.
        let ahead = self.settled.map_or(Duration::ZERO, |settled| settled.saturating_sub(now));
        let energy = self.energy_at(now);
        let further = energy - total.energy;
        let blur = self.blur(now) + self.first_blur();
        Total {
            energy,
            low: floor(total.low + self.tolerance.low(further) - blur),
            high: floor(total.high + self.tolerance.high(further) + blur),
            measured: (total.measured - ahead.as_secs_f64()).max(0.0),
            unmeasured: total.unmeasured + open.as_secs_f64(),
            ..total
        }
    }

    /// The energy from the account's beginning to a moment.
    pub(super) fn energy_at(&self, moment: Duration) -> Energy {
        let lag = self.ticks.as_ref().and_then(|ticks| ticks.lag).unwrap_or_default();
        floor(self.bridged(moment).unwrap_or_else(|| self.read_at(moment)) - lag.energy)
    }

    /// The energy that a counter will show of a moment once it ticks: that of the tick after it, less what was used
    /// from the moment on. It is never less than what the counter showed at that moment.
    fn bridged(&self, moment: Duration) -> Option<Energy> {
        let ticks = self.ticks.as_ref()?;
        let tick = ticks.next_after(moment)?;
        let bridged = tick.energy - self.used_before(tick, moment).best;
        let seen = self.trail.partition_point(|(time, _)| *time <= moment);
        let shown = seen.checked_sub(1).map_or(Energy::ZERO, |last| self.trail[last].1);
        Some(greater(bridged, shown))
    }

    /// How far the energy at a moment may be off because a counter moves in ticks. A component that was never read has
    /// nothing that could be off.
    fn blur(&self, moment: Duration) -> Energy {
        let (Some(ticks), Some(_)) = (&self.ticks, self.last) else { return Energy::ZERO };
        let most = self.most();
        let Some(tick) = ticks.next_after(moment) else {
            return most * (LONGEST_TICK + self.line_s_error(moment));
        };
        let Bounded { low, high, .. } = self.used_before(tick, moment);
        most * tick.width + (high - low)
    }

    /// The energy between a moment and the tick after it: by the power readings, else by the mean power that the counter
    /// itself has shown of late, when it may have been nothing as well as the limit.
    fn used_before(&self, tick: Tick, moment: Duration) -> Bounded {
        let by_power =
            self.ticks.as_ref().and_then(|ticks| ticks.powers.used_between(moment, tick.at, self.most()));
        by_power.unwrap_or_else(|| {
            let time = tick.at.saturating_sub(moment);
            let since = self.trail.iter().rev().find(|(then, _)| *then + MEAN_OF_LATE <= moment);
            let (then, energy) = since.or(self.trail.front()).copied().unwrap_or_default();
            let mean = ((tick.energy - energy) / tick.at.saturating_sub(then)).unwrap_or_default();
            let high = self.most() * time;
            Bounded { low: Energy::ZERO, best: lesser(mean * time, high), high }
        })
    }

    /// The same for the account's beginning, of which more is known once the counter has ticked.
    fn first_blur(&self) -> Energy {
        let lag = self.ticks.as_ref().and_then(|ticks| ticks.lag);
        lag.map_or_else(|| self.blur(Duration::ZERO), |lag| lag.blur)
    }

    /// What the readings show at a moment, on the line between those around it.
    fn read_at(&self, moment: Duration) -> Energy {
        let after = self.trail.partition_point(|(time, _)| *time < moment);
        match (after.checked_sub(1).map(|before| self.trail[before]), self.trail.get(after)) {
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
    fn line_s_error(&self, moment: Duration) -> Duration {
        let after = self.trail.partition_point(|(time, _)| *time < moment);
        let before = after.checked_sub(1).map(|before| self.trail[before].0);
        let (Some(before), Some(&(after, _))) = (before, self.trail.get(after)) else {
            return Duration::ZERO;
        };
        let part = (moment - before).as_secs_f64() / (after - before).as_secs_f64();
        (after - moment).mul_f64(part.clamp(0.0, 1.0))
    }

    /// The most that the component is taken to draw: its limit, else the highest power or mean that was seen.
    fn most(&self) -> Power {
        self.limit.unwrap_or_else(|| {
            let read = self.ticks.as_ref().map_or(Power::ZERO, |ticks| ticks.powers.highest);
            if read < self.highest { self.highest } else { read }
        })
    }
}

/// A difference that rounding took below nothing.
fn floor(energy: Energy) -> Energy {
    greater(energy, Energy::ZERO)
}

fn lesser(one: Energy, other: Energy) -> Energy {
    if other < one { other } else { one }
}

fn greater(one: Energy, other: Energy) -> Energy {
    if one < other { other } else { one }
}
