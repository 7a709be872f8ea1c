//! The training type and base model of a run.

use serde::{Deserialize, Serialize};
use sootprint_core::TrainingType;

/// The training type and base model of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RunLabel {
    pub(crate) training_type: Option<TrainingType>,
    pub(crate) base_model: Option<String>,
}
