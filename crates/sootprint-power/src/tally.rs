//! The sum. Pure: readings and the time go in, energy comes out; no clock, no file and no board in here.

mod account;
mod powers;
mod ticks;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Energy, Power};

use crate::processes::Users;
use crate::source::{Component, Reading, Unreadable};
use account::{Account, Step};

/// How many observations back an edge may be placed: marks reach the meter a little late and in bursts.
const REMEMBERED: usize = 256;

/// Two readings this close tell when a counter ticked between them: to half of this at worst. Where readings are dear it
/// may be more, as [`Tally::see_ticks_within`] says.
const FINE: Duration = Duration::from_millis(10);

/// The slowest counter known ticks every 100 ms; who waits longer than this for a tick waits in vain.
pub(crate) const LONGEST_TICK: Duration = Duration::from_millis(250);

/// The energy of some components from a first reading on.
#[derive(Debug)]
pub struct Tally {
    accounts: Vec<Account>,
}

/// What is known of one component so far. Each value only grows, but for the bounds, which close as a tick is seen.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Total {
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

/// What an observation showed besides energy. Each is told once, when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Finding {
    /// The counter went back, as after a driver reload.
    Reset {
        /// Its position.
        component: usize,
    },
    /// A reading showed more than the component can draw, and was not counted.
    Implausible {
        /// Its position.
        component: usize,
    },
    /// The component stopped answering.
    Silent {
        /// Its position.
        component: usize,
        /// The reason.
        reason: Unreadable,
    },
    /// It answers again.
    Back {
        /// Its position.
        component: usize,
    },
    /// Other processes than before use it.
    Used {
        /// Its position.
        component: usize,
        /// The processes now.
        users: Users,
    },
}

impl Tally {
    /// Of these components, each with whether it is a counter that moves in ticks.
    pub fn new<'a>(components: impl IntoIterator<Item = (&'a Component, bool)>) -> Self {
        let account = |(component, ticks)| Account::new(component, ticks);
        Self { accounts: components.into_iter().map(account).collect() }
    }

    /// Takes one reading of one component, or the reason why there is none. Time must not go back.
    pub fn observe(
        &mut self,
        now: Duration,
        component: usize,
        reading: Result<Reading, Unreadable>,
    ) -> Option<Finding> {
        let account = self.accounts.get_mut(component)?;
        match reading {
            Ok(reading) => {
                let after_silence = std::mem::take(&mut account.silent);
                let back = after_silence.then_some(Finding::Back { component });
                match account.add(now, reading, after_silence) {
                    Step::Reset => Some(Finding::Reset { component }),
                    Step::Implausible => Some(Finding::Implausible { component }),
                    Step::Good => back,
                }
            }
            Err(reason) => {
                account.miss(now);
                let began = !std::mem::replace(&mut account.silent, true);
                began.then_some(Finding::Silent { component, reason })
            }
        }
    }

    /// Takes the power of a counter's component at a moment, by which an edge is found between two ticks, and what was
    /// used around a restart: before the counter's reading of the same moment.
    pub fn observe_power(&mut self, now: Duration, component: usize, power: Power) {
        if let Some(ticks) = self.accounts.get_mut(component).and_then(|account| account.ticks.as_mut()) {
            ticks.powers.observe(now, power);
        }
    }

    /// Says how close two readings are from now on, where more than [`FINE`] has to do.
    pub fn see_ticks_within(&mut self, readings: Duration) {
        for ticks in self.accounts.iter_mut().filter_map(|account| account.ticks.as_mut()) {
            ticks.fine = readings.max(FINE);
        }
    }

    /// The totals of all components at `now`, with time since the last good reading counted as unmeasured.
    pub fn totals(&self, now: Duration) -> Vec<Total> {
        self.accounts.iter().map(|account| account.total_at(now)).collect()
    }

    /// The energy of each component at a moment just past, on the line between the readings around it.
    pub fn energy_at(&self, moment: Duration) -> Vec<Energy> {
        self.accounts.iter().map(|account| account.energy_at(moment)).collect()
    }

    /// Whether every counter has ticked since `moment`, so that the energy at it can be told to a few milliseconds.
    pub fn is_settled(&self, moment: Duration) -> bool {
        let waited_for = self.accounts.iter().filter(|account| account.is_waited_for());
        let mut ticks = waited_for.filter_map(|account| account.ticks.as_ref());
        ticks.all(|ticks| ticks.has_ticked_since(moment))
    }
}

#[cfg(test)]
mod tests;
