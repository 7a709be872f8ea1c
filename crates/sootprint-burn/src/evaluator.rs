//! Tracks Burn's evaluator.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::module::Module as _;
use burn::tensor::Device;
use burn::train::{EvaluationResult, Evaluator, EvaluatorBuilder, EvaluatorComponentTypes, InferenceStep};
use sootprint::{Phase, Run, RunHandle};

use crate::devices::synchronize;
use crate::metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
use crate::split_usage::SplitUsage;
use crate::stop::{PanicGuard, record_end};
use crate::training::{TrackEmissionsExt, add_devices};

/// An [`EvaluatorBuilder`] with energy, power and CO2e among its metrics.
#[must_use = "an evaluator does nothing until it is built and given data"]
pub struct TrackedEvaluatorBuilder<E: EvaluatorComponentTypes> {
    builder: EvaluatorBuilder<E>,
    run: RunHandle,
    usage: SplitUsage,
}

/// An [`Evaluator`] whose tests are measured as the phase `evaluation` of a run.
#[must_use = "an evaluator does nothing until it is given data"]
pub struct TrackedEvaluator<E: EvaluatorComponentTypes> {
    evaluator: Evaluator<E>,
    run: RunHandle,
    usage: SplitUsage,
    devices: Vec<Device>,
}

type TestLoader<E> = Arc<dyn DataLoader<<<E as EvaluatorComponentTypes>::Model as InferenceStep>::Input>>;

impl<E: EvaluatorComponentTypes> TrackEmissionsExt for EvaluatorBuilder<E> {
    type Tracked = TrackedEvaluatorBuilder<E>;

    fn track_emissions(self, run: &Run) -> Self::Tracked {
        let run = run.handle();
        let usage = SplitUsage::new(run.clone());
        let builder = self
            .metric_numeric(EnergyMetric::for_split(&usage))
            .metric_numeric(PowerMetric::for_split(&usage))
            .metric_numeric(EmissionsMetric::for_split(&usage));
        TrackedEvaluatorBuilder { builder, run, usage }
    }
}

impl<E: EvaluatorComponentTypes> TrackedEvaluatorBuilder<E> {
    /// Builds the evaluator and registers the model's devices with the run.
    pub fn build(self, model: E::Model) -> TrackedEvaluator<E> {
        let Self { builder, run, usage } = self;
        let devices = model.devices();
        add_devices(&run, &devices);
        TrackedEvaluator { evaluator: builder.build(model), run, usage, devices }
    }
}

impl<E: EvaluatorComponentTypes> TrackedEvaluator<E>
where
    <E::Model as InferenceStep>::Input: 'static,
{
    /// Runs a test like [`Evaluator::eval`]. The test is measured from its first batch until the device has finished
    /// the last one.
    pub fn eval(self, name: impl std::fmt::Display, loader: TestLoader<E>) -> EvaluationResult {
        self.eval_all([(name, loader)])
    }

    /// Runs several tests like [`Evaluator::eval_all`]. Each test has its own energy, power and CO2e.
    ///
    /// # Panics
    /// If an evaluation step panics; the run then has the status `panicked`.
    pub fn eval_all<N: std::fmt::Display>(
        self,
        tests: impl IntoIterator<Item = (N, TestLoader<E>)>,
    ) -> EvaluationResult {
        let Self { evaluator, run, usage, devices } = self;
        let scope = EvaluationScope(Arc::new((run, usage, devices)));
        let panic_guard = PanicGuard::new(&scope.0.0);
        let wrapped = tests.into_iter().map(|(name, loader)| (name, scope.wrap(loader)));
        let result = evaluator.eval_all(wrapped);
        drop(panic_guard);
        record_end(&scope.0.0, "evaluation", result.interrupted.as_ref(), result.error.as_deref());
        result
    }
}

/// The phase of all tests in the footprint.
const EVALUATION_PHASE: &str = "evaluation";

/// The run, usage and devices of an evaluation, shared by its loaders.
#[derive(Clone)]
struct EvaluationScope(Arc<(RunHandle, SplitUsage, Vec<Device>)>);

impl EvaluationScope {
    fn wrap<O: 'static>(&self, loader: Arc<dyn DataLoader<O>>) -> Arc<dyn DataLoader<O>> {
        Arc::new(EvaluationLoader { loader, scope: self.clone() })
    }
}

struct EvaluationLoader<O> {
    loader: Arc<dyn DataLoader<O>>,
    scope: EvaluationScope,
}

impl<O: 'static> DataLoader<O> for EvaluationLoader<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        Box::new(EvaluationIterator { batches: self.loader.iter(), scope: self.scope.clone(), phase: None })
    }

    fn num_items(&self) -> usize {
        self.loader.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        self.scope.wrap(self.loader.to_device(device))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        self.scope.wrap(self.loader.slice(start, end))
    }
}

struct EvaluationIterator<'a, O> {
    batches: Box<dyn DataLoaderIterator<O> + 'a>,
    scope: EvaluationScope,
    /// Open from the first batch on.
    phase: Option<Phase>,
}

impl<O> Iterator for EvaluationIterator<'_, O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Only at the first batch has Burn's worker certainly finished the previous test.
        if self.phase.is_none() {
            let (run, usage, devices) = &*self.scope.0;
            synchronize(devices);
            self.phase = Some(run.phase(EVALUATION_PHASE));
            usage.begin();
        }
        self.batches.next()
    }
}

impl<O> DataLoaderIterator<O> for EvaluationIterator<'_, O> {
    fn progress(&self) -> Progress {
        self.batches.progress()
    }
}

impl<O> Drop for EvaluationIterator<'_, O> {
    fn drop(&mut self) {
        let (_, usage, devices) = &*self.scope.0;
        if !std::thread::panicking() {
            synchronize(devices);
        }
        self.phase = None;
        usage.end();
    }
}
