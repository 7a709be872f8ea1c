//! The footprint of a training run: energy, emissions, their bounds, and how each figure was obtained.
//!
//! Every other crate exchanges this type. A figure states its method: a component without a method has no figure, and
//! its note gives the reason. Zero is a value and never means "unknown".

mod certainty;
mod display;
mod epochs;
mod per_item_usage;
mod processes;
mod validation;

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::component::{ComponentKind, MeasurementMethod};
use crate::file;
use crate::grid::GridIntensity;
use crate::training::{RunStatus, TrainingType};
use crate::units::{Co2e, Energy, Power};

pub use certainty::{GpuSelection, GpuSelectionMethod, SensorFault};
pub use epochs::{EpochSummary, PhaseSummary};
pub use per_item_usage::PerItemUsage;
pub use processes::ProcessSummary;

/// A footprint of a million epochs.
const MAX_FILE_LEN: u64 = 256 << 20;

/// The energy and emissions of a training run.
///
/// Returned by `sootprint::Run::finish`, read from a `footprint.json`, or rebuilt from the ledgers in a folder. A
/// ledger is the log of one process of a run. `components` lists how the energy of each component was obtained.
///
/// ```no_run
/// use sootprint_core::Footprint;
///
/// let footprint = Footprint::read("artifacts/digits/footprint.json".as_ref())?;
/// println!("{} and {}", footprint.energy.total, footprint.emissions.best);
/// # Ok::<(), sootprint_core::FootprintError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Footprint {
    /// The schema version, [`Self::SCHEMA`].
    pub schema: String,
    /// The run and its outcome.
    pub run: RunSummary,
    /// The energy used.
    pub energy: EnergySummary,
    /// The emissions: energy × PUE × carbon intensity.
    pub emissions: EmissionsSummary,
    /// The carbon intensity and its source.
    pub grid: GridIntensity,
    /// The hardware in one line, for example `2 x NVIDIA H200`.
    pub hardware: String,
    /// How the counted GPUs were chosen. `None` if no GPU was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu_selection: Option<GpuSelection>,
    /// The hardware components, including those that could not be measured.
    pub components: Vec<ComponentSummary>,
    /// The epochs in order of their start.
    pub epochs: Vec<EpochSummary>,
    /// The named phases of the whole run, both within and between epochs. Empty if none were recorded.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSummary>,
    /// The power curve, at most 500 points. A point is the time in seconds since the start of the run, and the
    /// average power in watts since the previous point.
    pub power: Vec<(f64, f64)>,
    /// Limitations of the figures: losses, gaps and guesses. Reports print them first.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// The run and its outcome.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// The id of the run, unique within its folder.
    pub id: String,
    /// Pre-training or fine-tuning. `None` if not specified; the model card then omits `training_type`.
    pub training_type: Option<TrainingType>,
    /// The model that the run fine-tunes, as named by the user. `None` for other runs.
    pub base_model: Option<String>,
    /// The start time in UTC, in RFC 3339 format.
    pub started: String,
    /// Wall time in seconds, without the time between one attempt and the next.
    pub duration_s: f64,
    /// The number of times that the run was started, resumptions included.
    pub attempts: u32,
    /// The number of ranks whose ledgers were read.
    pub ranks: u32,
    /// The number of ranks that the launcher announced.
    pub ranks_expected: u32,
    /// The ranks without a ledger, whose energy is missing from the total.
    pub missing_ranks: Vec<u32>,
    /// The processes of the run, by attempt and rank. Empty if the run has one rank and one attempt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub processes: Vec<ProcessSummary>,
    /// Whether the total is incomplete, because the ledger of a rank or of an attempt is missing or unreadable or because
    /// a component could not be measured.
    pub partial: bool,
    /// How the run ended.
    pub outcome: RunStatus,
    /// The number of training samples, counting repetitions. `None` if the run did not count them.
    pub samples: Option<u64>,
    /// The number of training tokens, counting repetitions. `None` if the run did not count them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// The length of each entry of [`Footprint::epochs`] if the training has no epochs, for example `1000 steps`.
    /// `None` if the entries are epochs.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<String>,
}

