//! Tracks a supervised training.

use std::sync::{Arc, OnceLock};

use burn::tensor::Device;
use burn::train::logger::TrainingProgressLogger;
use burn::train::{EarlyStoppingStrategy, Learner, LearnerModel, LearningResult, SupervisedTraining};
use sootprint::{Run, RunHandle};

use crate::devices::{device_ids, gpu_feature_hint};
use crate::early_stopping::BudgetEarlyStopping;
use crate::epoch_tracker::{EpochSplit, EpochTracker};
use crate::metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
use crate::progress::ProgressAdapter;
use crate::stop::{PanicGuard, StopController};

/// Measures one of Burn's trainings or evaluations with a [`Run`].
pub trait TrackEmissionsExt: Sized {
    /// The tracked builder, which replaces this one in the call chain.
    type Tracked;

    /// Adds live energy, power and CO2e to Burn's metrics, and records epochs and outcome in the run.
    ///
    /// Call this method last before the launch, after the interrupter, the number of epochs and all other options are
    /// set.
    fn track_emissions(self, run: &Run) -> Self::Tracked;
}

/// A supervised training that is measured by a run.
#[must_use = "a training does nothing until it is launched"]
pub struct TrackedTraining<M: LearnerModel> {
    training: SupervisedTraining<M>,
    run: RunHandle,
    progress_logger: Option<Box<dyn TrainingProgressLogger>>,
    devices: Option<Vec<Device>>,
    has_energy_metrics: bool,
    /// Set at the launch.
    tracker: Arc<OnceLock<EpochTracker>>,
}

impl<M: LearnerModel> TrackEmissionsExt for SupervisedTraining<M> {
    type Tracked = TrackedTraining<M>;

    fn track_emissions(self, run: &Run) -> TrackedTraining<M> {
        let (run, tracker) = (run.handle(), Arc::default());
        TrackedTraining {
            training: self,
            run,
            progress_logger: None,
            devices: None,
            has_energy_metrics: true,
            tracker,
        }
    }
}

impl<M: LearnerModel> TrackedTraining<M> {
    /// Adds a progress logger. Burn has a single slot for a progress logger, which sootprint occupies; `logger`
    /// receives every call.
    pub fn with_progress_logger(mut self, logger: impl TrainingProgressLogger + 'static) -> Self {
        self.progress_logger = Some(Box::new(logger));
        self
    }

    /// Sets the devices of a training on several devices. Burn does not expose the list of these devices.
    pub fn with_devices(mut self, devices: &[Device]) -> Self {
        self.devices = Some(devices.to_vec());
        self
    }

    /// Omits energy, power and CO2e from Burn's metrics. The run is still measured.
    ///
    /// Burn computes and renders every metric at every step on a worker thread, and opens one file per metric and split.
    /// For these three, the worker needs about 11 µs per step and 1.4 ms per epoch. That is a few percent of a training
    /// whose steps take less than a millisecond, or whose epochs take a fraction of a second.
    pub fn without_energy_metrics(mut self) -> Self {
        self.has_energy_metrics = false;
        self
    }

    /// Sets an early-stopping strategy, as Burn's `early_stopping` does, and also applies the run's budget: if the
    /// next epoch would exceed the budget, the training ends between two epochs, after the checkpoint.
    ///
    /// Without this call, a training whose next epoch would exceed the budget is interrupted at the first batch of
    /// that epoch. A budget that is exceeded within an epoch always interrupts the training there.
    pub fn early_stopping<S>(mut self, strategy: S) -> Self
    where
        S: EarlyStoppingStrategy + Clone + Send + Sync + 'static,
    {
        self.training =
            self.training.early_stopping(BudgetEarlyStopping::new(strategy, Arc::clone(&self.tracker)));
        self
    }

    /// Launches the training and returns Burn's result.
    ///
    /// # Panics
    /// If the training panics; the run then has the status `panicked`.
    pub fn launch(self, learner: Learner<M>) -> LearningResult<M> {
        let Self { training, run, progress_logger, devices, has_energy_metrics, tracker: tracker_cell } =
            self;
        let devices = devices.unwrap_or_else(|| learner.model().devices());
        add_devices(&run, &devices);
        let stop_controller = StopController::new(run.clone(), training.interrupter());
        let tracker = EpochTracker::new(run, stop_controller, devices);
        // The cell is empty: `launch` consumes its only owner.
        let _ = tracker_cell.set(tracker.clone());
        let training = if has_energy_metrics { with_energy_metrics(training, &tracker) } else { training };
        let training = training.with_progress_logger(ProgressAdapter::new(tracker.clone(), progress_logger));

        let panic_guard = PanicGuard::new(tracker.run());
        let thread_scope = tracker.enter_thread();
        let result = training.launch(learner);
        drop(thread_scope);
        drop(panic_guard);
        tracker.stop_controller().report_end(result.interrupted.as_ref(), result.error.as_deref());
        result
    }
}

/// Registers the GPUs of these devices with the run.
pub(crate) fn add_devices(run: &RunHandle, devices: &[Device]) {
    let ids = device_ids(devices);
    gpu_feature_hint(&ids).into_iter().for_each(|hint| run.add_note(hint));
    run.add_devices(ids);
}

fn with_energy_metrics<M: LearnerModel>(
    training: SupervisedTraining<M>,
    tracker: &EpochTracker,
) -> SupervisedTraining<M> {
    let (train, valid) = (tracker.usage(EpochSplit::Train), tracker.usage(EpochSplit::Valid));
    training
        .metric_train_numeric(EnergyMetric::for_split(train))
        .metric_valid_numeric(EnergyMetric::for_split(valid))
        .metric_train_numeric(PowerMetric::for_split(train))
        .metric_valid_numeric(PowerMetric::for_split(valid))
        .metric_train_numeric(EmissionsMetric::for_split(train))
        .metric_valid_numeric(EmissionsMetric::for_split(valid))
}
