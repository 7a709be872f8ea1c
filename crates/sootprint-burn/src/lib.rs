//! Measures the energy and CO2e of Burn trainings.
//!
//! ```
//! use burn::train::{Learner, LearnerModel, LearningResult, SupervisedTraining};
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
//!         .track_emissions(run) // the only added line, last before the launch
//!         .launch(learner)
//! }
//! ```
//!
//! [`track_emissions`](TrackEmissionsExt::track_emissions) adds energy (Wh), power (W) and CO2e (g) to the metrics of
//! each split. These metrics appear in the dashboard's plots, in the learner's summary, and, once per second and at
//! the end of a split, in the log files. Wrapping the two loaders with [`instrument_loaders`] makes the epoch
//! boundaries exact.
//!
//! An epoch lasts until the next one starts or the training ends. In the footprint it has the phases `training`,
//! `validation` and `checkpoint and early stopping` (everything that Burn does after validation), and the number of
//! training samples. A [`Budget`](sootprint::Budget) that stops the training interrupts Burn when it is exceeded, or
//! between two epochs if the next one would exceed it; [`early_stopping`](TrackedTraining::early_stopping) ends such a
//! training without an interruption.
//!
//! `track_emissions` also works on an [`EvaluatorBuilder`](burn::train::EvaluatorBuilder), whose tests become the
//! phase `evaluation`, and, with the feature `rl`, on a reinforcement-learning training. For a custom loop,
//! [`on`](BurnLoopExt::on) sets the devices.
//!
//! The version of this crate is the version of the Burn release that it supports, because Burn's hook traits change
//! with each release.
//!
//! # Outcomes
//!
//! | how the training ended | outcome | last epoch | note |
//! |---|---|---|---|
//! | all planned epochs | `completed` | complete | |
//! | Burn's early stopping | `stopped_early` | complete | |
//! | the run's budget | `stopped_early` | complete, or incomplete if the budget was exceeded within it | the reason |
//! | an interruption, or "stop" in the dashboard | `interrupted` | incomplete | the reason |
//! | an interruption at the last batch of an epoch | `interrupted` | complete | the reason |
//! | unreadable data, or a failing metric or checkpoint | `failed` | incomplete | the error |
//! | a panic in a worker of a multi-device training | `failed` | incomplete | the panic message |
//! | a panic in a step, or "kill" in the dashboard | `panicked`; the panic propagates | incomplete | |
//! | the run is dropped without `finish` | `failed`, or `panicked` while unwinding | as above | |
//! | `panic = "abort"`, a signal, a power cut | `killed`, when the ledger is read again | as far as recorded | |
//! | resumed from a checkpoint | that of the last attempt | all attempts, in order | |
//!
//! The integration tests cover each of these cases, on one device and on several. With [`instrument_loaders`], each
//! epoch in these tests has exactly the energy that the scripted power source prescribes.
//!
//! # Limits
//! - `track_emissions` occupies Burn's only progress-logger slot. A logger that was set before with Burn's
//!   `with_progress_logger` is replaced; pass it to [`TrackedTraining::with_progress_logger`] instead.
//! - At a step for which no log line is written, the serialized entry of a metric is
//!   [`N/A`](burn::train::metric::SerializedEntry::is_not_available). A custom metric logger finds the value in
//!   [`numeric_entry`](burn::train::metric::store::NumericMetricUpdate::numeric_entry).
//! - Burn's worker reports the end of a split only after it has computed the metrics of up to two batches. If this delay
//!   may exceed 1 % of an epoch, a note states it. [`instrument_loaders`] avoids the delay.
//! - With Burn's distributed data parallelism, loaders are not read on the thread that launches the training, so the
//!   worker's reports determine the epoch boundaries.
//! - Burn does not expose the device list of a multi-device training: set it with
//!   [`with_devices`](TrackedTraining::with_devices).
//! - wgpu devices are mapped to GPUs only with the feature `gpu`. Metal and remote devices are not mapped; the
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

/// Compiles the quickstart's program.
#[cfg(doctest)]
#[doc = include_str!("../../../docs/quickstart-burn.md")]
mod quickstart {}