/// The energy of a run: in total, by kind of component, and for the whole facility.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergySummary {
    /// The total energy of GPU, CPU and memory, at the components themselves. Fans, disks, network and power supplies
    /// are not included.
    #[serde(rename = "total_j")]
    pub total: Energy,
    /// The lower bound of the total, under the assumptions in `docs/uncertainty.md`.
    #[serde(rename = "low_j")]
    pub low: Energy,
    /// The upper bound of the total. It counts unmeasured time at the power limit.
    #[serde(rename = "high_j")]
    pub high: Energy,
    /// The energy of the GPUs.
    #[serde(rename = "gpu_j")]
    pub gpu: Energy,
    /// The energy of the CPUs.
    #[serde(rename = "cpu_j")]
    pub cpu: Energy,
    /// The energy of the memory.
    #[serde(rename = "memory_j")]
    pub memory: Energy,
    /// The energy that the same hardware would have used while idle. `None` if unknown. Never subtracted from the
    /// total.
    #[serde(rename = "idle_j")]
    pub idle: Option<Energy>,
    /// How the idle energy was obtained: `baseline` (from the power measured before the run) or `lowest_seen` (from
    /// the lowest power during the run). `None` if the idle energy is unknown.
    pub idle_method: Option<String>,
    /// Power usage effectiveness: energy of the facility divided by energy of its computers.
    pub pue: f64,
    /// The source of the PUE: `argument`, `environment`, `settings`, `region`, `provider` or `assumed`. An assumed
    /// PUE is 1.0, with bounds of 1.0 and 1.56.
    pub pue_origin: String,
    /// The year of the PUE if a cloud provider published it, otherwise `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pue_year: Option<u16>,
    /// The energy of the facility: total × PUE.
    #[serde(rename = "facility_j")]
    pub facility: Energy,
}

/// Emissions, with bounds under the assumptions in `docs/uncertainty.md`. The bounds are not a confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EmissionsSummary {
    /// The best estimate of the emissions.
    #[serde(rename = "grams")]
    pub best: Co2e,
    /// The lower bound: low energy × low PUE × low intensity.
    #[serde(rename = "low_grams")]
    pub low: Co2e,
    /// The upper bound: high energy × high PUE × high intensity.
    #[serde(rename = "high_grams")]
    pub high: Co2e,
}

/// A component of the machine and its energy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentSummary {
    /// The kind of component: GPU, CPU or memory.
    pub kind: ComponentKind,
    /// `cpu`, `memory`, or the UUID of a GPU. For a GPU that no source measures, a name such as `cuda:1`. In published
    /// footprints, GPUs are `gpu0`, `gpu1` and so on.
    pub id: String,
    /// The display name.
    pub name: String,
    /// How the energy was obtained. `None` if the component could not be measured; `note` or [`Footprint::notes`] then
    /// gives the reason.
    pub method: Option<MeasurementMethod>,
    /// The energy used.
    #[serde(rename = "energy_j")]
    pub energy: Energy,
    /// The lower bound of the energy.
    #[serde(rename = "low_j")]
    pub low: Energy,
    /// The upper bound of the energy.
    #[serde(rename = "high_j")]
    pub high: Energy,
    /// The mean power: energy divided by measured time. `None` if no time was measured.
    #[serde(rename = "mean_w")]
    pub mean_power: Option<Power>,
    /// The power limit, if the driver reports one.
    #[serde(rename = "limit_w")]
    pub power_limit: Option<Power>,
    /// The fraction of the component that is allocated to the run's job, from 0 to 1. The energy is already multiplied
    /// by it.
    pub share: f64,
    /// Whether processes outside this run were seen to use the component during the run.
    pub shared: bool,
    /// The time covered by readings, in seconds.
    pub measured_s: f64,
    /// The time not covered by readings, in seconds.
    pub unmeasured_s: f64,
    /// The number of resets of the energy counter.
    pub resets: u32,
    /// A fault of the sensor. `None` if none was found.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fault: Option<SensorFault>,
    /// Limitations of the figure, or the reason why there is none.
    pub note: Option<String>,
}

