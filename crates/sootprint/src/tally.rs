//! The sum. Pure: readings and the time go in, energy comes out; no clock, no file and no board in here.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::source::{Bounded, Component, Reading, Unreadable};
use crate::units::{Energy, Power};

/// Power readings that lie further apart than this are not joined: what happened between them is a gap.
const LONGEST_STRIDE: Duration = Duration::from_secs(10);

/// How many observations back an edge may be placed: marks reach the meter a little late and in bursts.
const REMEMBERED: usize = 16;

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
    /// The component stopped answering.
    Silent { component: usize, reason: Unreadable },
    /// It answers again.
    Back { component: usize },
}

#[derive(Debug)]
struct Account {
    limit: Option<Power>,
    tolerance: f64,
    /// The last good reading and when it was taken.
    last: Option<(Duration, Reading)>,
    /// Up to when the total accounts for the time.
    settled: Option<Duration>,
    silent: bool,
    total: Total,
    /// The energy after each of the last observations, oldest first.
    trail: Vec<(Duration, Energy)>,
}

impl Tally {
    pub(crate) fn new(components: &[Component]) -> Self {
        let account = |component: &Component| Account {
            limit: component.limit,
            tolerance: component.tolerance,
            last: None,
            settled: None,
            silent: false,
            total: Total::default(),
            trail: Vec::with_capacity(REMEMBERED + 1),
        };
        Self { accounts: components.iter().map(account).collect() }
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
                let reset = account.add(now, reading).then_some(Finding::Reset { component });
                reset.or(back)
            }
            Err(reason) => {
                // Nothing to compare with before the first reading: the silence is counted from here on.
                account.settled.get_or_insert(now);
                let began = !std::mem::replace(&mut account.silent, true);
                began.then_some(Finding::Silent { component, reason })
            }
        }
    }

    /// The totals of all components at `now`, with time since the last good reading counted as unmeasured.
    pub(crate) fn totals(&self, now: Duration) -> Vec<Total> {
        self.accounts
            .iter()
            .map(|account| {
                let open = account.settled.map_or(Duration::ZERO, |settled| now.saturating_sub(settled));
                Total { unmeasured: account.total.unmeasured + open.as_secs_f64(), ..account.total }
            })
            .collect()
    }

    /// The energy of each component at a moment just past, on the line between the readings around it.
    pub(crate) fn energy_at(&self, moment: Duration) -> Vec<Energy> {
        self.accounts.iter().map(|account| account.energy_at(moment)).collect()
    }
}

impl Account {
    /// Adds what the reading shows; tells whether the counter went back.
    fn add(&mut self, now: Duration, reading: Reading) -> bool {
        let mut reset = false;
        if let Some((then, before)) = self.last {
            let time = now.saturating_sub(then);
            reset = matches!((before, reading), (Reading::Counter(a), Reading::Counter(b)) if b < a);
            match between(before, reading, time) {
                Some(energy) => self.measured(time, energy),
                None if reset => self.restarted(time, reading),
                None => self.total.unmeasured += time.as_secs_f64(),
            }
        } else if let Some(settled) = self.settled {
            self.total.unmeasured += now.saturating_sub(settled).as_secs_f64();
        }
        self.last = Some((now, reading));
        self.settled = Some(now);
        if self.trail.len() == REMEMBERED {
            self.trail.remove(0);
        }
        self.trail.push((now, self.total.energy));
        reset
    }

    fn measured(&mut self, time: Duration, energy: Bounded) {
        self.total.energy += energy.best;
        self.total.low += energy.low * (1.0 - self.tolerance);
        self.total.high += energy.high * (1.0 + self.tolerance);
        self.total.measured += time.as_secs_f64();
    }

    /// The counter restarted somewhere in `time`: what it shows now was used since, as far as the board can draw
    /// that much. What was used before the restart is lost, and all of the time counts as unmeasured.
    fn restarted(&mut self, time: Duration, reading: Reading) {
        self.total.resets += 1;
        self.total.unmeasured += time.as_secs_f64();
        let Reading::Counter(since) = reading else { return };
        if self.limit.is_none_or(|limit| since <= limit * time) {
            self.total.energy += since;
            self.total.low += since * (1.0 - self.tolerance);
            self.total.high += since * (1.0 + self.tolerance);
        }
    }

    fn energy_at(&self, moment: Duration) -> Energy {
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
