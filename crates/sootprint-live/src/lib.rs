//! The carbon intensity of a grid while a run was at work, from those who operate the grid.
//!
//! A run that is given a provider asks it once, when it is finished; its grams are then the sum over its half-hours
//! of the energy used in each times the intensity in each.
//!
//! | provider | where | what its figure counts | needs |
//! |---|---|---|---|
//! | [`UkCarbonIntensity`] | Great Britain | the stack, imports included | no token |
//!
//! # Limits
//! - A provider is told the run's place and times and nothing else; it sees the address of who asks, as every server
//!   does.
//! - There is no second try and no cache: without an answer the table's yearly figure stands, and a note in the
//!   footprint says why.
//! - The half-hours that just ended are known by their forecast only. It stays in the footprint as a forecast.
//!
//! ```no_run
//! use std::sync::Arc;
//!
//! use sootprint::Run;
//! use sootprint_live::UkCarbonIntensity;
//!
//! let run = Run::pre_training("artifacts/digits")
//!     .place("GB".parse()?)
//!     .provider(Arc::new(UkCarbonIntensity::new()))
//!     .start();
//! // train
//! let footprint = run.finish();
//! for hour in &footprint.grid.hours {
//!     println!("{} {}", hour.start, hour.intensity);
//! }
//! # Ok::<(), sootprint::PlaceError>(())
//! ```

mod uk;

pub use uk::UkCarbonIntensity;
