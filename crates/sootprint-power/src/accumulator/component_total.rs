//! The energy of a component, as the accumulator reports it and the ledger stores it.

use serde::{Deserialize, Serialize};
use sootprint_core::Energy;

/// The energy of one component so far.
///
/// The energy and the times only grow, except that time counts as unmeasured again if a counter turns out to be faulty.
/// The bounds also narrow, when a tick is observed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ComponentTotal {
    /// The best estimate.
    #[serde(rename = "e")]
    pub energy: Energy,
    /// The lower bound from the readings alone, without unmeasured time.
    #[serde(rename = "lo")]
    pub low: Energy,
    /// The upper bound from the readings alone, without unmeasured time.
    #[serde(rename = "hi")]
    pub high: Energy,
    /// Seconds covered by readings.
    #[serde(rename = "m")]
    pub measured: f64,
    /// Seconds not covered by any reading.
    #[serde(rename = "u")]
    pub unmeasured: f64,
    /// Number of counter resets.
    #[serde(rename = "r")]
    pub resets: u32,
}
