//! The energy accumulator: readings and their time go in, energy with bounds comes out.
//!
//! It is pure: no clock, no IO and no hardware access. A test replays a week in a millisecond.

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

/// The energy of a set of components since their first reading.
#[derive(Debug)]
pub struct EnergyAccumulator {
    components: Vec<ComponentAccumulator>,
}

/// An observation other than energy. Each is reported once, when it begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SensorEvent {
    /// The counter went backwards, as after a driver reload.
    CounterReset {
        /// The position of the component.
        component: usize,
    },
    /// A reading exceeded the maximum power of the component and was not counted.
    Implausible {
        /// The position of the component.
        component: usize,
    },
    /// The component stopped responding.
    Unavailable {
        /// The position of the component.
        component: usize,
        /// The reason.
        reason: ReadError,
    },
    /// The component responds again.
    Recovered {
        /// The position of the component.
        component: usize,
    },
    /// The processes that use the component have changed.
    UsersChanged {
        /// The position of the component.
        component: usize,
        /// The current users.
        users: GpuUsers,
    },
}

impl EnergyAccumulator {
    /// Creates an accumulator for these components, each with whether it is a counter that moves in ticks.
    pub fn new<'a>(components: impl IntoIterator<Item = (&'a ComponentInfo, bool)>) -> Self {
        let new_component = |(component, ticks)| ComponentAccumulator::new(component, ticks);
        Self { components: components.into_iter().map(new_component).collect() }
    }

    /// Records one reading of a component, or the reason why there is none. `now` must not go backwards.
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

    /// Records the power of a component with a counter. It is used to interpolate a boundary between two ticks and
    /// to bridge a counter reset. Must be called before [`Self::record_reading`] for the same moment.
    pub fn record_power(&mut self, now: Duration, component: usize, power: Power) {
        if let Some(ticks) =
            self.components.get_mut(component).and_then(|component| component.tick_tracker.as_mut())
        {
            ticks.power_history.record(now, power);
        }
    }

    /// Sets the interval between two readings of a ticking counter from now on.
    pub fn set_tick_resolution(&mut self, readings: Duration) {
        for ticks in self.components.iter_mut().filter_map(|component| component.tick_tracker.as_mut()) {
            ticks.set_resolution(readings);
        }
    }

    /// The totals of all components at `now`. Time since the last successful reading counts as unmeasured.
    pub fn totals(&self, now: Duration) -> Vec<ComponentTotal> {
        self.components.iter().map(|component| component.total_at(now)).collect()
    }

    /// The energy of each component at a recent moment, interpolated between the readings around it.
    pub fn energy_at(&self, moment: Duration) -> Vec<Energy> {
        self.components.iter().map(|component| component.energy_at(moment)).collect()
    }

    /// Whether every counter has ticked since `moment`, so that its energy at that moment is accurate to a few
    /// milliseconds.
    pub fn have_counters_ticked_since(&self, moment: Duration) -> bool {
        let responding = self.components.iter().filter(|component| component.is_responding());
        let mut ticks = responding.filter_map(|component| component.tick_tracker.as_ref());
        ticks.all(|ticks| ticks.has_ticked_since(moment))
    }
}

#[cfg(test)]
mod tests;
