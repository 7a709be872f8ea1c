//! The processes of a run that has several ranks or attempts.

use serde::{Deserialize, Serialize};

use crate::training::RunStatus;
use crate::units::Energy;

/// One process of a run: one rank in one attempt.
///
/// `None` in a field means that the ledger of the process cannot be read.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ProcessSummary {
    /// The rank, from 0.
    pub rank: u32,
    /// The attempt, from 1.
    pub attempt: u32,
    /// How the process ended.
    pub outcome: Option<RunStatus>,
    /// The start time in UTC, in RFC 3339 format.
    pub started: Option<String>,
    /// Wall time in seconds.
    pub duration_s: Option<f64>,
    /// The energy that the process recorded. Energy that several processes recorded counts only once in the total, so
    /// the sum over all processes may be higher.
    #[serde(rename = "energy_j")]
    pub energy: Option<Energy>,
}
