//! What a session receives from the sampler: a start, a view at each sample, answers to queries.

use std::time::Duration;

use crate::accumulator::{EnergyAccumulator, SensorEvent};
use crate::clock::SamplerClock;
use crate::source::ComponentInfo;

/// What the meter knows at one moment of a session; times count from the session's beginning.
pub struct SampleView<'a> {
    /// The time since the session began.
    pub now: Duration,
    /// The energy of the session so far.
    pub accumulator: &'a EnergyAccumulator,
    /// The components that are sampled, in the order of the energies.
    pub components: &'a [ComponentInfo],
}

/// Is called on the meter's thread after each reading, with what the reading showed besides energy.
pub type SampleCallback = Box<dyn FnMut(&SampleView<'_>, &[SensorEvent]) + Send>;

/// Is called on the meter's thread once, for a moment that a hook marked.
pub(super) type QueryCallback = Box<dyn FnOnce(&SampleView<'_>) + Send>;

/// What a session learns when it begins.
pub struct SessionStart {
    pub(super) clock: SamplerClock,
    pub(super) origin: Duration,
    /// The components that are read.
    pub components: Vec<ComponentInfo>,
    /// What is there and cannot be read, and why.
    pub gaps: Vec<String>,
}
