//! Live carbon intensity from grid operators and data services, and the cloud region of a virtual machine.
//!
//! A run with a provider queries it every half hour, and once more when the run finishes. The emissions are then the
//! sum, over the hours of the run, of each hour's energy times its intensity. Providers name zones differently, so
//! they get a [`Place`](sootprint_core::Place) rather than a zone.
//!
//! | provider | where | what its figure counts | needs |
//! |---|---|---|---|
//! | [`UkCarbonIntensity`] | Great Britain | direct emissions, imports included | no token |
//! | [`ElectricityMaps`] | most countries, cloud regions | life cycle, imports included | a token |
//!
//! [`CachedProvider`] caches the results of either provider on disk. [`InstanceMetadataClient`] detects the cloud
//! region of this machine.
//!
//! # Limits
//! - A provider receives the place and the times of the run and nothing else. Like every server, it sees the IP address
//!   of the client.
//! - Without a response, the yearly figure of the embedded table is used, and a note in the footprint gives the reason.
//! - For the most recent hours there is often only a forecast. It stays marked as a forecast in the footprint.
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
