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
//! [`Cached`] keeps what either answered. [`CloudMetadata`] says in which region of a cloud the machine is.
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
//! use sootprint_core::Run;
//! use sootprint_live::{Cached, UkCarbonIntensity};
//!
//! let run = Run::pre_training("artifacts/digits")
//!     .place("GB".parse()?)
//!     .provider(Arc::new(Cached::new(UkCarbonIntensity::new(), "uk")))
//!     .start();
//! // train
//! let footprint = run.finish();
//! for hour in &footprint.grid.hours {
//!     println!("{} {}", hour.start, hour.intensity);
//! }
//! # Ok::<(), sootprint_core::PlaceError>(())
//! ```

#![forbid(unsafe_code)]

mod cached;
mod electricity_maps;
mod http;
mod metadata;
mod uk;

pub use cached::Cached;
pub use electricity_maps::ElectricityMaps;
pub use metadata::CloudMetadata;
pub use uk::UkCarbonIntensity;
