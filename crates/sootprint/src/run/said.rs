//! What a hook says of a run: the one way from all hooks to the record, in this process or in another.

use serde::{Deserialize, Serialize};
use sootprint_core::{Outcome, TrainingType};
use sootprint_power::{Claim, Edge};

use super::book::PhaseId;
use crate::ledger::Counts;

/// One word of a hook. When it was said goes with it; what it used up to then is found by whoever measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Said {
    /// What kind of training it is.
    Label { training_type: Option<TrainingType>, base_model: Option<String> },
    /// How many epochs there will be.
    Planned(u32),
    /// What it calls epochs are slices of a loop without any, each as long as this.
    Sliced(String),
    /// An epoch begins; what was counted before belongs to the one that is open, or to none.
    EpochStarted { number: u32, before: Counts },
    /// The open epoch ends, complete or not.
    EpochEnded { completed: bool, counts: Counts },
    /// A phase begins.
    PhaseStarted { id: PhaseId, name: String },
    /// A phase ends.
    PhaseEnded(PhaseId),
    /// The training is over: an epoch that is open is not complete. What was counted belongs to it, or to none.
    Left(Counts),
    /// Another rank counted this in an epoch, or outside of any.
    Counted { epoch: Option<u32>, counts: Counts },
    /// Which boards the framework trains on.
    Claimed(Vec<Claim>),
    /// How the training ended.
    Outcome(Outcome),
    /// It goes on from a checkpoint.
    Resumed,
    /// What a reader should hear.
    Note(String),
}

impl Said {
    /// How closely its moment has to be known.
    pub(super) const fn edge(&self) -> Edge {
        match self {
            Self::EpochStarted { .. } | Self::EpochEnded { .. } | Self::Left(_) => Edge::Sharp,
            _ => Edge::Rough,
        }
    }

    /// Whether an epoch may end by it, so that who says it wants to hear what that epoch used.
    #[cfg(unix)]
    pub(super) const fn ends_an_epoch(&self) -> bool {
        matches!(self, Self::EpochStarted { .. } | Self::EpochEnded { .. } | Self::Left(_))
    }
}
