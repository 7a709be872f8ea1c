//! The type of a training, and the outcome of a run.

use serde::{Deserialize, Serialize};

/// Whether a model is trained from random weights or from a base model.
///
/// This cannot be detected, so the user specifies it. The names are those of the Hugging Face Hub.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingType {
    /// Training from random weights.
    PreTraining,
    /// Training from the weights of a base model, whose own emissions are not included.
    FineTuning,
}

impl TrainingType {
    /// The value in `footprint.json` and in model cards on the Hub.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreTraining => "pre-training",
            Self::FineTuning => "fine-tuning",
        }
    }
}

/// How a run ended, or that it is still running. The order is from best to worst, with `Running` last. If several
/// statuses are reported, or those of several ranks are combined, the greatest one is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// The run finished. If the number of planned epochs was known, all of them were completed.
    Completed,
    /// The run finished after fewer epochs than planned, or a budget stopped it.
    StoppedEarly,
    /// The training was interrupted by a signal, or stopped on request through its framework.
    Interrupted,
    /// The training returned an error, or the run was dropped without `finish`.
    Failed,
    /// The training panicked.
    Panicked,
    /// The process ended without closing the run.
    Killed,
    /// The process is still running.
    Running,
}

impl RunStatus {
    /// The value in `footprint.json`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::StoppedEarly => "stopped_early",
            Self::Interrupted => "interrupted",
            Self::Failed => "failed",
            Self::Panicked => "panicked",
            Self::Killed => "killed",
            Self::Running => "running",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn training_type_names_match_json() {
        let types = [TrainingType::PreTraining, TrainingType::FineTuning];
        for training_type in types {
            assert_eq!(serde_json::to_value(training_type).unwrap(), training_type.as_str());
        }
        assert_ne!(types[0].as_str(), types[1].as_str());
    }

    #[test]
    fn status_names_match_json() {
        let statuses = [
            RunStatus::Completed,
            RunStatus::StoppedEarly,
            RunStatus::Interrupted,
            RunStatus::Failed,
            RunStatus::Panicked,
            RunStatus::Killed,
            RunStatus::Running,
        ];
        for status in statuses {
            assert_eq!(serde_json::to_value(status).unwrap(), status.as_str());
        }
        assert_eq!(statuses.map(RunStatus::as_str).into_iter().collect::<BTreeSet<_>>().len(), 7);
    }
}
