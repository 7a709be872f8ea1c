//! Which of a run's processes a ledger is of, and where and when on its host it began.

use serde::{Deserialize, Serialize};

/// One process of a run, in one attempt. A ledger from before there were ranks is that of a single one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessInfo {
    pub(crate) rank: u32,
    /// How many ranks the launcher announced.
    pub(crate) ranks: u32,
    /// From 1.
    pub(crate) attempt: u32,
    /// Tells one launch of all ranks from the next one, where the launcher says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) launch: Option<String>,
    /// A digest of the host's boot and the job: two ledgers with the same saw the same hardware by the same clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Seconds from the host's boot to the run's beginning, sleep included. No clock that people set is in it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) booted: Option<f64>,
    /// The part of the host's processors that it was given, and of its memory: what two ledgers of a host have in common
    /// counts once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) processors: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) memory: Option<String>,
}

impl Default for ProcessInfo {
    fn default() -> Self {
        Self {
            rank: 0,
            ranks: 1,
            attempt: 1,
            launch: None,
            host: None,
            booted: None,
            processors: None,
            memory: None,
        }
    }
}
