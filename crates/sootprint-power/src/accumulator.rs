//! The energy accumulator: readings and their time go in, energy with bounds comes out.
//!
//! It is pure: no clock, no IO and no hardware access. A test replays a week in a millisecond.

mod component;
mod component_total;
mod counter_check;
mod counter_excursion;
mod limits;
mod power_history;
mod tick_tracker;

use std::time::Duration;

use sootprint_core::{Energy, Power};

use crate::gpu_processes::GpuUsers;
use crate::source::{ComponentInfo, ReadError, SensorReading};
use component::{ComponentAccumulator, ReadingOutcome};

pub use component_total::ComponentTotal;
pub(crate) use limits::MAX_TICK_INTERVAL;
pub use limits::SUSPENDED_POWER;

/// Accumulates the energy of a set of components since their first reading.
///
/// All times count from the start of the measurement. Some counters update only in ticks: a reading shows the
/// energy at the last tick, which is up to 100 ms old on NVIDIA GPUs.
#[derive(Debug)]
pub struct EnergyAccumulator {
    components: Vec<ComponentAccumulator>,
}

/// An event that the sampler reports in addition to the energy. A lasting condition is reported once, when it
/// begins.
///
/// In each variant, `component` is the index of the component that the event concerns.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SensorEvent {
    /// The counter went backwards, as after a driver reload.
    CounterReset {
        /// The index of the component.
        component: usize,
    },
    /// A reading was outside the range of power that the component can draw and was not counted.
    Implausible {
        /// The index of the component.
        component: usize,
    },
    /// The counter does not move, or reports far less energy than the power readings. The power readings are
    /// used instead, until the counter agrees with them again.
    CounterFaulty {
        /// The index of the component.
        component: usize,
    },
    /// The GPU is suspended. Its power is counted as 0, with [`SUSPENDED_POWER`] as the upper bound.
    Suspended {
        /// The index of the component.
        component: usize,
    },
    /// The component stopped responding.
    Unavailable {
        /// The index of the component.
        component: usize,
        /// The reason why it cannot be read.
        reason: ReadError,
    },
    /// The component responds again.
    Recovered {
        /// The index of the component.
        component: usize,
    },
    /// The processes that use the component have changed.
    UsersChanged {
        /// The index of the component.
        component: usize,
        /// The current users.
        users: GpuUsers,
    },
}

impl EnergyAccumulator {
    /// Creates an accumulator for these components. The `bool` of each component states whether it has a
    /// counter that updates in ticks.
    pub fn new<'a>(components: impl IntoIterator<Item = (&'a ComponentInfo, bool)>) -> Self {
        let new_component = |(component, ticks)| ComponentAccumulator::new(component, ticks);
        Self { components: components.into_iter().map(new_component).collect() }
    }

    /// Records one reading of a component, or the reason why there is none. `now` must not go backwards.
    /// Returns the event that the reading reveals, if any.
    pub fn record_reading(
        &mut self,
        now: Duration,
        component: usize,
        reading: Result<SensorReading, ReadError>,
    ) -> Option<SensorEvent> {
        let accumulator = self.components.get_mut(component)?;
        let reading = match reading {
            Ok(reading) if accumulator.is_believable(reading) => reading,
            Ok(_) => {
                accumulator.record_missed_read(now);
                let is_new = !std::mem::replace(&mut accumulator.is_unavailable, true);
                return is_new.then_some(SensorEvent::Implausible { component });
            }
            Err(ReadError::Suspended) => {
                let is_new = accumulator.record_suspended(now);
                return is_new.then_some(SensorEvent::Suspended { component });
            }
            Err(reason) => {
                accumulator.record_missed_read(now);
                let is_new = !std::mem::replace(&mut accumulator.is_unavailable, true);
                return is_new.then_some(SensorEvent::Unavailable { component, reason });
            }
        };
        accumulator.is_suspended = false;
        let after_gap = std::mem::take(&mut accumulator.is_unavailable);
        match accumulator.record_reading(now, reading, after_gap) {
            ReadingOutcome::CounterReset => Some(SensorEvent::CounterReset { component }),
            ReadingOutcome::Implausible => Some(SensorEvent::Implausible { component }),
            ReadingOutcome::CounterFaulty => Some(SensorEvent::CounterFaulty { component }),
            ReadingOutcome::Accepted => after_gap.then_some(SensorEvent::Recovered { component }),
        }
    }

    /// Adds a component that was opened after the start. The time from the start until its first reading is
    /// unmeasured. `is_ticking` states whether it has a counter that updates in ticks.
    pub fn add_component(&mut self, component: &ComponentInfo, is_ticking: bool) {
        let mut accumulator = ComponentAccumulator::new(component, is_ticking);
        accumulator.record_missed_read(Duration::ZERO);
        self.components.push(accumulator);
    }

    /// Records that a component has no reading at `now`, because its driver has not answered. If the
    /// component has never been read, the time from `now` until its first reading is unmeasured.
    pub fn record_pending(&mut self, now: Duration, component: usize) {
        if let Some(accumulator) = self.components.get_mut(component) {
            accumulator.record_missed_read(now);
        }
    }

    /// Records the current power of a component whose counter updates in ticks. The power is used to derive the
    /// energy between two ticks, to bridge a counter reset and to check the counter. Call this before
    /// [`Self::record_reading`] for the same moment.
    pub fn record_power(&mut self, now: Duration, component: usize, power: Power) {
        if let Some(accumulator) = self.components.get_mut(component) {
            accumulator.record_power(now, power);
        }
    }

    /// Sets the longest time between two readings that locate a tick of a counter between them, at least 10 ms.
    pub fn set_tick_resolution(&mut self, readings: Duration) {
        for ticks in self.components.iter_mut().filter_map(|component| component.tick_tracker.as_mut()) {
            ticks.set_resolution(readings);
        }
    }

    /// Returns the totals of all components at `now`. For a component that does not respond, the time since
    /// its last successful reading is unmeasured.
    pub fn totals(&self, now: Duration) -> Vec<ComponentTotal> {
        self.components.iter().map(|component| component.total_at(now)).collect()
    }

    /// Returns the energy of each component at a recent moment: from the counter's next tick if its time is known,
    /// otherwise interpolated between the readings around the moment.
    pub fn energy_at(&self, moment: Duration) -> Vec<Energy> {
        self.components.iter().map(|component| component.energy_at(moment)).collect()
    }

    /// Returns whether the energy at the start is known as precisely as the ticks of the counters allow.
    pub fn has_located_start(&self) -> bool {
        let mut ticking = self.components.iter().filter(|component| component.is_ticking());
        ticking.all(ComponentAccumulator::has_located_start)
    }

    /// Returns whether every responding counter that updates in ticks has ticked since `moment`. If so,
    /// [`energy_at`](Self::energy_at) can derive the energy at `moment` from the tick that follows it, which is
    /// more precise than interpolating between readings.
    pub fn have_counters_ticked_since(&self, moment: Duration) -> bool {
        let ticking = self.components.iter().filter(|component| component.is_ticking());
        let mut ticks = ticking.filter_map(|component| component.tick_tracker.as_ref());
        ticks.all(|ticks| ticks.has_ticked_since(moment))
    }
}

#[cfg(test)]
mod tests;
