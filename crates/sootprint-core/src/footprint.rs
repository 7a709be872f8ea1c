//! The result that every other crate exchanges: what a run burned, how that is known, and how far to trust it.

mod display;
mod epochs;

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::component::{ComponentKind, MeasurementMethod};
use crate::grid::GridIntensity;
use crate::training::{RunStatus, TrainingType};
use crate::units::{Co2e, Energy, Power};

pub use epochs::{EpochSummary, PerItemUsage, PhaseSummary};

/// The schema that this version writes; a reader refuses another number after the slash.
pub const FOOTPRINT_SCHEMA: &str = "sootprint/1";

/// The file in a run's folder that holds the newest run's footprint.
pub const FOOTPRINT_FILE_NAME: &str = "footprint.json";

/// What a training run burned.
///
/// It comes from `Run::finish`, from a `footprint.json`, or from the ledgers of a folder.
/// Every figure is one that was measured, integrated or modelled; `components` says which.
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
    /// `sootprint/1`.
    pub schema: String,
    /// Which run this is and how it ended.
    pub run: RunSummary,
    /// What it used.
    pub energy: EnergySummary,
    /// What that emitted: energy × PUE × carbon intensity.
    pub emissions: EmissionsSummary,
    /// Where the carbon intensity comes from.
    pub grid: GridIntensity,
    /// The hardware in one line, as in `2 x NVIDIA H200`.
    pub hardware: String,
    /// Each part of the machine that was counted, or that could not be.
    pub components: Vec<ComponentSummary>,
    /// The epochs in the order in which they began.
    pub epochs: Vec<EpochSummary>,
    /// The named phases of the whole run, in and between epochs, where the hook or the user told any.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSummary>,
    /// Seconds since the start and the mean watts up to then; at most 500 points.
    pub power: Vec<(f64, f64)>,
    /// What a reader should hear first: losses, gaps, guesses.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// Which run it is and how it ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunSummary {
    /// Unique in its folder.
    pub id: String,
    /// None when nobody said: then the card leaves the key out.
    pub training_type: Option<TrainingType>,
    /// The model that was fine-tuned, as the user named it.
    pub base_model: Option<String>,
    /// RFC 3339, in UTC.
    pub started: String,
    /// Wall time in seconds.
    pub duration_s: f64,
    /// How often the run was started.
    pub attempts: u32,
    /// The ranks whose ledgers were read.
    pub ranks: u32,
    /// The ranks that the launcher announced.
    pub ranks_expected: u32,
    /// The ranks without a ledger.
    pub missing_ranks: Vec<u32>,
    /// Whether something is missing from the total.
    pub partial: bool,
    /// How it ended.
    pub outcome: RunStatus,
    /// The samples that were trained on, as often as each was, when the run was told.
    pub samples: Option<u64>,
    /// The tokens that were trained on, when the run was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// What an entry of `epochs` is where the loop has no epochs, as in `1000 steps`; none where it is an epoch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slices: Option<String>,
}

/// Energy by kind of component, and at the facility's meter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EnergySummary {
    /// GPU + CPU + memory at the component. Fans, disks, network and power supplies are not in it.
    #[serde(rename = "total_j")]
    pub total: Energy,
    /// The lower bound of the total under the stated assumptions.
    #[serde(rename = "low_j")]
    pub low: Energy,
    /// The upper bound; unmeasured time counts at the power limit in it.
    #[serde(rename = "high_j")]
    pub high: Energy,
    /// Of the boards.
    #[serde(rename = "gpu_j")]
    pub gpu: Energy,
    /// Of the processors.
    #[serde(rename = "cpu_j")]
    pub cpu: Energy,
    /// Of the memory.
    #[serde(rename = "memory_j")]
    pub memory: Energy,
    /// What the same hardware would have used at rest; none when unknown. Never subtracted.
    #[serde(rename = "idle_j")]
    pub idle: Option<Energy>,
    /// How the idle energy was found.
    pub idle_method: Option<String>,
    /// Power usage effectiveness: the facility's energy per energy of its computers.
    pub pue: f64,
    /// `argument`, `environment`, `settings`, `region`, `provider` or `assumed`; an assumed 1.0 is bounded by 1.0 and
    /// 1.56.
    pub pue_origin: String,
    /// The year of a PUE that a cloud's provider published.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pue_year: Option<u16>,
    /// total × PUE.
    #[serde(rename = "facility_j")]
    pub facility: Energy,
}

