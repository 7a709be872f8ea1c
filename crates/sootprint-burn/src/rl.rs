//! The wrapper around a reinforcement-learning training.

use burn::rl::{PolicyLearner as _, SliceAccess};
use burn::tensor::Device;
use burn::train::{Interruption, RLComponentsTypes, RLResult, RLTraining};
use sootprint::{Run, RunHandle};

use crate::metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
use crate::split_usage::SplitUsage;
use crate::stop::{PanicGuard, StopController};
use crate::training::{TrackEmissionsExt, add_devices};

/// A reinforcement-learning training that a run measures.
///
/// It has steps and no epochs, and Burn tells nobody where it is but its metrics: energy, power and CO2e are those of the
/// training so far, at each step that learns. The run's budget is minded there, too.
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
    /// Names the devices, where there are others than the one that the agent learns on.
    pub fn with_devices(mut self, devices: &[Device]) -> Self {
        self.devices = Some(devices.to_vec());
        self
    }

    /// Launches the training and gives Burn's own result.
    ///
    /// A panic passes through, after the run was told of it.
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
            .metric_train(EnergyMetric::over(&usage).with_stop_controller(stop_controller.clone()))
            .metric_train(PowerMetric::over(&usage))
            .metric_train(EmissionsMetric::over(&usage));

        let panic_guard = PanicGuard::new(&run);
        let result = training.launch(agent);
        drop(panic_guard);
        // Burn's dashboard resets the interrupter when the training has ended; what it was stopped for stays.
        let cleared_message =
            interrupter.get_message().filter(|message| message_before.as_ref() != Some(message));
        let interruption = cleared_message.map(|reason| Interruption { reason: Some(reason) });
        stop_controller
            .report_end(result.interrupted.as_ref().or(interruption.as_ref()), result.error.as_deref());
        result
    }
}
