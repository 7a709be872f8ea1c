//! The types that the crates of sootprint share: quantities with units, the footprint of a training run, places, and the
//! carbon intensity of their electricity.
//!
//! Programs that measure a training depend on `sootprint`, which re-exports the public types of this crate. Tools
//! that only read or plot existing footprints do not need `sootprint`.
//!
//! # Limits
//! - The embedded carbon intensities are yearly averages. The figures of countries count the life cycle of the
//!   electricity generated; the figures of states and provinces count direct emissions only.
//! - A place is never guessed from an IP address.

#![forbid(unsafe_code)]

mod component;
pub mod file;
mod footprint;
pub mod format;
mod grid;
pub mod limits;
mod place;
mod providers;
mod pue;
mod repo_id;
pub mod sync;
mod training;
mod units;
mod wue;

pub use component::{ComponentKind, MeasurementMethod};
pub use footprint::{
    ComponentSummary, EmissionsSummary, EnergySummary, EpochSummary, Footprint, FootprintError, GpuSelection,
    GpuSelectionMethod, PerItemUsage, PhaseSummary, ProcessSummary, RunSummary, SensorFault,
};
pub use grid::{
    EmissionScope, GridIntensity, GridPlace, IntensityError, IntensityInterval, IntensityKind,
    IntensityPeriod, IntensitySeries, LocationSource, ProviderError, SeriesContentError, SeriesError,
    ServerMessage, energy_at, energy_weighted, timestamp_at,
};
pub use place::{Place, PlaceError};
pub use providers::{CloudMetadata, CloudMetadataError, IntensityProvider};
pub use pue::{Pue, PueError, PueOrigin};
pub use repo_id::{RepoId, RepoIdError};
pub use training::{RunStatus, TrainingType};
pub use units::{CarbonIntensity, Co2e, Energy, Power};
pub use wue::{WaterCount, Wue};
