//! The values that a session receives from the sampler.

use std::time::Duration;

use crate::accumulator::{EnergyAccumulator, SensorEvent};
use crate::clock::SamplerClock;
use crate::source::ComponentInfo;

/// The state of a session at one moment. Times count from the start of the session.
pub struct SampleView<'a> {
    /// The time since the session began.
    pub now: Duration,
    /// The energy of the session so far.
    pub accumulator: &'a EnergyAccumulator,
    /// The sampled components, in the order of the accumulator's energies. If a driver answers late, its
    /// components are appended.
    pub components: &'a [ComponentInfo],
    /// The GPU drivers that have not answered so far.
    pub pending_drivers: &'a [&'static str],
    /// Messages about components that cannot be read or whose readings are in doubt. Those found after the start
    /// are appended.
    pub gaps: &'a [String],
}

/// Called on the sampler thread after each reading, with the events that the reading caused.
pub type SampleCallback = Box<dyn FnMut(&SampleView<'_>, &[SensorEvent]) + Send>;

/// Called once on the sampler thread with the energy at the moment of a query.
pub(super) type QueryCallback = Box<dyn FnOnce(&SampleView<'_>) + Send>;

/// The result of starting a session.
pub struct SessionStart {
    pub(super) clock: SamplerClock,
    pub(super) origin: Duration,
    /// The components that are read.
    pub components: Vec<ComponentInfo>,
    /// The GPU drivers that have not answered so far.
    pub pending_drivers: Vec<&'static str>,
    /// Messages about components that cannot be read or whose readings are in doubt.
    pub gaps: Vec<String>,
}
