//! A renderer that prints one line per epoch. Without a dashboard, Burn's own renderer prints one line per batch.

#![allow(clippy::print_stdout, reason = "examples print their results")]

use std::collections::HashMap;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::{MetricDefinition, MetricId, NumericEntry};
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};

/// Prints loss, accuracy, energy and CO2e at the end of each epoch.
#[derive(Default)]
pub struct EpochLineRenderer {
    names: HashMap<MetricId, String>,
    train: HashMap<String, f64>,
    valid: HashMap<String, f64>,
}

impl EpochLineRenderer {
    /// The name and value of a metric if the value is final for its split.
    fn final_metric(&self, state: MetricState) -> Option<(String, f64)> {
        match state {
            MetricState::Numeric(entry, Some(NumericEntry::Final(value))) if value.is_finite() => {
                Some((self.names.get(&entry.metric_id)?.clone(), value))
            }
            _ => None,
        }
    }
}

impl MetricsRendererTraining for EpochLineRenderer {
    fn update_train(&mut self, state: MetricState) {
        let metric = self.final_metric(state);
        self.train.extend(metric);
    }

    fn update_valid(&mut self, state: MetricState) {
        let metric = self.final_metric(state);
        self.valid.extend(metric);
    }
}

impl TrainingProgressLogger for EpochLineRenderer {
    fn start(&mut self, total_epochs: usize, _: usize, _: Option<usize>, _: Option<&str>) {
        println!("Training {total_epochs} epochs.");
    }

    fn update_epoch(&mut self, epoch: usize) {
        let value = |split: &HashMap<String, f64>, name: &str| split.get(name).copied();
        let both = |name| Some(1e3 * (value(&self.train, name)? + value(&self.valid, name)?));
        println!(
            "epoch {epoch:>2}  loss {}  validation accuracy {} %  {} mWh  {} mg CO2e",
            format_value(value(&self.train, "Loss"), 6, 4),
            format_value(value(&self.valid, "Accuracy"), 5, 1),
            format_value(both("Energy"), 7, 2),
            format_value(both("CO2e"), 8, 4),
        );
    }

    fn start_split(&mut self, _: &str, _: usize) {}
    fn update_split(&mut self, _: usize) {}
    fn end_split(&mut self) {}
    fn end(&mut self) {}
    fn log_event_training(&mut self, _: String) {}
}

/// Formats a value, or question marks if it is unknown.
fn format_value(value: Option<f64>, width: usize, decimals: usize) -> String {
    value.map_or_else(|| "?".repeat(width), |value| format!("{value:>width$.decimals$}"))
}

impl MetricsRenderer for EpochLineRenderer {
    fn manual_close(&mut self) {}

    fn register_metric(&mut self, definition: MetricDefinition) {
        self.names.insert(definition.metric_id, definition.name.to_string());
    }
}

// Required by `MetricsRenderer`; the examples use no evaluator.

impl MetricsRendererEvaluation for EpochLineRenderer {
    fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
}

impl EvaluationProgressLogger for EpochLineRenderer {
    fn start_global_progress(&mut self, _: usize) {}
    fn start_test(&mut self, _: &str, _: usize) {}
    fn update_test_progress(&mut self, _: usize) {}
    fn end_test(&mut self) {}
    fn end_global_progress(&mut self) {}
    fn log_event_evaluation(&mut self, _: String) {}
}
