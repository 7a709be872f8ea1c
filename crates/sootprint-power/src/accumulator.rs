//! The sum. Pure: readings and the time go in, energy comes out; no clock, no file and no board in here.

mod component;
mod power_history;
mod tick_tracker;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Energy, Power};

use crate::gpu_processes::GpuUsers;
use crate::source::{ComponentInfo, ReadError, SensorReading};
use component::{ComponentAccumulator, ReadingOutcome};

/// How many observations back an edge may be placed: marks reach the meter a little late and in bursts.
const HISTORY_LEN: usize = 256;

/// Two readings this close tell when a counter ticked between them: to half of this at worst. Where readings are dear it
/// may be more, as [`EnergyAccumulator::set_tick_resolution`] says.
const TICK_RESOLUTION: Duration = Duration::from_millis(10);

/// The slowest counter known ticks every 100 ms; who waits longer than this for a tick waits in vain.
pub(crate) const MAX_TICK_INTERVAL: Duration = Duration::from_millis(250);

/// The energy of some components from a first reading on.
#[derive(Debug)]
pub struct EnergyAccumulator {
    components: Vec<ComponentAccumulator>,
}

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

/// What an observation showed besides energy. Each is told once, when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SensorEvent {
    /// The counter went back, as after a driver reload.
    CounterReset {
        /// Its position.
        component: usize,
    },
    /// A reading showed more than the component can draw, and was not counted.
    Implausible {
        /// Its position.
        component: usize,
    },
    /// The component stopped answering.
    Unavailable {
        /// Its position.
        component: usize,
        /// The reason.
        reason: ReadError,
    },
    /// It answers again.
    Recovered {
        /// Its position.
        component: usize,
    },
    /// Other processes than before use it.
    UsersChanged {
        /// Its position.
        component: usize,
        /// The processes now.
        users: GpuUsers,
    },
}

impl EnergyAccumulator {
    /// Of these components, each with whether it is a counter that moves in ticks.
    pub fn new<'a>(components: impl IntoIterator<Item = (&'a ComponentInfo, bool)>) -> Self {
        let accumulator = |(component, ticks)| ComponentAccumulator::new(component, ticks);
        Self { components: components.into_iter().map(accumulator).collect() }
    }

    /// Takes one reading of one component, or the reason why there is none. Time must not go back.
    pub fn record_reading(
        &mut self,
        now: Duration,
        component: usize,
        reading: Result<SensorReading, ReadError>,
    ) -> Option<SensorEvent> {
        let accumulator = self.components.get_mut(component)?;
        match reading {
            Ok(reading) => {
                let after_gap = std::mem::take(&mut accumulator.is_unavailable);
                let recovered = after_gap.then_some(SensorEvent::Recovered { component });
                match accumulator.record_reading(now, reading, after_gap) {
                    ReadingOutcome::CounterReset => Some(SensorEvent::CounterReset { component }),
                    ReadingOutcome::Implausible => Some(SensorEvent::Implausible { component }),
                    ReadingOutcome::Accepted => recovered,
                }
            }
            Err(reason) => {
                accumulator.record_missed_read(now);
                let is_new = !std::mem::replace(&mut accumulator.is_unavailable, true);
                is_new.then_some(SensorEvent::Unavailable { component, reason })
            }
        }
    }

    /// Takes the power of a counter's component at a moment, by which an edge is found between two ticks, and what was
    /// used around a restart: before the counter's reading of the same moment.
    pub fn record_power(&mut self, now: Duration, component: usize, power: Power) {
        if let Some(ticks) =
            self.components.get_mut(component).and_then(|account| account.tick_tracker.as_mut())
        {
            ticks.power_history.record(now, power);
        }
    }

    /// Sets how close together two readings of a ticking counter are from now on.
    pub fn set_tick_resolution(&mut self, readings: Duration) {
        for ticks in self.components.iter_mut().filter_map(|account| account.tick_tracker.as_mut()) {
            ticks.resolution = readings.max(TICK_RESOLUTION);
        }
    }

    /// The totals of all components at `now`, with time since the last good reading counted as unmeasured.
    pub fn totals(&self, now: Duration) -> Vec<ComponentTotal> {
        self.components.iter().map(|account| account.total_at(now)).collect()
    }

    /// The energy of each component at a moment just past, on the line between the readings around it.
    pub fn energy_at(&self, moment: Duration) -> Vec<Energy> {
        self.components.iter().map(|account| account.energy_at(moment)).collect()
    }

    /// Whether every counter has ticked since `moment`, so that the energy at it can be told to a few milliseconds.
    pub fn have_counters_ticked_since(&self, moment: Duration) -> bool {
        let responding = self.components.iter().filter(|account| account.is_responding());
        let mut ticks = responding.filter_map(|account| account.tick_tracker.as_ref());
        ticks.all(|ticks| ticks.has_ticked_since(moment))
    }
}

#[cfg(test)]
mod tests;
