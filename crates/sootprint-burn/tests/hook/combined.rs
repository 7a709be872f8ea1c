//! Tracking together with all other options of Burn's builder.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use burn::tensor::Device;
use burn::train::logger::MetricLogger;
use burn::train::metric::store::{Aggregate, Direction, EpochSummary, MetricsUpdate, Split};
use burn::train::metric::{IterationSpeedMetric, LossMetric, MetricDefinition, NumericEntry};
use burn::train::{Interrupter, MetricEarlyStoppingStrategy, StoppingCondition};
use sootprint::RunStatus;
use sootprint_burn::TrackEmissionsExt as _;

use super::fixture::*;
use super::renderers::ResettingDashboard;

/// A custom metric logger in place of Burn's files.
#[derive(Clone, Default)]
struct MetricNameRecorder(Arc<Mutex<BTreeSet<String>>>);

impl MetricLogger for MetricNameRecorder {
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
fn tracks_with_all_builder_options() {
    let dir = tempfile::tempdir().unwrap();
    let (run, batches) = scripted_run(dir.path());
    let (names, interrupter) = (MetricNameRecorder::default(), Interrupter::new());
    let early_stopping = MetricEarlyStoppingStrategy::new(
        &LossMetric::new(),
        Aggregate::Mean,
        Direction::Lowest,
        Split::Valid,
        StoppingCondition::NoImprovementSince { n_epochs: 9 },
    );
    // Burn 0.22.1 panics in the first step if only the builder enables gradient checkpointing, tracked or not.
    let device = Device::flex().autodiff().gradient_checkpointing();
    let result = training(dir.path(), &batches, 3, BoundaryMode::Loader)
        .metric_train(IterationSpeedMetric::new())
        .with_metric_logger(names.clone())
        .with_interrupter(interrupter.clone())
        .renderer(Box::new(ResettingDashboard(interrupter)))
        .early_stopping(early_stopping)
        .with_default_checkpointers()
        .with_checkpointing_strategy(SlowCheckpointing(batches.clone()))
        .grads_accumulation(2)
        .label("digits")
        .summary()
        .gradient_checkpointing()
        .track_emissions(&run)
        .launch(learner_on(&device));
    assert!(result.error.is_none() && result.interrupted.is_none());

    let footprint = run.finish();
    assert_eq!(footprint.run.outcome, RunStatus::Completed);
    assert_eq!(epoch_completion(&footprint), [(1, true), (2, true), (3, true)]);
    // The checkpoint belongs to the epoch, and in the script it draws as much as another epoch.
    assert_eq!(epoch_joules(&footprint), [2.0 * EPOCH_JOULES; 3]);
    for epoch in 1..=3 {
        assert!(dir.path().join(format!("checkpoint/model-{epoch}.bpk")).exists());
    }
    let named = names.0.lock().unwrap().clone();
    for name in ["Energy", "Power", "CO2e", "Loss", "Accuracy", "Iteration Speed"] {
        assert!(named.contains(name), "{name} in {named:?}");
    }
}
