//! The wrapper around a supervised training.

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

/// Lets Burn's work be measured by a run.
pub trait TrackEmissionsExt: Sized {
    /// What launches it, measured.
    type Tracked;

    /// Measures it: live energy, power and CO2e among Burn's metrics, the epochs, and how it ended.
    ///
    /// Make it the last call before the launch, so that the interrupter, the epochs and all else are set.
    fn track_emissions(self, run: &Run) -> Self::Tracked;
}

/// A supervised training that a run measures.
#[must_use = "a training does nothing until it is launched"]
pub struct TrackedTraining<M: LearnerModel> {
    training: SupervisedTraining<M>,
    run: RunHandle,
    progress_logger: Option<Box<dyn TrainingProgressLogger>>,
    devices: Option<Vec<Device>>,
    has_energy_metrics: bool,
    /// Known at the launch.
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
    /// Keeps a progress logger of yours: Burn has one slot, and both get every call.
    pub fn with_progress_logger(mut self, logger: impl TrainingProgressLogger + 'static) -> Self {
        self.progress_logger = Some(Box::new(logger));
        self
    }

    /// Names the devices of a training on several, whose list Burn keeps to itself.
    pub fn with_devices(mut self, devices: &[Device]) -> Self {
        self.devices = Some(devices.to_vec());
        self
    }

    /// Leaves energy, power and CO2e out of Burn's metrics; the run is measured all the same.
    ///
    /// Burn computes and shows every metric at every step on a thread beside the training, and opens a file for each in each
    /// split. For these three that took some 11 µs of that thread a step and 1.4 ms an epoch (docs/benchmarks.md): where a
    /// step takes less than a millisecond, or an epoch a fraction of a second, that is some percent.
    pub fn without_energy_metrics(mut self) -> Self {
        self.has_energy_metrics = false;
        self
    }

    /// Burn's `early_stopping`, which minds the run's budget, too: a training whose next epoch would go beyond it then ends
    /// between two epochs, when the checkpoint is saved.
    ///
    /// Without it Burn's interrupter ends such a training, at the first batch of the epoch that would go beyond. What is
    /// used up within an epoch is interrupted there, in any case.
    pub fn early_stopping<S>(mut self, strategy: S) -> Self
    where
        S: EarlyStoppingStrategy + Clone + Send + Sync + 'static,
    {
        self.training =
            self.training.early_stopping(BudgetEarlyStopping::new(strategy, Arc::clone(&self.tracker)));
        self
    }

    /// Launches the training and gives Burn's own result.
    ///
    /// A panic passes through, after the run was told of it.
    pub fn launch(self, learner: Learner<M>) -> LearningResult<M> {
        let Self { training, run, progress_logger, devices, has_energy_metrics, tracker: tracker_cell } =
            self;
        let devices = devices.unwrap_or_else(|| learner.model().devices());
        add_devices(&run, &devices);
        let stop_controller = StopController::new(run.clone(), training.interrupter());
        let tracker = EpochTracker::new(run, stop_controller, devices);
        // It is set once: a launch consumes what holds it.
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

/// Tells the run which boards these devices are.
pub(crate) fn add_devices(run: &RunHandle, devices: &[Device]) {
    let ids = device_ids(devices);
    gpu_feature_hint(&ids).into_iter().for_each(|advice| run.add_note(advice));
    run.add_devices(ids);
}

fn with_energy_metrics<M: LearnerModel>(
    training: SupervisedTraining<M>,
    tracker: &EpochTracker,
) -> SupervisedTraining<M> {
    let (train, valid) = (tracker.usage(EpochSplit::Train), tracker.usage(EpochSplit::Valid));
    training
        .metric_train_numeric(EnergyMetric::over(train))
        .metric_valid_numeric(EnergyMetric::over(valid))
        .metric_train_numeric(PowerMetric::over(train))
        .metric_valid_numeric(PowerMetric::over(valid))
        .metric_train_numeric(EmissionsMetric::over(train))
        .metric_valid_numeric(EmissionsMetric::over(valid))
}
