//! The energy of a component, as the accumulator reports it and the ledger stores it.

use serde::{Deserialize, Serialize};
use sootprint_core::Energy;

/// The energy of one component so far.
///
/// Over time, the energy and the times only grow, except that measured time may become unmeasured or the reverse
/// if later readings show that a counter was faulty or had only jumped temporarily. The bounds may become
/// narrower when the counter updates.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct ComponentTotal {
    /// The best estimate.
    #[serde(rename = "e")]
    pub energy: Energy,
    /// The lower bound of the energy, from the readings alone: unmeasured time is not included.
    #[serde(rename = "lo")]
    pub low: Energy,
    /// The upper bound of the energy, from the readings alone: unmeasured time is not included.
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
