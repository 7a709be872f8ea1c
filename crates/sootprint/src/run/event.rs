//! What a hook says of a run: the one way from all hooks to the record, in this process or in another.

use serde::{Deserialize, Serialize};
use sootprint_core::{RunStatus, TrainingType};
use sootprint_power::{BoundaryPrecision, DeviceId};

use super::recorder::PhaseId;
use crate::ledger::WorkCounts;

/// One word of a hook. When it was said goes with it; what it used up to then is found by whoever measures.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum HookEvent {
    /// What kind of training it is.
    TrainingTypeSet { training_type: Option<TrainingType>, base_model: Option<String> },
    /// How many epochs there will be.
    EpochsPlanned(u32),
    /// What it calls epochs are slices of a loop without any, each as long as this.
    WindowLengthSet(String),
    /// An epoch begins; what was counted before belongs to the one that is open, or to none.
    EpochStarted { number: u32, counts: WorkCounts },
    /// The open epoch ends, complete or not.
    EpochEnded { completed: bool, counts: WorkCounts },
    /// A phase begins.
    PhaseStarted { id: PhaseId, name: String },
    /// A phase ends.
    PhaseEnded(PhaseId),
    /// The training is over: an epoch that is open is not complete. What was counted belongs to it, or to none.
    TrainingLeft(WorkCounts),
    /// Another rank counted this in an epoch, or outside of any.
    WorkCounted { epoch: Option<u32>, counts: WorkCounts },
    /// Which boards the framework trains on.
    DevicesAdded(Vec<DeviceId>),
    /// How the training ended.
    StatusSet(RunStatus),
    /// It goes on from a checkpoint.
    Resumed,
    /// What a reader should hear.
    NoteAdded(String),
}

impl HookEvent {
    /// How closely its moment has to be known.
    pub(super) const fn boundary_precision(&self) -> BoundaryPrecision {
        match self {
            Self::EpochStarted { .. } | Self::EpochEnded { .. } | Self::TrainingLeft(_) => {
                BoundaryPrecision::High
            }
            _ => BoundaryPrecision::Low,
        }
    }

    /// Whether an epoch may end by it, so that who says it wants to hear what that epoch used.
    #[cfg(unix)]
    pub(super) const fn may_end_epoch(&self) -> bool {
        matches!(self, Self::EpochStarted { .. } | Self::EpochEnded { .. } | Self::TrainingLeft(_))
    }
}
