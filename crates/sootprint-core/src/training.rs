//! What a training is, and how it ended.

use serde::{Deserialize, Serialize};

/// Whether the model was trained from nothing or from another model.
///
/// Nothing can tell it from outside, so the user says it; the words are the Hub's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrainingType {
    /// From random weights.
    PreTraining,
    /// From the weights of a base model, whose own emissions are not included.
    FineTuning,
}

impl TrainingType {
    /// The word that the Hub's model cards use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PreTraining => "pre-training",
            Self::FineTuning => "fine-tuning",
        }
    }
}

/// How a run ended, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum RunStatus {
    /// All planned epochs, or a finish where none were planned.
    Completed,
    /// A finish with fewer epochs than planned.
    StoppedEarly,
    /// Somebody asked the training to stop.
    Interrupted,
    /// The training returned an error, or the run was dropped without a finish.
    Failed,
    /// The training panicked.
    Panicked,
    /// The process is gone and left no closing line.
    Killed,
    /// The process is still at it.
    Running,
}

impl RunStatus {
    /// The word that the footprint's JSON uses.
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
