//! Reinforcement learning: a lever that pays, learned by a policy of one weight.

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
use sootprint::{Outcome, Run};
use sootprint_burn::MeasuredBy as _;

use super::digits::{Incident, Seconds, TRAIN_WATTS, VALID_WATTS, micro, scripted, seconds};
use super::renderers::Dashboard;

const STEPS: usize = 20;

/// A row of figures for each environment: what is seen, what is done, and how it was decided.
#[derive(Clone)]
struct Row(Tensor<2>);

impl Batchable for Row {
    fn batch(rows: Vec<Self>) -> Self {
        Self(Tensor::cat(rows.into_iter().map(|row| row.0).collect(), 0))
    }

    fn unbatch(self) -> Vec<Self> {
        self.0.split(1, 0).into_iter().map(Self).collect()
    }
}

impl SliceAccess for Row {
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

impl ToObservation<Row> for Row {
    fn to_observation(&self, device: &Device) -> Row {
        Self(self.0.clone().to_device(device))
    }
}

impl ToAction<Row> for Row {
    fn to_action(&self, device: &Device) -> Row {
        self.to_observation(device)
    }
}

/// Pays for each pull of the lever, which takes a second. An episode has five.
struct Lever {
    seconds: Seconds,
    pulls: usize,
    is_held: IsHeld,
}

/// Whether no lever moves any more. Burn's runner pulls ahead in a thread of its own, which outlasts the training.
type IsHeld = Arc<Mutex<bool>>;

/// Holds the levers when it is dropped.
struct Hold(IsHeld);

impl Drop for Hold {
    fn drop(&mut self) {
        *self.0.lock().unwrap() = true;
    }
}

impl Environment for Lever {
    type State = Row;
    type Action = Row;

    const MAX_STEPS: usize = 5;

    fn state(&self) -> Row {
        Row(Tensor::ones([1, 1], &Device::flex()))
    }

    fn step(&mut self, _: Row) -> StepResult<Row> {
        let is_held = Arc::clone(&self.is_held);
        let is_held = is_held.lock().unwrap();
        self.pulls += 1;
        let done = self.pulls == Self::MAX_STEPS;
        let result = StepResult { next_state: self.state(), reward: 1.0, done, truncated: false };
        if *is_held {
            return result;
        }
        self.seconds.pass(1);
        let made = self.seconds.made.fetch_add(1, Ordering::Relaxed) + 1;
        match &self.seconds.incident {
            Incident::Interrupt(at, interrupter) if made == *at => interrupter.stop(Some("enough")),
            _ => {}
        }
        result
    }

    fn reset(&mut self) {
        self.pulls = 0;
    }
}

#[derive(Clone)]
struct Weight(Tensor<2>);

impl PolicyState for Weight {
    type Record = ();

    fn into_record(self) {}

    fn load_record(&self, (): ()) -> Self {
        self.clone()
    }
}

impl Policy for Weight {
    type Observation = Row;
    type ActionDistribution = Row;
    type Action = Row;
    type ActionContext = ();
    type PolicyState = Self;

    fn forward(&mut self, seen: Row) -> Row {
        Row(seen.0.matmul(self.0.clone()))
    }

    fn action(&mut self, seen: Row, _: bool) -> (Row, Vec<()>) {
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

struct Agent {
    weight: Weight,
    panics: bool,
}

impl PolicyLearner for Agent {
    type TrainContext = ();
    type InnerPolicy = Weight;
    type Record = ();

    fn train(&mut self, batch: LearnerTransitionBatch<Weight>) -> RLTrainOutput<(), Weight> {
        assert!(!self.panics, "on purpose");
        let gain = batch.rewards.mean().reshape([1, 1]).mul_scalar(0.1);
        self.weight = Weight(self.weight.0.clone() + gain);
        RLTrainOutput { policy: self.weight.clone(), item: () }
    }

    fn policy(&self) -> Weight {
        self.weight.clone()
    }

    fn update_policy(&mut self, update: Weight) {
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

fn agent(panics: bool) -> Agent {
    Agent { weight: Weight(Tensor::zeros([1, 1], &Device::flex())), panics }
}

/// Trains, and holds the levers when it is over; with a dashboard that forgets, if there is an interrupter.
fn train(
    dir: &Path,
    run: &Run,
    batches: &Seconds,
    interrupter: Option<&Interrupter>,
    panics: bool,
) -> RLResult<Weight> {
    let seconds = batches.clone();
    let strategy =
        OffPolicyConfig::new().with_train_batch_size(4).with_train_interval(2).with_eval_interval(10);
    let is_held = IsHeld::default();
    let _hold = Hold(Arc::clone(&is_held));
    let training = RLTraining::new(dir, move || Lever {
        seconds: seconds.clone(),
        pulls: 0,
        is_held: Arc::clone(&is_held),
    })
    .with_learning_strategy(RLStrategies::OffPolicyStrategy(strategy))
    .num_steps(STEPS)
    .with_application_logger(None);
    let training = match interrupter {
        Some(interrupter) => {
            training.with_interrupter(interrupter.clone()).renderer(Box::new(Dashboard(interrupter.clone())))
        }
        None => training,
    };
    training.measured_by(run).launch(agent(panics))
}

#[test]
fn reinforcement_learning_has_its_joules_and_its_metrics() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    let result = train(dir.path(), &run, &batches, None, false);
    assert!(result.error.is_none());
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    assert!(batches.made() >= STEPS - 1, "steps and an evaluation: {}", batches.made());
    assert_eq!(micro(footprint.energy.total.joules()), seconds(batches.made()));
    assert!(!footprint.run.partial, "the processor claims no board: {:?}", footprint.components);
    // Burn's summary takes the mean of a metric whose end it was not told, and that is half of what only grows.
    let summary = LearnerSummary::new(dir.path(), &["Energy", "Power", "CO2e"]).unwrap();
    let last = |metric: &str| {
        let summed = summary.metrics.train.iter().find(|summed| summed.name == metric).unwrap();
        summed.entries.last().unwrap().value
    };
    // Up to the last step that learned; and a live figure reaches a little ahead of the readings.
    let total = footprint.energy.total.joules();
    let parts = [last("Energy") * 3_600.0 / total, last("CO2e") / footprint.emissions.best.grams()];
    assert!(parts.iter().all(|part| (seconds(STEPS) / total..1.01).contains(part)), "{parts:?}");
    // The mean of one line a second, some of them at 100 W and some at 400 W.
    assert!(last("Power") > TRAIN_WATTS && last("Power") < VALID_WATTS, "{} W", last("Power"));
}

#[test]
fn its_interruption_is_known_under_a_dashboard_that_forgets_it() {
    let dir = tempfile::tempdir().unwrap();
    let (run, mut batches) = scripted(dir.path());
    let interrupter = Interrupter::new();
    batches.incident = Incident::Interrupt(3, interrupter.clone());
    let result = train(dir.path(), &run, &batches, Some(&interrupter), false);
    assert!(result.interrupted.is_none(), "the dashboard has forgotten it");
    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Interrupted);
    assert!(footprint.notes.iter().any(|note| note.contains("enough")), "{:?}", footprint.notes);
}

#[test]
fn its_panic_passes_through_and_is_known() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    let panic = catch_unwind(AssertUnwindSafe(|| drop(train(dir.path(), &run, &batches, None, true))));
    assert!(panic.is_err());
    assert_eq!(run.finish().run.outcome, Outcome::Panicked);
}
