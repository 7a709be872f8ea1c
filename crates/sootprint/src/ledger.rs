//! The run's record on disk: JSON Lines that are only ever appended, each with a checksum.
//!
//! A footprint can always be made again from it. It holds device names and UUIDs and is never published.

mod create;
mod error;
mod heartbeat;
mod line;
mod paths;
mod process_info;
mod read;
mod store;
#[cfg(test)]
mod tests;
mod writer;

use serde::{Deserialize, Serialize};
use sootprint_core::{Energy, GridIntensity, IntensitySeries, Power, Pue, RunStatus, TrainingType};
use sootprint_power::{ComponentInfo, ComponentTotal, GpuUsers};

pub(crate) use create::{OpenLedger, create_alongside, create_ledger, resume_ledger};
pub use error::LedgerError;
pub use paths::list_runs;
pub(crate) use paths::{LedgerId, list_ledgers};
pub(crate) use process_info::ProcessInfo;
pub(crate) use read::{LedgerContents, LedgerCorruption, WriterState, read_ledger, writer_state};
pub(crate) use writer::Ledger;
#[cfg(test)]
pub(crate) use writer::WriteLoss;

/// The schema that this version writes.
pub(crate) const SCHEMA: &str = "sootprint-ledger/2";

/// One line. Times are seconds since the run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub(crate) enum LedgerEntry {
    /// The first line.
    Header(Box<RunHeader>),
    /// The power of each component at rest, measured before the run began.
    IdlePower { power: Vec<Power> },
    /// The hook said which boards the framework trains on.
    Devices {
        at: f64,
        /// Positions in the list of components.
        components: Vec<usize>,
        /// Devices that no board answers to.
        unresolved: Vec<String>,
    },
    /// Other processes than before use a board.
    GpuUsers { at: f64, component: usize, users: GpuUsers },
    /// A training inside the measured command said what it is, which the command had not been told.
    TrainingType { training_type: Option<TrainingType>, base_model: Option<String> },
    /// The hook said how many epochs there will be.
    EpochsPlanned { epochs: u32 },
    /// The hook said that what it calls epochs are slices of a loop without any, each as long as this.
    WindowLength { every: String },
    /// The totals so far.
    Totals { at: f64, totals: Vec<ComponentTotal> },
    /// The energy of each component so far, between two lines of totals; none of one that no reading covers since then.
    Energy { at: f64, energy: Vec<Option<Energy>> },
    /// The heartbeat: the totals, and the epoch that is open. Only the newest one is kept, in a file of its own.
    Heartbeat { at: f64, totals: Vec<ComponentTotal>, epoch: Option<OpenEpoch> },
    /// An epoch ended.
    Epoch {
        epoch: u32,
        start: f64,
        end: f64,
        /// Of each component.
        energy: Vec<Energy>,
        completed: bool,
        #[serde(flatten)]
        counts: WorkCounts,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        phases: Vec<PhaseTotal>,
    },
    /// What was counted outside of epochs, and the phases there, since the last such entry.
    OutsideEpochs {
        at: f64,
        #[serde(flatten)]
        counts: WorkCounts,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        phases: Vec<PhaseTotal>,
    },
    /// Another rank inside the measured command counted this in an epoch, or outside of any.
    Work { epoch: Option<u32>, counts: WorkCounts },
    /// The hook said that this is the next attempt of an earlier run.
    Resumed { run: String, attempt: u32 },
    /// Something that a reader of the footprint should hear.
    Note { at: f64, text: String },
    /// The machine's cloud said where it is.
    Location { grid: Box<GridIntensity>, pue: Pue },
    /// What a live provider answered, or the user's own figures, for a part of the run's time. A later entry is an update
    /// of the earlier ones.
    Intensity(IntensitySeries),
    /// The last line.
    End { at: f64, outcome: RunStatus, totals: Vec<ComponentTotal> },
}

/// An epoch that has not ended: what it used so far.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenEpoch {
    pub(crate) epoch: u32,
    pub(crate) start: f64,
    pub(crate) energy: Vec<Energy>,
}

/// What the hook says that it has trained on; none where it says nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkCounts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) samples: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
}

/// What all scopes of one name have taken and used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PhaseTotal {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// Of each component.
    pub(crate) energy: Vec<Energy>,
}

/// What is known when a run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunHeader {
    pub(crate) schema: String,
    pub(crate) version: String,
    pub(crate) run: String,
    pub(crate) training_type: Option<TrainingType>,
    pub(crate) base_model: Option<String>,
    /// RFC 3339, in UTC.
    pub(crate) started: String,
    pub(crate) grid: GridIntensity,
    pub(crate) pue: Pue,
    pub(crate) components: Vec<ComponentInfo>,
    /// Hardware that is there and cannot be read, and why.
    pub(crate) gaps: Vec<String>,
    /// Which of the run's processes wrote it.
    #[serde(default)]
    pub(crate) task: ProcessInfo,
}

impl WorkCounts {
    /// Adds what was counted elsewhere; what nobody counted stays none.
    pub(crate) fn add(&mut self, other: Self) {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        *self = Self { samples: sum(self.samples, other.samples), tokens: sum(self.tokens, other.tokens) };
    }
}
