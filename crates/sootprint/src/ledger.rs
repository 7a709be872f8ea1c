//! The run's record on disk: JSON Lines that are only ever appended, each with a checksum.
//!
//! A footprint can always be made again from it. It holds device names and UUIDs and is never published.

mod begin;
mod error;
mod folder;
mod heartbeat;
mod line;
mod read;
mod store;
mod task;
#[cfg(test)]
mod tests;
mod writer;

use serde::{Deserialize, Serialize};
use sootprint_core::{Answer, Energy, Outcome, Power, Pue, Series, TrainingType};
use sootprint_power::{Component, Total, Users};

pub(crate) use begin::{Begun, begin, begin_beside, resume};
pub use error::LedgerError;
pub use folder::runs;
pub(crate) use folder::{Name, names};
pub(crate) use read::{Damage, Ending, Recovered, ending, read};
pub(crate) use task::Task;
pub(crate) use writer::Ledger;
#[cfg(test)]
pub(crate) use writer::Loss;

/// The schema that this version writes.
pub(crate) const SCHEMA: &str = "sootprint-ledger/1";

/// One line. Times are seconds since the run began.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub(crate) enum Entry {
    /// The first line.
    Opened(Box<Opened>),
    /// The power of each component at rest, measured before the run began.
    Rested { power: Vec<Power> },
    /// The hook said which boards the framework trains on.
    Claimed {
        at: f64,
        /// Positions in the list of components.
        components: Vec<usize>,
        /// Devices that no board answers to.
        unresolved: Vec<String>,
    },
    /// Other processes than before use a board.
    Used { at: f64, component: usize, users: Users },
    /// A training inside the measured command said what it is, which the command had not been told.
    Labelled { training_type: Option<TrainingType>, base_model: Option<String> },
    /// The hook said how many epochs there will be.
    Planned { epochs: u32 },
    /// The hook said that what it calls epochs are slices of a loop without any, each as long as this.
    Sliced { every: String },
    /// The totals so far.
    Totals { at: f64, totals: Vec<Total> },
    /// The energy of each component so far, between two lines of totals; none of one that no reading covers since then.
    Energy { at: f64, energy: Vec<Option<Energy>> },
    /// The heartbeat: the totals, and the epoch that is open. Only the newest one is kept, in a file of its own.
    Beat { at: f64, totals: Vec<Total>, epoch: Option<OpenEpoch> },
    /// An epoch ended.
    Epoch {
        epoch: u32,
        start: f64,
        end: f64,
        /// Of each component.
        energy: Vec<Energy>,
        completed: bool,
        #[serde(flatten)]
        counts: Counts,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        phases: Vec<Phase>,
    },
    /// What was counted outside of epochs, and the phases there, since the last such entry.
    Between {
        at: f64,
        #[serde(flatten)]
        counts: Counts,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        phases: Vec<Phase>,
    },
    /// Another rank inside the measured command counted this in an epoch, or outside of any.
    Counted { epoch: Option<u32>, counts: Counts },
    /// The hook said that this is the next attempt of an earlier run.
    Resumed { run: String, attempt: u32 },
    /// Something that a reader of the footprint should hear.
    Note { at: f64, text: String },
    /// The machine's cloud said where it is.
    Located { grid: Box<Answer>, pue: Pue },
    /// What a live provider answered, or the user's own figures, for a part of the run's time. A later entry is an update
    /// of the earlier ones.
    Live(Series),
    /// The last line.
    Closed { at: f64, outcome: Outcome, totals: Vec<Total> },
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
pub(crate) struct Counts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) samples: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
}

/// What all scopes of one name have taken and used.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Phase {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// Of each component.
    pub(crate) energy: Vec<Energy>,
}

/// What is known when a run begins.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Opened {
    pub(crate) schema: String,
    pub(crate) version: String,
    pub(crate) run: String,
    pub(crate) training_type: Option<TrainingType>,
    pub(crate) base_model: Option<String>,
    /// RFC 3339, in UTC.
    pub(crate) started: String,
    pub(crate) grid: Answer,
    pub(crate) pue: Pue,
    pub(crate) components: Vec<Component>,
    /// Hardware that is there and cannot be read, and why.
    pub(crate) gaps: Vec<String>,
    /// Which of the run's processes wrote it.
    #[serde(default)]
    pub(crate) task: Task,
}

impl Counts {
    /// Adds what was counted elsewhere; what nobody counted stays none.
    pub(crate) fn add(&mut self, more: Self) {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        *self = Self { samples: sum(self.samples, more.samples), tokens: sum(self.tokens, more.tokens) };
    }
}