/// Emissions with bounds under the stated assumptions; not a confidence interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct EmissionsSummary {
    /// The best estimate.
    #[serde(rename = "grams")]
    pub best: Co2e,
    /// Low energy × low PUE × low intensity.
    #[serde(rename = "low_grams")]
    pub low: Co2e,
    /// High energy × high PUE × high intensity.
    #[serde(rename = "high_grams")]
    pub high: Co2e,
}

/// One part of the machine.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentSummary {
    /// What it is.
    pub kind: ComponentKind,
    /// A board's UUID, `cpu` or `memory`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// How its energy was found; none when it could not be, and `note` says why.
    pub method: Option<MeasurementMethod>,
    /// Its energy.
    #[serde(rename = "energy_j")]
    pub energy: Energy,
    /// The lower bound.
    #[serde(rename = "low_j")]
    pub low: Energy,
    /// The upper bound.
    #[serde(rename = "high_j")]
    pub high: Energy,
    /// Energy over measured time; none when no time was measured.
    #[serde(rename = "mean_w")]
    pub mean_power: Option<Power>,
    /// The most that it may draw, when the driver says so.
    #[serde(rename = "limit_w")]
    pub power_limit: Option<Power>,
    /// The part of it that is counted, from 0 to 1.
    pub share: f64,
    /// Whether others used it at the same time, as far as that was seen.
    pub shared: bool,
    /// Seconds that readings cover.
    pub measured_s: f64,
    /// Seconds that no reading covers.
    pub unmeasured_s: f64,
    /// How often its counter began again.
    pub resets: u32,
    /// What a reader of the figure should know.
    pub note: Option<String>,
}

impl Footprint {
    /// Whether any component has a figure. Without one there is nothing to publish.
    #[must_use]
    pub fn is_measured(&self) -> bool {
        self.components.iter().any(|component| component.method.is_some())
    }

    /// From the JSON of a `footprint.json`.
    ///
    /// # Errors
    /// [`FootprintError::Json`] when it is no footprint, [`FootprintError::UnsupportedSchema`] when it is a later one.
    pub fn from_json(json: &str) -> Result<Self, FootprintError> {
        #[derive(Deserialize)]
        struct SchemaHeader {
            schema: String,
        }

        let SchemaHeader { schema } = serde_json::from_str(json)?;
        if schema != FOOTPRINT_SCHEMA {
            return Err(FootprintError::UnsupportedSchema { found: schema });
        }
        Ok(serde_json::from_str(json)?)
    }

    /// As the JSON of a `footprint.json`, with a final newline.
    ///
    /// # Errors
    /// [`FootprintError::Json`] when a figure is not finite, which JSON cannot carry.
    pub fn to_json(&self) -> Result<String, FootprintError> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// Reads a `footprint.json`.
    ///
    /// # Errors
    /// [`FootprintError::File`] with the path when it cannot be read, and those of [`Footprint::from_json`].
    pub fn read(path: &Path) -> Result<Self, FootprintError> {
        let json = fs::read_to_string(path).map_err(|source| FootprintError::from_io(path, source))?;
        Self::from_json(&json)
    }

    /// Writes `footprint.json` into `dir`, whole or not at all.
    ///
    /// # Errors
    /// [`FootprintError::File`] with the path when it cannot be written.
    pub fn write(&self, dir: &Path) -> Result<PathBuf, FootprintError> {
        let path = dir.join(FOOTPRINT_FILE_NAME);
        let json = self.to_json()?;
        let persist = || {
            let mut builder = tempfile::Builder::new();
            builder.prefix(".footprint-");
            // The user's umask takes away from it; temporary files are private otherwise, and others report too.
            #[cfg(unix)]
            builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
            let mut file = builder.tempfile_in(dir)?;
            file.write_all(json.as_bytes())?;
            file.as_file().sync_all()?;
            file.persist(&path).map_err(|error| error.error)
        };
        persist().map_err(|source| FootprintError::from_io(&path, source))?;
        Ok(path)
    }
}

/// Why a footprint could not be read or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FootprintError {
    /// The file could not be read or written.
    #[error("cannot read or write {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not the JSON of a footprint.
    #[error("not a footprint: {0}")]
    Json(#[from] serde_json::Error),
    /// It was written by another major version.
    #[error(
        "its schema is `{found}`, this version reads `{FOOTPRINT_SCHEMA}`; use the sootprint that wrote it"
    )]
    UnsupportedSchema {
        /// The schema that the file names.
        found: String,
    },
}

impl FootprintError {
    fn from_io(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}
