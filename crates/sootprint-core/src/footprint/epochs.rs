//! The epochs of a run and their phases.

use serde::{Deserialize, Serialize};

use crate::units::{Co2e, Energy};

/// An epoch: one pass over the training data, or one window of a training without epochs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochSummary {
    /// The number of the epoch, as counted by the training framework.
    pub epoch: u32,
    /// The attempt in which the epoch ran, counted from 1.
    pub attempt: u32,
    /// Seconds from the start of the run to the start of the epoch, on the same axis as [`Footprint::power`]. `None`
    /// in footprints written by older versions.
    ///
    /// [`Footprint::power`]: crate::Footprint::power
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
    /// Wall time in seconds.
    pub duration_s: f64,
    /// The energy used.
    #[serde(rename = "energy_j")]
    pub energy: Energy,
    /// The emissions of that energy.
    #[serde(rename = "grams")]
    pub emissions: Co2e,
    /// Whether the epoch ran to its end.
    pub completed: bool,
    /// The number of training samples. `None` if the run did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The number of training tokens. `None` if the run did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The named phases in this epoch, which need not cover all of it. A nested phase is also counted in its outer
    /// phase.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSummary>,
}

/// The total time and energy of all phases with the same name.
///
/// The energy of short phases is inaccurate: within one update interval of a GPU's energy counter (20 to 100 ms), or
/// within the second between two readings of other hardware, energy is attributed in proportion to time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// The name that was passed to `Run::phase`.
    pub name: String,
    /// The total wall time in seconds. If several ranks ran the phase at the same time, only the longest of their
    /// times counts.
    pub duration_s: f64,
    /// The energy used.
    #[serde(rename = "energy_j")]
    pub energy: Energy,
    /// The emissions of that energy.
    #[serde(rename = "grams")]
    pub emissions: Co2e,
}
