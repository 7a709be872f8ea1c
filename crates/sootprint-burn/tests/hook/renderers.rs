//! Renderers that behave like Burn's terminal dashboard, without a terminal.

use std::error::Error;

use burn::train::logger::{EvaluationProgressLogger, TrainingProgressLogger};
use burn::train::metric::MetricDefinition;
use burn::train::renderer::{
    EvaluationName, MetricState, MetricsRenderer, MetricsRendererEvaluation, MetricsRendererTraining,
};
use burn::train::{Interrupter, LearnerSummary};

/// Resets the interrupter at the end of the training.
pub(crate) struct ResettingDashboard(pub(crate) Interrupter);

/// Panics at a progress update.
pub(crate) struct PanickingRenderer {
    pub(crate) updates: usize,
    pub(crate) panic_at: usize,
}

impl MetricsRendererTraining for ResettingDashboard {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}

    fn on_train_end(&mut self, _: Option<LearnerSummary>) -> Result<(), Box<dyn Error>> {
        self.0.reset();
        Ok(())
    }
}

impl MetricsRendererTraining for PanickingRenderer {
    fn update_train(&mut self, _: MetricState) {}
    fn update_valid(&mut self, _: MetricState) {}
}

/// Empty implementations of the remaining callbacks.
macro_rules! impl_renderer {
    ($renderer:ident, |$it:ident| $update:block) => {
        impl TrainingProgressLogger for $renderer {
            fn start(&mut self, _: usize, _: usize, _: Option<usize>, _: Option<&str>) {}
            fn update_epoch(&mut self, _: usize) {}
            fn start_split(&mut self, _: &str, _: usize) {}
            fn end_split(&mut self) {}
            fn end(&mut self) {}
            fn log_event_training(&mut self, _: String) {}

            fn update_split(&mut self, _: usize) {
                let $it = self;
                $update
            }
        }

        impl EvaluationProgressLogger for $renderer {
            fn start_global_progress(&mut self, _: usize) {}
            fn start_test(&mut self, _: &str, _: usize) {}
            fn update_test_progress(&mut self, _: usize) {}
            fn end_test(&mut self) {}
            fn end_global_progress(&mut self) {}
            fn log_event_evaluation(&mut self, _: String) {}
        }

        impl MetricsRendererEvaluation for $renderer {
            fn update_test(&mut self, _: EvaluationName, _: MetricState) {}
        }

        impl MetricsRenderer for $renderer {
            fn manual_close(&mut self) {}
            fn register_metric(&mut self, _: MetricDefinition) {}
        }
    };
}

impl_renderer!(ResettingDashboard, |_it| {});
impl_renderer!(PanickingRenderer, |it| {
    it.updates += 1;
    // Counts validation batches, too.
    assert_ne!(it.updates, it.panic_at, "Killing training from user input.");
});
