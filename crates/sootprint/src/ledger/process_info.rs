//! The process that wrote a ledger.

use serde::{Deserialize, Serialize};

/// One process of a run in one attempt. The default is a process without a launcher.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessInfo {
    pub(crate) rank: u32,
    /// The number of ranks announced by the launcher.
    pub(crate) ranks: u32,
    /// Starts at 1.
    pub(crate) attempt: u32,
    /// Distinguishes one launch of all ranks from the next; `None` if the launcher provides no such id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) launch: Option<String>,
    /// The index of the process's task in a job array. Only a task with the same index continues the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) array_index: Option<String>,
    /// Digest of the host's boot id and the job. Ledgers with the same digest refer to the same hardware and clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) host: Option<String>,
    /// Seconds from the host's boot to the start of the run, including sleep. Independent of the wall clock.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) booted: Option<f64>,
    /// The CPUs allocated to the process. Ledgers of one host with the same allocation share these CPUs, which count
    /// once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) processors: Option<String>,
    /// The memory allocated to the process, with the same rule as for CPUs.
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
            array_index: None,
            host: None,
            booted: None,
            processors: None,
            memory: None,
        }
    }
}
