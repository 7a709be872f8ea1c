//! sootprint measures the energy of a training run, epoch by epoch, and turns it into grams of CO2e with stated
//! bounds.
//!
//! # Limits
//! - The total is the energy of GPUs, CPUs and memory at the component. Fans, disks, network and power supplies are in
//!   neither the total nor its bounds.
//! - CPU and memory are measured through RAPL if it is readable, otherwise modelled with wide bounds; both on Linux only.
//! - A GPU's energy is that of the whole GPU, including other processes on it. A MIG device gets a share in proportion
//!   to its compute slices; its bounds are zero and the energy of the whole GPU.
//! - The actual sensor errors are unknown. The bounds include the error that the manufacturer specifies, or an assumed
//!   one (`docs/uncertainty.md`).
//! - The intensity of a place is a yearly mean, unless a series or a live provider supplies hourly values. The values of
//!   states and provinces cover direct emissions only, those of countries the life cycle.
//! - If no location is configured, it is guessed from the time zone, and the footprint marks it as a guess.
//! - A killed run loses at most the energy of its last two seconds; a power failure may lose the last thirty.
//! - If a signal terminates the process, the run is recorded as `killed`. Only `sootprint run` can distinguish an
//!   interrupted run from a killed one.
//!
//! # Data flow
//! Source → sampler → accumulator → ledger → footprint. The first three are in `sootprint-power`; the model card and the
//! commit follow in `sootprint-card` and `sootprint-hub`.
//!
//! # Example
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
    Budget, BudgetExceeded, Epochs, FinishHook, LiveUsage, LoadError, Phase, Run, RunBuilder, RunForecast,
    RunHandle, StartError, WindowLength, Windows, load_all_footprints, load_footprint,
    load_footprint_from_dirs,
};
pub use settings::{CardDefaults, ProjectSettings, SettingError, SettingSource, SettingsFile, UserDefaults};
pub use sootprint_core::{
    CarbonIntensity, CloudMetadata, CloudMetadataError, Co2e, ComponentKind, ComponentSummary, EmissionScope,
    EmissionsSummary, Energy, EnergySummary, EpochSummary, Footprint, FootprintError, GpuSelection,
    GpuSelectionMethod, GridIntensity, GridPlace, IntensityError, IntensityInterval, IntensityKind,
    IntensityPeriod, IntensityProvider, IntensitySeries, LocationSource, MeasurementMethod, PerItemUsage,
    PhaseSummary, Place, PlaceError, Power, ProcessSummary, ProviderError, Pue, PueError, PueOrigin, RepoId,
    RepoIdError, RunStatus, RunSummary, SensorFault, SeriesContentError, SeriesError, ServerMessage,
    TrainingType, WaterCount, Wue,
};
pub use sootprint_power::{
    Accelerator, AcceleratorError, CrossCheck, DeviceId, GpuInfo, NvmlError, NvmlHelperCommand, Replay,
    ReplayError, ReplaySensor, SourceStatus, VirtualClock, cross_check, probe_sources, serve_nvml,
};
