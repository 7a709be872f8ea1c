//! The sum. Pure: readings and the time go in, energy comes out; no clock, no file and no board in here.

mod ticks;

use std::collections::VecDeque;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::processes::Users;
use crate::source::{Bounded, Component, Reading, Tolerance, Unreadable};
use crate::units::{Energy, Power};
use ticks::Ticks;

/// Power readings that lie further apart than this are not joined: what happened between them is a gap.
const LONGEST_STRIDE: Duration = Duration::from_secs(10);

/// How many observations back an edge may be placed: marks reach the meter a little late and in bursts.
const REMEMBERED: usize = 256;

/// Two readings this close tell when a counter ticked between them: to half of this at worst.
const FINE: Duration = Duration::from_millis(10);

/// The slowest counter known ticks every 100 ms; who waits longer than this for a tick waits in vain.
pub(crate) const LONGEST_TICK: Duration = Duration::from_millis(250);

/// A board may exceed its limit for a moment, and a counter shows what the time since its last tick used.
const EXCESS: f64 = 1.5;

/// The energy of some components from a first reading on.
#[derive(Debug)]
pub(crate) struct Tally {
    accounts: Vec<Account>,
}

/// What is known of one component so far; each value only grows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Total {
    /// The best estimate.
    #[serde(rename = "e")]
    pub(crate) energy: Energy,
    /// The bounds that the readings themselves give, without unmeasured time.
    #[serde(rename = "lo")]
    pub(crate) low: Energy,
    #[serde(rename = "hi")]
    pub(crate) high: Energy,
    /// Seconds that readings cover, and seconds that none covers.
    #[serde(rename = "m")]
    pub(crate) measured: f64,
    #[serde(rename = "u")]
    pub(crate) unmeasured: f64,
    /// How often the counter began again.
    #[serde(rename = "r")]
    pub(crate) resets: u32,
}

/// What an observation showed besides energy. Each is told once, when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// The counter went back, as after a driver reload.
    Reset { component: usize },
    /// A reading showed more than the component can draw, and was not counted.
    Implausible { component: usize },
    /// The component stopped answering.
    Silent { component: usize, reason: Unreadable },
    /// It answers again.
    Back { component: usize },
    /// Other processes than before use it.
    Used { component: usize, users: Users },
}

#[derive(Debug)]
struct Account {
    limit: Option<Power>,
    tolerance: Tolerance,
    /// The last good reading and when it was taken.
    last: Option<(Duration, Reading)>,
    /// Up to when the total accounts for the time.
    settled: Option<Duration>,
    silent: bool,
    /// As the readings show it; a counter that ticks lags behind the truth in it.
    total: Total,
    /// The energy after each of the last observations, oldest first.
    trail: VecDeque<(Duration, Energy)>,
    /// None for a component whose readings are up to the moment.
    ticks: Option<Ticks>,
}

impl Tally {
    /// Of these components, each with whether it is a counter that moves in ticks.
    pub(crate) fn new<'a>(components: impl IntoIterator<Item = (&'a Component, bool)>) -> Self {
        let account = |(component, ticks): (&Component, bool)| Account {
            limit: component.limit,
            tolerance: component.tolerance,
            last: None,
            settled: None,
            silent: false,
            total: Total::default(),
            trail: VecDeque::with_capacity(REMEMBERED + 1),
            ticks: ticks.then(Ticks::default),
        };
        Self { accounts: components.into_iter().map(account).collect() }
    }

    /// Takes one reading of one component, or the reason why there is none. Time must not go back.
    pub(crate) fn observe(
        &mut self,
        now: Duration,
        component: usize,
        reading: Result<Reading, Unreadable>,
    ) -> Option<Finding> {
        let account = self.accounts.get_mut(component)?;
        match reading {
            Ok(reading) => {
                let back = std::mem::take(&mut account.silent).then_some(Finding::Back { component });
                match account.add(now, reading) {
                    Step::Reset => Some(Finding::Reset { component }),
                    Step::Implausible => Some(Finding::Implausible { component }),
                    Step::Good => back,
                }
            }
            Err(reason) => {
                // Nothing to compare with before the first reading: the silence is counted from here on.
                account.settled.get_or_insert(now);
                let began = !std::mem::replace(&mut account.silent, true);
                began.then_some(Finding::Silent { component, reason })
            }
        }
    }

    /// Takes the power of a counter's component at a moment, by which an edge is found between two ticks.
    pub(crate) fn observe_power(&mut self, now: Duration, component: usize, power: Power) {
        if let Some(ticks) = self.accounts.get_mut(component).and_then(|account| account.ticks.as_mut()) {
            ticks.observe_power(now, power);
        }
    }

    /// The totals of all components at `now`, with time since the last good reading counted as unmeasured.
    pub(crate) fn totals(&self, now: Duration) -> Vec<Total> {
        self.accounts.iter().map(|account| account.total_at(now)).collect()
    }

    /// The energy of each component at a moment just past, on the line between the readings around it.
    pub(crate) fn energy_at(&self, moment: Duration) -> Vec<Energy> {
        self.accounts.iter().map(|account| account.energy_at(moment)).collect()
    }

    /// Whether every counter has ticked since `moment`, so that the energy at it can be told to a few milliseconds.
    pub(crate) fn is_settled(&self, moment: Duration) -> bool {
        let waits = |account: &&Account| account.last.is_some() && !account.silent;
        let mut ticks = self.accounts.iter().filter(waits).filter_map(|account| account.ticks.as_ref());
        ticks.all(|ticks| ticks.has_ticked_since(moment))
    }
}

