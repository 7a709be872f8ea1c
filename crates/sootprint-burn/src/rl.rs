//! Tracks a reinforcement-learning training.

use burn::rl::{PolicyLearner as _, SliceAccess};
use burn::tensor::Device;
use burn::train::{Interruption, RLComponentsTypes, RLResult, RLTraining};
use sootprint::{Run, RunHandle};

use crate::metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
use crate::split_usage::SplitUsage;
use crate::stop::{PanicGuard, StopController};
use crate::training::{TrackEmissionsExt, add_devices};

/// A reinforcement-learning training that is measured by a run.
///
/// Such a training has steps but no epochs, and Burn reports its progress to metrics only. Energy, mean power and CO2e
/// are therefore those of the whole training so far. They are updated at each learning step, where the run's budget is
/// checked too.
#[must_use = "a training does nothing until it is launched"]
pub struct TrackedRlTraining<C: RLComponentsTypes> {
    training: RLTraining<C>,
    run: RunHandle,
    devices: Option<Vec<Device>>,
}

impl<C: RLComponentsTypes + 'static> TrackEmissionsExt for RLTraining<C> {
    type Tracked = TrackedRlTraining<C>;

    fn track_emissions(self, run: &Run) -> TrackedRlTraining<C> {
        TrackedRlTraining { training: self, run: run.handle(), devices: None }
    }
}

impl<C: RLComponentsTypes + 'static> TrackedRlTraining<C> {
    /// Sets the devices, if the training does not use those of the agent.
    pub fn with_devices(mut self, devices: &[Device]) -> Self {
        self.devices = Some(devices.to_vec());
        self
    }

    /// Launches the training and returns Burn's result.
    ///
    /// # Panics
    /// If the training panics; the run then has the status `panicked`.
    pub fn launch(self, agent: C::LearningAgent) -> RLResult<C::Policy>
    where
        C::PolicyObs: SliceAccess,
        C::PolicyAction: SliceAccess,
    {
        let Self { training, run, devices } = self;
        add_devices(&run, &devices.unwrap_or_else(|| vec![agent.device()]));
        let interrupter = training.interrupter();
        let message_before = interrupter.get_message();
        let stop_controller = StopController::new(run.clone(), interrupter.clone());
        let usage = SplitUsage::new(run.clone());
        let training = training
            .metric_train(EnergyMetric::for_split(&usage).with_stop_controller(stop_controller.clone()))
            .metric_train(PowerMetric::for_split(&usage))
            .metric_train(EmissionsMetric::for_split(&usage));

        let panic_guard = PanicGuard::new(&run);
        let result = training.launch(agent);
        drop(panic_guard);
        // Burn's dashboard resets the interrupter at the end of the training but leaves the message.
        let message = interrupter.get_message().filter(|message| message_before.as_ref() != Some(message));
        let interruption = message.map(|reason| Interruption { reason: Some(reason) });
        stop_controller
            .report_end(result.interrupted.as_ref().or(interruption.as_ref()), result.error.as_deref());
        result
    }
}
