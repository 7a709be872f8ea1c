//! One line in a Burn training measures its energy and CO2e.
//!
//! ```
//! use burn::train::{LearnerModel, Learner, LearningResult, SupervisedTraining};
//! use sootprint::Run;
//! use sootprint_burn::TrackEmissionsExt as _;
//!
//! fn train<M: LearnerModel>(
//!     training: SupervisedTraining<M>,
//!     learner: Learner<M>,
//!     run: &Run,
//! ) -> LearningResult<M> {
//!     training
//!         .num_epochs(10)
//!         .track_emissions(run) // the one added line, last before the launch
//!         .launch(learner)
//! }
//! ```
//!
//! It puts energy (Wh), power (W) and CO2e (g) among the metrics of each split: in the dashboard's plots, in the
//! learner's summary and in the log files, there once a second and at a split's end. [`instrument_loaders`] around the two
//! loaders makes the epochs exact.
//!
//! An epoch lasts until the next one begins, or the training ends. In the footprint it has the phases `training`,
//! `validation` and `checkpoint and early stopping`, which is all that Burn does after validation, and the samples that
//! it trained on. A [`Budget`](sootprint::Budget) that stops interrupts Burn when it is used up, and between two epochs
//! when the next one would go beyond it; [`early_stopping`](TrackedTraining::early_stopping) makes that end clean.
//!
//! `track_emissions` does the same for an [evaluator's builder](TrackedEvaluatorBuilder), whose tests are the phase
//! `evaluation`, and with the feature `rl` for reinforcement learning. A loop of one's own says
//! [`on`](BurnLoopExt::on) which devices it trains on.
//!
//! # How it ended, and what the footprint says
//!
//! | how the training ended | outcome | its last epoch | note |
//! |---|---|---|---|
//! | all planned epochs | `completed` | complete | |
//! | Burn's early stopping | `stopped_early` | complete | |
//! | the run's budget | `stopped_early` | complete, or left where the budget was used up | the reason |
//! | an interruption, the dashboard's "stop" | `interrupted` | left where it was | the reason |
//! | an interruption at the last batch of an epoch | `interrupted` | complete | the reason |
//! | data that cannot be read, a metric or a checkpoint that fails | `failed` | left where it was | the error |
//! | a worker of several devices that panics | `failed` | left where it was | the panic's message |
//! | a panic in a step, the dashboard's "kill" | `panicked`, and the panic goes on | left where it was | |
//! | a run that is dropped without `finish` | `failed`, or `panicked` while unwinding | as above | |
//! | `panic = "abort"`, a signal, a power cut | `killed`, when the ledger is read again | as far as the ledger has it | |
//! | goes on from a checkpoint | that of the last attempt | all attempts, one after the other | |
//!
//! Each row is a test that trains, on one device and, where it says so, on several. With `exact_edges` every epoch has
//! the joules of its script there; an epoch that was left is in the footprint as not complete.
//!
//! # Limits
//! - [`track_emissions`](TrackEmissionsExt::track_emissions) takes Burn's only progress-logger slot. A logger that was set with
//!   `with_progress_logger` before cannot be seen from outside and is replaced: hand it to
//!   [`beside`](TrackedTraining::with_progress_logger) instead, and it gets every call.
//! - A step without a line has [`N/A`](burn::train::metric::SerializedEntry::is_not_available) as its serialized entry, as
//!   with those of Burn's metrics that have no value of a step; a metric logger of one's own finds the figure in
//!   [`numeric_entry`](burn::train::metric::store::NumericMetricUpdate::numeric_entry).
//! - Burn's worker tells of a split's edge when it has computed the metrics of up to two batches, and no sooner. Where
//!   that may be a hundredth of an epoch, a note says by how much; with [`instrument_loaders`] it does not matter.
//! - Under Burn's distributed data parallelism loaders are read on other threads than the launching one: the epochs are
//!   those that the worker tells of.
//! - Of several devices Burn keeps the list to itself: name them with [`on`](TrackedTraining::with_devices).
//! - wgpu's devices are mapped to boards with the feature `gpu` only; Metal's and those of other machines are not: the
//!   footprint names them.

#![forbid(unsafe_code)]

mod devices;
mod early_stopping;
mod epoch_tracker;
mod evaluator;
mod loader;
mod manual_loop;
mod metric_state;
mod metrics;
mod progress;
#[cfg(feature = "rl")]
mod rl;
mod split_usage;
mod stop;
mod training;

pub use devices::device_ids;
pub use evaluator::{TrackedEvaluator, TrackedEvaluatorBuilder};
pub use loader::instrument_loaders;
pub use manual_loop::BurnLoopExt;
pub use metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
#[cfg(feature = "rl")]
pub use rl::TrackedRlTraining;
pub use training::{TrackEmissionsExt, TrackedTraining};
