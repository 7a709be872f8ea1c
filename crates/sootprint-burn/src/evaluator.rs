//! The wrapper around an evaluator.

use std::sync::Arc;

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::module::Module as _;
use burn::tensor::Device;
use burn::train::{EvaluationResult, Evaluator, EvaluatorBuilder, EvaluatorComponentTypes, InferenceStep};
use sootprint::{Phase, Run, RunHandle};

use crate::devices::synchronize;
use crate::ends::{Witness, note_end};
use crate::metrics::{EmissionsMetric, EnergyMetric, PowerMetric};
use crate::span::Span;
use crate::training::{MeasuredBy, claim};

/// An evaluator's builder that a run measures: energy, power and CO2e of each test are among Burn's metrics.
#[must_use = "an evaluator does nothing until it is built and given data"]
pub struct MeasuredEvaluatorBuilder<E: EvaluatorComponentTypes> {
    builder: EvaluatorBuilder<E>,
    run: RunHandle,
    span: Span,
}

/// An evaluator that a run measures.
#[must_use = "an evaluator does nothing until it is given data"]
pub struct MeasuredEvaluator<E: EvaluatorComponentTypes> {
    evaluator: Evaluator<E>,
    run: RunHandle,
    span: Span,
    devices: Vec<Device>,
}

type TestLoader<E> = Arc<dyn DataLoader<<<E as EvaluatorComponentTypes>::Model as InferenceStep>::Input>>;

impl<E: EvaluatorComponentTypes> MeasuredBy for EvaluatorBuilder<E> {
    type Measured = MeasuredEvaluatorBuilder<E>;

    fn measured_by(self, run: &Run) -> Self::Measured {
        let run = run.handle();
        let span = Span::since(run.clone());
        let builder = self
            .metric_numeric(EnergyMetric::over(&span))
            .metric_numeric(PowerMetric::over(&span))
            .metric_numeric(EmissionsMetric::over(&span));
        MeasuredEvaluatorBuilder { builder, run, span }
    }
}

impl<E: EvaluatorComponentTypes> MeasuredEvaluatorBuilder<E> {
    /// Builds the evaluator of this model, whose devices count.
    pub fn build(self, model: E::Model) -> MeasuredEvaluator<E> {
        let Self { builder, run, span } = self;
        let devices = model.devices();
        claim(&run, &devices);
        MeasuredEvaluator { evaluator: builder.build(model), run, span, devices }
    }
}

impl<E: EvaluatorComponentTypes> MeasuredEvaluator<E>
where
    <E::Model as InferenceStep>::Input: 'static,
{
    /// Burn's [`Evaluator::eval`], measured from its first batch until the device has done its last.
    pub fn eval(self, name: impl std::fmt::Display, loader: TestLoader<E>) -> EvaluationResult {
        self.eval_all([(name, loader)])
    }

    /// Burn's [`Evaluator::eval_all`]: each test is measured for itself.
    ///
    /// A panic passes through, after the run was told of it.
    pub fn eval_all<N: std::fmt::Display>(
        self,
        tests: impl IntoIterator<Item = (N, TestLoader<E>)>,
    ) -> EvaluationResult {
        let Self { evaluator, run, span, devices } = self;
        let test = Test(Arc::new((run, span, devices)));
        let witness = Witness::new(&test.0.0);
        let wrapped = tests.into_iter().map(|(name, loader)| (name, test.wrap(loader)));
        let result = evaluator.eval_all(wrapped);
        drop(witness);
        note_end(&test.0.0, "evaluation", result.interrupted.as_ref(), result.error.as_deref());
        result
    }
}

/// What the footprint calls the time of all tests.
const PHASE: &str = "evaluation";

/// What is known of the test that is read.
#[derive(Clone)]
struct Test(Arc<(RunHandle, Span, Vec<Device>)>);

impl Test {
    fn wrap<O: 'static>(&self, loader: Arc<dyn DataLoader<O>>) -> Arc<dyn DataLoader<O>> {
        Arc::new(Loader { loader, test: self.clone() })
    }
}

struct Loader<O> {
    loader: Arc<dyn DataLoader<O>>,
    test: Test,
}

impl<O: 'static> DataLoader<O> for Loader<O> {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<O> + 'a> {
        Box::new(Reading { batches: self.loader.iter(), test: self.test.clone(), phase: None })
    }

    fn num_items(&self) -> usize {
        self.loader.num_items()
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<O>> {
        self.test.wrap(self.loader.to_device(device))
    }

    fn slice(&self, start: usize, end: usize) -> Arc<dyn DataLoader<O>> {
        self.test.wrap(self.loader.slice(start, end))
    }
}

struct Reading<'a, O> {
    batches: Box<dyn DataLoaderIterator<O> + 'a>,
    test: Test,
    /// From the first batch on.
    phase: Option<Phase>,
}

impl<O> Iterator for Reading<'_, O> {
    type Item = Result<O, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        // Burn's worker may be at the last batch of the test before until the first one is asked for.
        if self.phase.is_none() {
            let (run, span, devices) = &*self.test.0;
            synchronize(devices);
            self.phase = Some(run.phase(PHASE));
            span.begin();
        }
        self.batches.next()
    }
}

impl<O> DataLoaderIterator<O> for Reading<'_, O> {
    fn progress(&self) -> Progress {
        self.batches.progress()
    }
}

impl<O> Drop for Reading<'_, O> {
    fn drop(&mut self) {
        let (_, span, devices) = &*self.test.0;
        if !std::thread::panicking() {
            synchronize(devices);
        }
        self.phase = None;
        span.close();
    }
}
