//! sootprint measures the energy of a training run, epoch by epoch, and turns it into grams of CO2e with stated
//! bounds.
//!
//! # Limits
//! - The total is GPU + CPU + memory at the component. Fans, disks, network and power supplies are in neither the
//!   total nor its bounds.
//! - Processor and memory are measured through RAPL where the system lets it be read, else modelled, with wide bounds;
//!   both on Linux only.
//! - A board's energy is the whole board's: another process on it is not told apart. A slice of it (MIG) has its part
//!   of that by the number of slices, bounded by nothing and the whole board.
//! - The error of a sensor is not ours to know; what its maker states, or an assumption, is in the bounds
//!   (`docs/uncertainty.md`).
//! - The intensity of a place is a mean of a year, unless a series or a live provider has the hours. Figures of states
//!   and provinces count the stack only, those of countries the life cycle.
//! - Where nobody names the place the machine's time zone is a guess, and the footprint says so.
//! - A run that is killed loses the energy of its last two seconds at most; a power cut may cost the last thirty.
//! - A signal that ends the process leaves no last word: such a run is `killed`, whichever signal it was. The command
//!   `sootprint run` tells an interrupted training from a killed one.
//!
//! # The way of the data
//! source → meter → tally → ledger → footprint; the card and the commit are made by `sootprint-card` and
//! `sootprint-hub`.
//!
//! ```
//! use sootprint::Run;
//!
//! # let dir = tempfile::tempdir()?;
//! let run = Run::pre_training(dir.path()).place("France".parse()?).start();
//! for epoch in run.epochs(1..=10) {
//!     // train
//! }
//! let footprint = run.finish();
//! assert_eq!(footprint.grid.zone.as_deref(), Some("FR"));
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

#![forbid(unsafe_code)]

mod distributed;
mod estimate;
mod footprint;
mod ledger;
mod run;
mod settings;

pub use distributed::rank;
pub use estimate::{Estimate, EstimateError};
pub use ledger::{LedgerError, list_runs};
#[cfg(unix)]
pub use run::NestedRunListener;
pub use run::{
    Budget, Epochs, FinishHook, LiveUsage, LoadError, Phase, Run, RunBuilder, RunForecast, RunHandle,
    StartError, WindowLength, Windows, load_footprint, load_footprint_from_dirs,
};
pub use settings::{SettingError, SettingSource, SettingsFile, UserDefaults};
pub use sootprint_core::{
    CarbonIntensity, CloudMetadata, CloudMetadataError, Co2e, ComponentKind, ComponentSummary, EmissionScope,
    EmissionsSummary, Energy, EnergySummary, EpochSummary, Footprint, FootprintError, GridIntensity,
    IntensityError, IntensityInterval, IntensityKind, IntensityPeriod, IntensityProvider, IntensitySeries,
    LocationSource, MeasurementMethod, PerItemUsage, PhaseSummary, Place, PlaceError, Power, ProviderError,
    Pue, PueError, PueOrigin, RepoId, RepoIdError, RunStatus, RunSummary, SeriesContentError, SeriesError,
    TrainingType,
};
pub use sootprint_power::{
    Accelerator, AcceleratorError, CrossCheck, DeviceId, GpuInfo, NvmlError, Replay, ReplayError,
    ReplaySensor, SourceStatus, VirtualClock, cross_check, probe_sources,
};
