//! The wrapper around a supervised training.

use burn::tensor::Device;
use burn::train::logger::TrainingProgressLogger;
use burn::train::{Learner, LearnerModel, LearningResult, SupervisedTraining};
use sootprint::{Outcome, Run, RunHandle};

use crate::devices::{advice, claims};
use crate::metrics::{EmissionsMetric, EnergyMetric, SplitStart};
use crate::progress::Progress;

/// Lets a supervised training be measured by a run.
pub trait MeasuredBy<M: LearnerModel> {
    /// Measures the training: live energy and CO2e among Burn's metrics, the epochs, and how it ended.
    ///
    /// Make it the last call before `launch`, so that the interrupter, the epochs and all else are set.
    fn measured_by(self, run: &Run) -> Measured<M>;
}

/// A supervised training that a run measures.
#[must_use = "a training does nothing until it is launched"]
pub struct Measured<M: LearnerModel> {
    training: SupervisedTraining<M>,
    run: RunHandle,
    beside: Option<Box<dyn TrainingProgressLogger>>,
    devices: Option<Vec<Device>>,
}

impl<M: LearnerModel> MeasuredBy<M> for SupervisedTraining<M> {
    fn measured_by(self, run: &Run) -> Measured<M> {
        Measured { training: self, run: run.handle(), beside: None, devices: None }
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

    /// Launches the training and gives Burn's own result.
    ///
    /// A panic passes through, after the run was told of it.
    pub fn launch(self, learner: Learner<M>) -> LearningResult<M> {
        let Self { training, run, beside, devices } = self;
        let devices = devices.unwrap_or_else(|| learner.model().devices());
        let claims = claims(&devices);
        advice(&claims).into_iter().for_each(|advice| run.note(advice));
        run.claim(claims);
        let split = SplitStart::now(&run);
        let energy = || EnergyMetric::since(run.clone(), split.clone());
        let emissions = || EmissionsMetric::since(run.clone(), split.clone());
        let training = training
            .metric_train_numeric(energy())
            .metric_valid_numeric(energy())
            .metric_train_numeric(emissions())
            .metric_valid_numeric(emissions())
            .with_progress_logger(Progress::new(run.clone(), split, beside));

        let witness = Witness(&run);
        let result = training.launch(learner);
        drop(witness);
        tell_outcome(&run, &result);
        result
    }
}

/// Tells the run when the training panics; a user may catch the panic and finish the run all the same.
struct Witness<'a>(&'a RunHandle);

impl Drop for Witness<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.epoch_ended(false);
            self.0.outcome(Outcome::Panicked);
        }
    }
}

fn tell_outcome<M>(run: &RunHandle, result: &LearningResult<M>) {
    if let Some(error) = &result.error {
        run.note(format!("the training ended with an error: {error}"));
        run.outcome(Outcome::Failed);
    } else if let Some(interruption) = &result.interrupted {
        let reason = interruption.reason.as_deref().unwrap_or("no reason given");
        run.note(format!("the training was interrupted: {reason}"));
        run.outcome(Outcome::Interrupted);
    }
}
