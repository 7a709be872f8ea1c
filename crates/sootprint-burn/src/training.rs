//! The wrapper around a supervised training.

use std::sync::{Arc, OnceLock};

use burn::tensor::Device;
use burn::train::logger::TrainingProgressLogger;
use burn::train::{EarlyStoppingStrategy, Learner, LearnerModel, LearningResult, SupervisedTraining};
use sootprint::{Run, RunHandle};

use crate::course::{Course, Split};
use crate::devices::{advice, claims};
use crate::early_stopping::WithinBudget;
use crate::ends::{Ends, Witness};
use crate::metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
use crate::progress::Progress;

/// Lets Burn's work be measured by a run.
pub trait MeasuredBy: Sized {
    /// What launches it, measured.
    type Measured;

    /// Measures it: live energy, power and CO2e among Burn's metrics, the epochs, and how it ended.
    ///
    /// Make it the last call before the launch, so that the interrupter, the epochs and all else are set.
    fn measured_by(self, run: &Run) -> Self::Measured;
}

/// A supervised training that a run measures.
#[must_use = "a training does nothing until it is launched"]
pub struct Measured<M: LearnerModel> {
    training: SupervisedTraining<M>,
    run: RunHandle,
    beside: Option<Box<dyn TrainingProgressLogger>>,
    devices: Option<Vec<Device>>,
    is_live: bool,
    /// Known at the launch.
    course: Arc<OnceLock<Course>>,
}

impl<M: LearnerModel> MeasuredBy for SupervisedTraining<M> {
    type Measured = Measured<M>;

    fn measured_by(self, run: &Run) -> Measured<M> {
        let (run, course) = (run.handle(), Arc::default());
        Measured { training: self, run, beside: None, devices: None, is_live: true, course }
    }
}

impl<M: LearnerModel> Measured<M> {
    /// Keeps a progress logger of yours: Burn has one slot, and both get every call.
    pub fn beside(mut self, logger: impl TrainingProgressLogger + 'static) -> Self {
        self.beside = Some(Box::new(logger));
        self
    }

    /// Names the devices of a training on several, whose list Burn keeps to itself.
    pub fn on(mut self, devices: &[Device]) -> Self {
        self.devices = Some(devices.to_vec());
        self
    }

    /// Leaves energy, power and CO2e out of Burn's metrics; the run is measured all the same.
    ///
    /// Burn computes and shows every metric at every step on a thread beside the training, and opens a file for each in each
    /// split. For these three that took some 11 µs of that thread a step and 1.4 ms an epoch (docs/benchmarks.md): where a
    /// step takes less than a millisecond, or an epoch a fraction of a second, that is some percent.
    pub fn without_metrics(mut self) -> Self {
        self.is_live = false;
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
        self.training = self.training.early_stopping(WithinBudget::new(strategy, Arc::clone(&self.course)));
        self
    }

    /// Launches the training and gives Burn's own result.
    ///
    /// A panic passes through, after the run was told of it.
    pub fn launch(self, learner: Learner<M>) -> LearningResult<M> {
        let Self { training, run, beside, devices, is_live, course: known } = self;
        let devices = devices.unwrap_or_else(|| learner.model().devices());
        claim(&run, &devices);
        let ends = Ends::new(run.clone(), training.interrupter());
        let course = Course::new(run, ends, devices);
        // It is set once: a launch consumes what holds it.
        let _ = known.set(course.clone());
        let training = if is_live { with_metrics(training, &course) } else { training };
        let training = training.with_progress_logger(Progress::new(course.clone(), beside));

        let witness = Witness::new(course.run());
        let here = course.on_this_thread();
        let result = training.launch(learner);
        drop(here);
        drop(witness);
        course.ends().tell(result.interrupted.as_ref(), result.error.as_deref());
        result
    }
}

/// Tells the run which boards these devices are.
pub(crate) fn claim(run: &RunHandle, devices: &[Device]) {
    let claims = claims(devices);
    advice(&claims).into_iter().for_each(|advice| run.note(advice));
    run.claim(claims);
}

fn with_metrics<M: LearnerModel>(training: SupervisedTraining<M>, course: &Course) -> SupervisedTraining<M> {
    let (train, valid) = (course.span(Split::Train), course.span(Split::Valid));
    training
        .metric_train_numeric(EnergyMetric::over(train))
        .metric_valid_numeric(EnergyMetric::over(valid))
        .metric_train_numeric(PowerMetric::over(train))
        .metric_valid_numeric(PowerMetric::over(valid))
        .metric_train_numeric(EmissionsMetric::over(train))
        .metric_valid_numeric(EmissionsMetric::over(valid))
}
