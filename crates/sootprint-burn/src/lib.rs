//! One line in a Burn training measures its energy and CO2e.
//!
//! # Limits
//! - [`measured_by`](MeasuredBy::measured_by) takes Burn's only progress-logger slot. A logger that was set with
//!   `with_progress_logger` before cannot be seen from outside and is replaced: hand it to
//!   [`beside`](Measured::beside) instead, and it gets every call.
//! - Burn tells of epochs from its worker thread, up to two batches' metric time after the training thread left them.
//! - An epoch is training and validation; a checkpoint that is saved after it belongs to no epoch.
//! - Of several devices Burn keeps the list to itself: name them with [`on`](Measured::on).
//! - wgpu's devices are mapped to boards with the feature `gpu` only; Metal's and those of other machines are not: the
//!   footprint names them.
//! - `panic = "abort"` and signals end the process before anything can be said: the run's ledger then says `killed`.
//!
//! ```
//! use burn::train::{LearnerModel, Learner, LearningResult, SupervisedTraining};
//! use sootprint::Run;
//! use sootprint_burn::MeasuredBy as _;
//!
//! fn train<M: LearnerModel>(
//!     training: SupervisedTraining<M>,
//!     learner: Learner<M>,
//!     run: &Run,
//! ) -> LearningResult<M> {
//!     training
//!         .num_epochs(10)
//!         .measured_by(run) // the one added line, last before the launch
//!         .launch(learner)
//! }
//! ```

#![forbid(unsafe_code)]

mod devices;
mod metrics;
mod progress;
mod training;

pub use devices::claims;
pub use metrics::{EmissionsMetric, EnergyMetric};
pub use training::{Measured, MeasuredBy};
