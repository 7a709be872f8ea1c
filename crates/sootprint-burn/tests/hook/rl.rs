//! Reinforcement learning: a lever that always pays, and a policy with one weight.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use burn::rl::{
    Batchable, Environment, LearnerTransitionBatch, Policy, PolicyLearner, PolicyState, RLTrainOutput,
    SliceAccess, StepResult, ToAction, ToObservation,
};
use burn::tensor::{Device, Int, Tensor};
use burn::train::{Interrupter, LearnerSummary, OffPolicyConfig, RLResult, RLStrategies, RLTraining};
use sootprint::{Run, RunStatus};
use sootprint_burn::TrackEmissionsExt as _;

use super::fixture::{
    BatchFault, TRAIN_WATTS, TimedBatcher, VALID_WATTS, joules_after_seconds, round_to_micro, scripted_run,
};
use super::renderers::ResettingDashboard;

const STEPS: usize = 20;

/// Observations, actions and action distributions: one row per environment.
#[derive(Clone)]
struct TensorRow(Tensor<2>);

impl Batchable for TensorRow {
    fn batch(rows: Vec<Self>) -> Self {
        Self(Tensor::cat(rows.into_iter().map(|row| row.0).collect(), 0))
    }

    fn unbatch(self) -> Vec<Self> {
        self.0.split(1, 0).into_iter().map(Self).collect()
    }
}

impl SliceAccess for TensorRow {
    fn zeros_like(sample: &Self, capacity: usize, device: &Device) -> Self {
        Self(SliceAccess::zeros_like(&sample.0, capacity, device))
    }

    fn select(self, dim: usize, indices: Tensor<1, Int>) -> Self {
        Self(SliceAccess::select(self.0, dim, indices))
    }

    fn slice_assign_inplace(&mut self, index: usize, value: Self) {
        self.0.slice_assign_inplace(index, value.0);
    }
}

impl ToObservation<TensorRow> for TensorRow {
    fn to_observation(&self, device: &Device) -> TensorRow {
        Self(self.0.clone().to_device(device))
    }
}

impl ToAction<TensorRow> for TensorRow {
    fn to_action(&self, device: &Device) -> TensorRow {
        self.to_observation(device)
    }
}

/// Pays a reward of 1 per pull of the lever, which takes one second. An episode has five pulls.
struct LeverEnv {
    batcher: TimedBatcher,
    pulls: usize,
    is_frozen: FrozenFlag,
}

/// Stops the clock of the levers: Burn's runner acts ahead on its own thread, which outlives the training.
type FrozenFlag = Arc<Mutex<bool>>;

/// Sets the flag when it is dropped.
struct FreezeOnDrop(FrozenFlag);

impl Drop for FreezeOnDrop {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

impl Environment for LeverEnv {
    type State = TensorRow;
    type Action = TensorRow;

    const MAX_STEPS: usize = 5;

    fn state(&self) -> TensorRow {
        TensorRow(Tensor::ones([1, 1], &Device::flex()))
    }

    fn step(&mut self, _: TensorRow) -> StepResult<TensorRow> {
        let is_frozen = Arc::clone(&self.is_frozen);
        let is_frozen = is_frozen.lock().unwrap();
        self.pulls += 1;
        let done = self.pulls == Self::MAX_STEPS;
        let result = StepResult { next_state: self.state(), reward: 1.0, done, truncated: false };
        if *is_frozen {
            return result;
        }
        self.batcher.advance(1);
        let steps_made = self.batcher.batches_made.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.batcher.fault {
            BatchFault::Interrupt(at, interrupter) if steps_made == *at => interrupter.stop(Some("enough")),
            _ => {}
        }
        result
    }

    fn reset(&mut self) {
        self.pulls = 0;
    }
}

#[derive(Clone)]
struct WeightPolicy(Tensor<2>);

impl PolicyState for WeightPolicy {
    type Record = ();

    fn into_record(self) {}

    fn load_record(&self, (): ()) -> Self {
        self.clone()
    }
}

impl Policy for WeightPolicy {
    type Observation = TensorRow;
    type ActionDistribution = TensorRow;
    type Action = TensorRow;
    type ActionContext = ();
    type PolicyState = Self;

    fn forward(&mut self, seen: TensorRow) -> TensorRow {
        TensorRow(seen.0.matmul(self.0.clone()))
    }

    fn action(&mut self, seen: TensorRow, _: bool) -> (TensorRow, Vec<()>) {
        let count = seen.0.dims()[0];
        (self.forward(seen), vec![(); count])
    }

    fn update(&mut self, update: Self) {
        *self = update;
    }

    fn state(&self) -> Self {
        self.clone()
    }

