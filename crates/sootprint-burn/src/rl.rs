//! The wrapper around a reinforcement-learning training.

use burn::rl::{PolicyLearner as _, SliceAccess};
use burn::tensor::Device;
use burn::train::{Interruption, RLComponentsTypes, RLResult, RLTraining};
use sootprint::{Run, RunHandle};

use crate::ends::{Ends, Witness};
use crate::metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
use crate::span::Span;
use crate::training::{MeasuredBy, claim};

/// A reinforcement-learning training that a run measures.
///
/// It has steps and no epochs, and Burn tells nobody where it is but its metrics: energy, power and CO2e are those of the
/// training so far, at each step that learns. The run's budget is minded there, too.
#[must_use = "a training does nothing until it is launched"]
pub struct MeasuredRl<C: RLComponentsTypes> {
    training: RLTraining<C>,
    run: RunHandle,
    devices: Option<Vec<Device>>,
}

impl<C: RLComponentsTypes + 'static> MeasuredBy for RLTraining<C> {
    type Measured = MeasuredRl<C>;

    fn measured_by(self, run: &Run) -> MeasuredRl<C> {
        MeasuredRl { training: self, run: run.handle(), devices: None }
    }
}

impl<C: RLComponentsTypes + 'static> MeasuredRl<C> {
    /// Names the devices, where there are others than the one that the agent learns on.
    pub fn on(mut self, devices: &[Device]) -> Self {
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
        claim(&run, &devices.unwrap_or_else(|| vec![agent.device()]));
        let interrupter = training.interrupter();
        let before = interrupter.get_message();
        let ends = Ends::new(run.clone(), interrupter.clone());
        let span = Span::since(run.clone());
        let training = training
            .metric_train(EnergyMetric::over(&span).minding(ends.clone()))
            .metric_train(PowerMetric::over(&span))
            .metric_train(EmissionsMetric::over(&span));

        let witness = Witness::new(&run);
        let result = training.launch(agent);
        drop(witness);
        // Burn's dashboard resets the interrupter when the training has ended; what it was stopped for stays.
        let forgotten = interrupter.get_message().filter(|message| before.as_ref() != Some(message));
        let forgotten = forgotten.map(|reason| Interruption { reason: Some(reason) });
        ends.tell(result.interrupted.as_ref().or(forgotten.as_ref()), result.error.as_deref());
        result
    }
}
