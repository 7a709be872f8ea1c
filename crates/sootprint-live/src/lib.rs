//! The carbon intensity of a grid while a run was at work, from those who operate or watch the grid; and where a virtual
//! machine is, from its cloud.
//!
//! A run that is given a provider asks it every half hour and once more when it is finished; its grams are then the sum
//! over its hours of the energy used in each times the intensity in each.
//!
//! | provider | where | what its figure counts | needs |
//! |---|---|---|---|
//! | [`UkCarbonIntensity`] | Great Britain | the stack, imports included | no token |
//! | [`ElectricityMaps`] | most countries, regions of clouds | the life cycle, imports included | a token |
//!
//! [`CachedProvider`] keeps what either answered. [`InstanceMetadataClient`] says in which region of a cloud the machine is.
//!
//! # Limits
//! - A provider is told the run's place and times and nothing else; it sees the address of who asks, as every server
//!   does.
//! - Without an answer the table's yearly figure stands, and a note in the footprint says why.
//! - Hours that just ended are often known by their forecast only. It stays in the footprint as a forecast.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use sootprint::Run;
//! use sootprint_live::{CachedProvider, UkCarbonIntensity};
//!
//! let run = Run::pre_training("artifacts/digits")
//!     .place("GB".parse()?)
//!     .intensity_provider(Arc::new(CachedProvider::new(UkCarbonIntensity::new(), "uk")))
//!     .start();
//! // train
//! let footprint = run.finish();
//! for hour in &footprint.grid.hours {
//!     println!("{} {}", hour.start, hour.intensity);
//! }
//! # Ok::<(), sootprint::PlaceError>(())
//! ```

#![forbid(unsafe_code)]

mod cached_provider;
mod electricity_maps;
mod http;
mod instance_metadata;
mod uk_carbon_intensity;

pub use cached_provider::CachedProvider;
pub use electricity_maps::ElectricityMaps;
pub use instance_metadata::InstanceMetadataClient;
pub use uk_carbon_intensity::UkCarbonIntensity;