    fn to_device(self, device: &Device) -> Self {
        Self(self.0.to_device(device))
    }

    fn load_record(self, (): ()) -> Self {
        self
    }
}

struct LeverAgent {
    weight: WeightPolicy,
    should_panic: bool,
}

impl PolicyLearner for LeverAgent {
    type TrainContext = ();
    type InnerPolicy = WeightPolicy;
    type Record = ();

    fn train(&mut self, batch: LearnerTransitionBatch<WeightPolicy>) -> RLTrainOutput<(), WeightPolicy> {
        assert!(!self.should_panic, "on purpose");
        let gain = batch.rewards.mean().reshape([1, 1]).mul_scalar(0.1);
        self.weight = WeightPolicy(self.weight.0.clone() + gain);
        RLTrainOutput { policy: self.weight.clone(), item: () }
    }

    fn policy(&self) -> WeightPolicy {
        self.weight.clone()
    }

    fn update_policy(&mut self, update: WeightPolicy) {
        self.weight = update;
    }

    fn record(&self) {}

    fn load_record(self, (): ()) -> Self {
        self
    }

    fn device(&self) -> Device {
        Device::flex()
    }
}

fn agent(should_panic: bool) -> LeverAgent {
    LeverAgent { weight: WeightPolicy(Tensor::zeros([1, 1], &Device::flex())), should_panic }
}

/// Trains and then freezes the levers. With an interrupter, a dashboard resets it at the end.
fn train(
    dir: &Path,
    run: &Run,
    batches: &TimedBatcher,
    interrupter: Option<&Interrupter>,
    should_panic: bool,
) -> RLResult<WeightPolicy> {
    let batcher = batches.clone();
    let strategy =
        OffPolicyConfig::new().with_train_batch_size(4).with_train_interval(2).with_eval_interval(10);
    let is_frozen = FrozenFlag::default();
    let _freeze_on_drop = FreezeOnDrop(Arc::clone(&is_frozen));
    let training = RLTraining::new(dir, move || LeverEnv {
        batcher: batcher.clone(),
        pulls: 0,
        is_frozen: Arc::clone(&is_frozen),
    })
    .with_learning_strategy(RLStrategies::OffPolicyStrategy(strategy))
    .num_steps(STEPS)
    .with_application_logger(None);
    let training = match interrupter {
        Some(interrupter) => training
            .with_interrupter(interrupter.clone())
            .renderer(Box::new(ResettingDashboard(interrupter.clone()))),
        None => training,
    };
    training.track_emissions(run).launch(agent(should_panic))
}

#[test]
fn rl_training_has_energy_and_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    let result = train(dir.path(), &run, &batches, None, false);
    assert!(result.error.is_none());
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert!(batches.batches_made() >= STEPS - 1, "{} steps", batches.batches_made());
    assert_eq!(round_to_micro(footprint.energy.total.joules()), joules_after_seconds(batches.batches_made()));
    assert!(!footprint.run.partial, "the CPU has no device id: {:?}", footprint.components);
    // Burn's summary averages entries that are not final, which would halve a growing total.
    let summary = LearnerSummary::new(dir.path(), &["Energy", "Power", "CO2e"]).unwrap();
    let last = |metric: &str| {
        let entry = summary.metrics.train.iter().find(|it| it.name == metric).unwrap();
        entry.entries.last().unwrap().value
    };
    // The last entry is that of the last learning step, and live values may slightly exceed the samples.
    let total = footprint.energy.total.joules();
    let shares = [last("Energy") * 3_600.0 / total, last("CO2e") / footprint.emissions.best.grams()];
    assert!(
        shares.iter().all(|part| (joules_after_seconds(STEPS) / total..1.01).contains(part)),
        "{shares:?}"
    );
    // The mean of one line per second, some at 100 W and some at 400 W.
    assert!(last("Power") > TRAIN_WATTS && last("Power") < VALID_WATTS, "{} W", last("Power"));
}

#[test]
fn rl_interruption_survives_dashboard_reset() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted_run(dir.path());
    let interrupter = Interrupter::new();
    batches.fault = BatchFault::Interrupt(3, interrupter.clone());
    let result = train(dir.path(), &run, &batches, Some(&interrupter), false);
    assert!(result.interrupted.is_none(), "the dashboard reset it");
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::Interrupted);
    assert!(footprint.notes.iter().any(|note| note.contains("enough")), "{:?}", footprint.notes);
}

#[test]
fn rl_panic_propagates_and_is_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    let panic = catch_unwind(AssertUnwindSafe(|| drop(train(dir.path(), &run, &batches, None, true))));
    assert!(panic.is_err());
    assert_eq!(run.finish().run.outcome, RunStatus::Panicked);
}