impl Footprint {
    /// The schema that this version reads and writes. Footprints with another number after the slash are rejected.
    pub const SCHEMA: &str = "sootprint/1";

    /// The file name of a footprint. If a folder contains several runs, the file has the footprint of the newest one.
    pub const FILE_NAME: &str = "footprint.json";

    /// Whether any component has a figure, measured or modelled. A footprint without one cannot be published.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.components.iter().any(|component| component.method.is_some())
    }

    /// Parses the JSON of a `footprint.json`.
    ///
    /// # Errors
    /// [`FootprintError::Json`] if the text is not a footprint, or a quantity in it is negative;
    /// [`FootprintError::UnsupportedSchema`] if its schema is not [`Self::SCHEMA`]; [`FootprintError::InvalidValue`] if
    /// another number is impossible, or a figure lies outside its bounds.
    pub fn from_json(json: &str) -> Result<Self, FootprintError> {
        #[derive(Deserialize)]
        struct SchemaHeader {
            schema: String,
        }

        let SchemaHeader { schema } = serde_json::from_str(json)?;
        if schema != Self::SCHEMA {
            return Err(FootprintError::UnsupportedSchema { found: schema });
        }
        let footprint: Self = serde_json::from_str(json)?;
        footprint.check_values().map_err(|reason| FootprintError::InvalidValue { reason })?;
        Ok(footprint)
    }

    /// Returns the JSON of a `footprint.json`, with a final newline.
    ///
    /// # Errors
    /// [`FootprintError::Json`] if the footprint cannot be serialised.
    pub fn to_json(&self) -> Result<String, FootprintError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads the `footprint.json` at `path`.
    ///
    /// # Errors
    /// [`FootprintError::File`] if the file cannot be read, is not a regular file or is larger than 256 MB, otherwise the
    /// errors of [`Self::from_json`].
    pub fn read(path: &Path) -> Result<Self, FootprintError> {
        let json = file::read_text(path, MAX_FILE_LEN)
            .map_err(|source| FootprintError::File { path: path.to_owned(), source })?;
        Self::from_json(&json)
    }

    /// Writes `footprint.json` into `dir` atomically and returns its path. A symbolic link is kept; its target is
    /// replaced.
    ///
    /// # Errors
    /// [`FootprintError::File`] if the file cannot be written. An existing file is then unchanged, except if only the
    /// synchronisation of the folder failed.
    pub fn write(&self, dir: &Path) -> Result<PathBuf, FootprintError> {
        let path = dir.join(Self::FILE_NAME);
        let json = self.to_json()?;
        file::write_atomic(&path, json.as_bytes())
            .map_err(|source| FootprintError::File { path: path.clone(), source })?;
        Ok(path)
    }
}

/// Why a footprint could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FootprintError {
    /// The file could not be read or written.
    #[error("cannot access {}", path.display())]
    File {
        /// The path of the file.
        path: PathBuf,
        /// The error of the file system.
        source: std::io::Error,
    },
    /// The text is not the JSON of a footprint.
    #[error("not a footprint")]
    Json(#[from] serde_json::Error),
    /// A number in the footprint is impossible.
    #[error("not a valid footprint: {reason}")]
    InvalidValue {
        /// The field and what is wrong with it.
        reason: String,
    },
    /// The footprint was written by another major version of sootprint.
    #[error(
        "unsupported footprint schema `{found}`: expected `{}`; use the version of sootprint that wrote it",
        Footprint::SCHEMA
    )]
    UnsupportedSchema {
        /// The schema of the footprint.
        found: String,
    },
}
