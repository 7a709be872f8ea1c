//! The entries of a ledger.

use serde::{Deserialize, Serialize};
use sootprint_core::{
    Energy, GridIntensity, IntensitySeries, Power, Pue, RunStatus, SensorFault, TrainingType,
};
use sootprint_power::{ComponentInfo, ComponentTotal, GpuUsers};

use super::process_info::ProcessInfo;

/// The schema that this version writes.
pub(crate) const SCHEMA: &str = "sootprint-ledger/2";

/// One line of a ledger. Its tag, `entry`, is the variant's name in kebab case.
///
/// All times (`at`, `start`, `end`) are seconds since the run started. Energies and totals are listed per component, in
/// the order of [`RunHeader::components`], and are cumulative since the start of the run unless stated otherwise.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "entry", rename_all = "kebab-case")]
pub(crate) enum LedgerEntry {
    /// `header`: the run, its grid and its components. The first line is a header without components, written before
    /// the hardware is opened; a complete one follows when the components are known, and replaces it.
    Header(Box<RunHeader>),
    /// `idle-power`: the power of each component at rest, measured before the run started.
    IdlePower { power: Vec<Power> },
    /// `devices`: GPUs that the framework trains on, in addition to those of earlier entries.
    Devices {
        at: f64,
        /// Indices into the list of components.
        components: Vec<usize>,
        /// Devices that match no component.
        unresolved: Vec<String>,
        /// Devices that earlier entries list as unresolved and that match a component added since.
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        found: Vec<String>,
    },
    /// `components-added`: a driver has answered after the start. Its components follow those of the header, and their
    /// time until now is unmeasured.
    ComponentsAdded {
        at: f64,
        components: Vec<ComponentInfo>,
        gaps: Vec<String>,
        /// The drivers that have still not answered.
        #[serde(default)]
        pending_drivers: Vec<String>,
    },
    /// `gpu-users`: the kinds of processes that use a GPU have changed.
    GpuUsers { at: f64, component: usize, users: GpuUsers },
    /// `sensor-fault`: a fault of a component's sensor was found.
    SensorFault { at: f64, component: usize, fault: SensorFault },
    /// `training-type`: label of a training inside `sootprint run`, for a command that was started without one.
    TrainingType { training_type: Option<TrainingType>, base_model: Option<String> },
    /// `epochs-planned`: the number of epochs that the training will run.
    EpochsPlanned { epochs: u32 },
    /// `window-length`: the epochs are windows of a loop without epochs, each this long.
    WindowLength { every: String },
    /// `totals`: the complete totals of each component.
    Totals { at: f64, totals: Vec<ComponentTotal> },
    /// `energy`: only the energy of each component, written between two `totals`; `null` for a component without a
    /// reading since the previous entry.
    Energy { at: f64, energy: Vec<Option<Energy>> },
    /// `heartbeat`: the totals and the open epoch. It is written to the heartbeat file, which keeps only the newest.
    Heartbeat { at: f64, totals: Vec<ComponentTotal>, epoch: Option<OpenEpoch> },
    /// `epoch`: an epoch ended.
    Epoch {
        epoch: u32,
        start: f64,
        end: f64,
        /// The energy of each component during the epoch.
        energy: Vec<Energy>,
        completed: bool,
        #[serde(flatten)]
        counts: WorkCounts,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        phases: Vec<PhaseTotal>,
    },
    /// `outside-epochs`: work and phases outside of any epoch since the previous entry of this kind.
    OutsideEpochs {
        at: f64,
        #[serde(flatten)]
        counts: WorkCounts,
        #[serde(default, skip_serializing_if = "Vec::is_empty")]
        phases: Vec<PhaseTotal>,
    },
    /// `work`: work of another rank inside `sootprint run`, in an epoch or outside of any.
    Work { epoch: Option<u32>, counts: WorkCounts },
    /// `resumed`: this ledger continues an earlier run as its next attempt.
    Resumed { run: String, attempt: u32 },
    /// `note`: a note for the footprint.
    Note { at: f64, text: String },
    /// `location`: the region reported by the cloud's metadata service, with the PUE of that region.
    Location { grid: Box<GridIntensity>, pue: Pue },
    /// `intensity`: hourly intensities from a live provider or from the user's own series, for part of the run. A later
    /// entry updates the earlier ones.
    Intensity(IntensitySeries),
    /// `end`: the outcome and the final totals. Always the last line; a ledger without it belongs to a run that is still
    /// running or was killed.
    End { at: f64, outcome: RunStatus, totals: Vec<ComponentTotal> },
    /// An entry of a kind that a newer version added.
    #[serde(other)]
    Unknown,
}

/// An epoch that has not ended yet.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct OpenEpoch {
    pub(crate) epoch: u32,
    pub(crate) start: f64,
    /// The energy of each component since the epoch started.
    pub(crate) energy: Vec<Energy>,
}

/// Training work reported by a hook; `None` if it reports nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct WorkCounts {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) samples: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tokens: Option<u64>,
}

impl WorkCounts {
    /// Adds other counts; a count that is `None` on both sides remains `None`.
    pub(crate) fn add(&mut self, other: Self) {
        let sum = |one: Option<u64>, other: Option<u64>| match (one, other) {
            (Some(one), Some(other)) => Some(one.saturating_add(other)),
            (one, other) => one.or(other),
        };
        *self = Self { samples: sum(self.samples, other.samples), tokens: sum(self.tokens, other.tokens) };
    }
}

/// Time and energy of all phases with the same name.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct PhaseTotal {
    pub(crate) name: String,
    pub(crate) seconds: f64,
    /// The energy of each component.
    pub(crate) energy: Vec<Energy>,
}

/// The data of a run that is available when it starts.
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
    /// Hardware that is present but cannot be read, with the reason.
    pub(crate) gaps: Vec<String>,
    /// GPU drivers that have not answered.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(crate) pending_drivers: Vec<String>,
    /// The process that wrote the ledger.
    #[serde(default)]
    pub(crate) task: ProcessInfo,
}
