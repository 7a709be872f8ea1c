//! The vocabulary that the crates of sootprint share: quantities with units, the footprint, places and the carbon
//! intensity of their electricity.
//!
//! Programs that measure a training depend on `sootprint`, which re-exports what they need from here.
//! Tools that read, draw or publish footprints need this crate alone.
//!
//! # Limits
//! - The embedded carbon intensities are yearly means. Figures of countries count the life cycle of the generation;
//!   those of states and provinces count direct emissions only.
//! - A place is never guessed from an address on the network.

#![forbid(unsafe_code)]

mod component;
mod footprint;
pub mod format;
mod grid;
mod place;
mod providers;
mod pue;
mod training;
mod units;

pub use component::{Kind, Method};
pub use footprint::{
    ComponentSummary, EmissionsSummary, EnergySummary, EpochSummary, FILE_NAME, Footprint, FootprintError,
    PerUnit, PhaseSummary, RunSummary, SCHEMA,
};
pub use grid::{
    Answer, Basis, Figure, Hour, IntensityError, Origin, Period, ProviderError, Series, SeriesError,
    SeriesFault, energy_at, moment, weighted,
};
pub use place::{Place, PlaceError};
pub use providers::{Metadata, MetadataError, Provider};
pub use pue::{Pue, PueError, PueOrigin};
pub use training::{Outcome, TrainingType};
pub use units::{CarbonIntensity, Co2e, Energy, Power};