/// What a reading was.
enum Step {
    Good,
    Reset,
    Implausible,
}

impl Account {
    fn add(&mut self, now: Duration, reading: Reading) -> Step {
        let mut step = Step::Good;
        if let Some((then, before)) = self.last {
            let time = now.saturating_sub(then);
            let went_back = matches!((before, reading), (Reading::Counter(a), Reading::Counter(b)) if b < a);
            match between(before, reading, time) {
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
    }

    /// Keeps a tick that was seen closely; the first one tells how far the counter lagged behind at the beginning.
    fn tick(&mut self, then: Duration, now: Duration, energy: Energy) {
        let Some(ticks) = &mut self.ticks else { return };
        if energy > Energy::ZERO && now - then <= FINE {
            ticks.observe_tick((then + now) / 2, self.total.energy);
        }
        if ticks.lag.is_none() {
            let lag = self.bridged(Duration::ZERO);
            if let Some(ticks) = &mut self.ticks {
                ticks.lag = lag.or((now > LONGEST_TICK).then_some(Energy::ZERO));
            }
        }
    }

    /// The counter restarted somewhere between two readings. What it shows now was used since; what was used before
    /// is known from the powers around it, or lost, when the time counts as unmeasured.
    fn restarted(&mut self, then: Duration, now: Duration, reading: Reading) {
        let time = now.saturating_sub(then);
        self.total.resets += 1;
        let Reading::Counter(shown) = reading else { return };
        let most = self.limit.map(|limit| limit * time);
        let since = if most.is_none_or(|most| shown <= most) { shown } else { Energy::ZERO };
        let Some(used) = self.ticks.as_ref().and_then(|ticks| ticks.used_between(then, now)) else {
            self.total.unmeasured += time.as_secs_f64();
            self.total.energy += since;
            self.total.low += self.tolerance.low(since);
            self.total.high += self.tolerance.high(since);
            return;
        };
        let best = if used > since { used } else { since };
        self.measured(time, Bounded { low: since, best, high: most.unwrap_or(best) });
    }

    fn total_at(&self, now: Duration) -> Total {
        let total = self.total;
        // Of a component that answers, the next reading will tell.
        let silent = self.settled.filter(|_| self.silent);
        let open = silent.map_or(Duration::ZERO, |settled| now.saturating_sub(settled));
        // Readings may be ahead of a moment just past, as when a tick after it had to be waited for.
        let ahead = self.settled.map_or(Duration::ZERO, |settled| settled.saturating_sub(now));
        let energy = self.energy_at(now);
        let further = energy - total.energy;
        Total {
            energy,
            low: floor(total.low + self.tolerance.low(further)),
            high: floor(total.high + self.tolerance.high(further)),
            measured: (total.measured - ahead.as_secs_f64()).max(0.0),
            unmeasured: total.unmeasured + open.as_secs_f64(),
            ..total
        }
    }

    /// The energy from the account's beginning to a moment.
    fn energy_at(&self, moment: Duration) -> Energy {
        let lag = self.ticks.as_ref().and_then(|ticks| ticks.lag).unwrap_or_default();
        floor(self.bridged(moment).unwrap_or_else(|| self.read_at(moment)) - lag)
    }

    /// The energy that a counter will show of a moment once it ticks: that of the tick after it, less what was used
    /// from the moment on. It is never less than what the counter showed at that moment.
    fn bridged(&self, moment: Duration) -> Option<Energy> {
        let ticks = self.ticks.as_ref()?;
        let (tick, energy) = ticks.next_after(moment)?;
        let bridged = energy - ticks.used_between(moment, tick)?;
        let seen = self.trail.partition_point(|(time, _)| *time <= moment);
        let shown = seen.checked_sub(1).map_or(Energy::ZERO, |last| self.trail[last].1);
        Some(if bridged < shown { shown } else { bridged })
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
}

/// A difference that rounding took below nothing.
fn floor(energy: Energy) -> Energy {
    if energy < Energy::ZERO { Energy::ZERO } else { energy }
}

/// The energy between two readings; none when they show none.
fn between(before: Reading, after: Reading, time: Duration) -> Option<Bounded> {
    let exactly = |energy| Some(Bounded { low: energy, best: energy, high: energy });
    let near = time <= LONGEST_STRIDE;
    match (before, after) {
        (Reading::Counter(before), Reading::Counter(after)) if before <= after => exactly(after - before),
        (Reading::Modelled(before), Reading::Modelled(after)) => Some(Bounded {
            low: after.low - before.low,
            best: after.best - before.best,
            high: after.high - before.high,
        }),
        // Instant readings lie on the curve: the trapezoid between them is under it.
        (Reading::Instant(before), Reading::Instant(after)) if near => exactly((before + after) * 0.5 * time),
        // An averaged reading stands for the time before it: such readings tile.
        (_, Reading::Averaged(mean)) if near => exactly(mean * time),
        _ => None,
    }
}

#[cfg(test)]
mod tests;
