//! What is uncertain about the components of a footprint.

use serde::{Deserialize, Serialize};

/// How the GPUs of a run were chosen among those of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuSelection {
    /// The evidence for the choice.
    pub method: GpuSelectionMethod,
    /// Whether the choice is certain. Otherwise another GPU may have trained, or fewer GPUs.
    pub certain: bool,
}

/// The evidence for the choice of GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GpuSelectionMethod {
    /// The training's framework named its devices.
    Framework,
    /// A process of the run used them, according to the driver or to its open device files.
    Processes,
    /// No process of the run used a GPU.
    NoneUsed,
    /// Nothing is known: all visible GPUs are counted. With several GPUs, the low bound contains only one of them.
    AllVisible,
}

/// A fault of a component's sensor that was found during the run, from minor to severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SensorFault {
    /// Readings were outside the range of power that the component can draw, and were not counted.
    ImplausibleReadings,
    /// The energy counter stopped or showed far less than the power readings, which were used instead if available.
    CounterFaulty,
}

impl SensorFault {
    /// The fault in words, for people.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImplausibleReadings => "implausible readings",
            Self::CounterFaulty => "faulty energy counter",
        }
    }
}
