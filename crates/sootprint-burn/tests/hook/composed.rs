//! Beside everything else that Burn's builder takes.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use burn::train::logger::MetricLogger;
use burn::train::metric::store::{Aggregate, Direction, EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{IterationSpeedMetric, LossMetric, MetricDefinition, NumericEntry};
use burn::train::{Interrupter, MetricEarlyStoppingStrategy, StoppingCondition};
use sootprint::Outcome;
use sootprint_burn::MeasuredBy as _;

use super::digits::*;
use super::renderers::Dashboard;

/// A user's own logger of metrics, which takes the place of Burn's files.
#[derive(Clone, Default)]
struct Names(Arc<Mutex<BTreeSet<String>>>);

impl MetricLogger for Names {
    fn log(&mut self, _: MetricsUpdate, _: usize, _: &Split) {}

    fn read_numeric(&mut self, _: &str, _: usize, _: &Split) -> Result<Vec<NumericEntry>, String> {
        Ok(Vec::new())
    }

    fn log_metric_definition(&mut self, definition: MetricDefinition) {
        self.0.lock().unwrap().insert(definition.name.to_string());
    }

    fn log_epoch_summary(&mut self, _: EpochSummary) {}
}

#[test]
fn it_composes_with_all_that_the_builder_takes() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted(dir.path());
    let (names, interrupter) = (Names::default(), Interrupter::new());
    let stopping = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 9 },
    );
    // Burn 0.22.1 panics in its first step where the builder alone asks for gradient checkpointing, measured or not.
    let device = Device::flex().autodiff().gradient_checkpointing();
    let result = training(dir.path(), &batches, 3, Edges::Exact)
        .metric_train(IterationSpeedMetric::new())
        .with_metric_logger(names.clone())
        .with_interrupter(interrupter.clone())
        .renderer(Box::new(Dashboard(interrupter)))
        .early_stopping(stopping)
        .with_default_checkpointers()
        .with_checkpointing_strategy(Slowly(batches.clone()))
        .grads_accumulation(2)
        .label("digits")
        .summary()
        .gradient_checkpointing()
        .measured_by(&run)
        .launch(learner_on(&device));
    assert!(result.error.is_none() && result.interrupted.is_none());

    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, Outcome::Completed);
    assert_eq!(epochs(&footprint), [(1, true), (2, true), (3, true)]);
    // The checkpoint's seconds are the epoch's, and in the script they draw what another epoch does.
    assert_eq!(joules(&footprint), [2.0 * EPOCH_JOULES; 3]);
    for epoch in 1..=3 {
        assert!(dir.path().join(format!("checkpoint/model-{epoch}.bpk")).exists());
    }
    let named = names.0.lock().unwrap().clone();
    for name in ["Energy", "Power", "CO2e", "Loss", "Accuracy", "Iteration Speed"] {
        assert!(named.contains(name), "{name} in {named:?}");
    }
}
