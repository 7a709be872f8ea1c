//! The sum. Pure: readings and the time go in, energy comes out; no clock, no file and no board in here.

mod component;
mod limits;
mod power_history;
mod tick_tracker;

use std::time::Duration;

use sootprint_core::{Energy, Power};

use crate::gpu_processes::GpuUsers;
use crate::source::{ComponentInfo, ReadError, SensorReading};
use component::{ComponentAccumulator, ReadingOutcome};

pub use component::ComponentTotal;
pub(crate) use limits::MAX_TICK_INTERVAL;

/// The energy of some components from a first reading on.
#[derive(Debug)]
pub struct EnergyAccumulator {
    components: Vec<ComponentAccumulator>,
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
            ticks.set_resolution(readings);
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
