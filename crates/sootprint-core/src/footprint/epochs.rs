//! The epochs of a run and their phases.

use serde::{Deserialize, Serialize};

use crate::units::{Co2e, Energy};

/// One pass over the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochSummary {
    /// The epoch number of the framework.
    pub epoch: u32,
    /// The attempt that ran it, counted from 1.
    pub attempt: u32,
    /// Seconds from the start of the run to the start of the epoch, on the same axis as [`Footprint::power`]. `None` in
    /// footprints of older versions.
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
    /// The number of training samples, if the run counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The number of training tokens, if the run counted them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The named phases in this epoch. They need not cover it; a nested phase counts in the outer phase too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSummary>,
}

/// Time and energy of all phases with the same name.
///
/// Wrong for short phases: within one update interval of a GPU's energy counter (20 to 100 ms), or within the second
/// between two readings of other hardware, energy is attributed in proportion to time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// The name that was passed to `Run::phase`.
    pub name: String,
    /// Total wall time in seconds; with several ranks, that of the longest.
    pub duration_s: f64,
    /// The energy used.
    #[serde(rename = "energy_j")]
    pub energy: Energy,
    /// The emissions of that energy.
    #[serde(rename = "grams")]
    pub emissions: Co2e,
}
