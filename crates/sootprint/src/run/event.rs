//! Events from training hooks.
//!
//! All hooks emit [`HookEvent`]s. `RunRecorder::handle_event` records the events that separate epochs or phases, once
//! the energy at their timestamps is known; `RunRecorder::record_fact` records the others immediately. A run inside
//! `sootprint run` sends the same enum over a Unix socket. The exhaustive match in the recorder guarantees that no
//! event is missed.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy, RunStatus, TrainingType};
use sootprint_power::{BoundaryPrecision, DeviceId};

use crate::ledger::WorkCounts;

/// An event from a training hook. It carries its timestamp; the sampler later computes the energy used up to that time.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum HookEvent {
    /// An epoch starts. The counts belong to the epoch that is still open, or to no epoch.
    EpochStarted { number: u32, counts: WorkCounts },
    /// The open epoch ends, complete or not.
    EpochEnded { completed: bool, counts: WorkCounts },
    /// A phase starts.
    PhaseStarted { id: PhaseId, name: String },
    /// A phase ends.
    PhaseEnded(PhaseId),
    /// The training ended; an open epoch is incomplete. The counts belong to that epoch, or to no epoch.
    TrainingLeft(WorkCounts),
    /// A fact, which is recorded without any energy.
    Fact(RunFact),
}

/// A fact about a run that needs no energy. It is recorded immediately and never waits for a driver.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RunFact {
    /// The training type and base model of a nested run.
    TrainingType { training_type: Option<TrainingType>, base_model: Option<String> },
    /// The planned number of epochs.
    EpochsPlanned(u32),
    /// The epochs of this run are windows of a loop without epochs. The text describes the length of a window.
    WindowLength(String),
    /// Work that another rank counted, in an epoch or outside of all epochs.
    Work { epoch: Option<u32>, counts: WorkCounts },
    /// The devices that the framework trains on.
    Devices(Vec<DeviceId>),
    /// How the training ended.
    Status(RunStatus),
    /// The training continues from a checkpoint.
    Resumed,
    /// A note for readers of the footprint.
    Note(String),
}

impl HookEvent {
    /// Returns how precisely the energy at the event's timestamp is determined. Phases use the low precision, because a
    /// training may have several in each step.
    pub(crate) const fn boundary_precision(&self) -> BoundaryPrecision {
        if self.may_end_epoch() { BoundaryPrecision::High } else { BoundaryPrecision::Low }
    }

    /// Returns whether this event may end an epoch, so that the sender expects [`EpochTotals`] in return.
    pub(crate) const fn may_end_epoch(&self) -> bool {
        matches!(self, Self::EpochStarted { .. } | Self::EpochEnded { .. } | Self::TrainingLeft(_))
    }
}

/// Identifies an open phase; several open phases may have the same name.
pub(crate) type PhaseId = u64;

/// Duration, energy and emissions of an epoch that has ended.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct EpochTotals {
    pub(crate) duration: Duration,
    pub(crate) energy: Energy,
    pub(crate) emissions: Co2e,
}
