//! How certain the components of a footprint are: the choice of the GPUs, and faults of the sensors.

use serde::{Deserialize, Serialize};

/// How the GPUs that the footprint counts were chosen among those of the machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuSelection {
    /// The evidence for the choice.
    pub method: GpuSelectionMethod,
    /// Whether the choice is certain. If it is not, the training may have used other GPUs, or fewer.
    pub certain: bool,
}

/// The evidence for the choice of GPUs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum GpuSelectionMethod {
    /// The training's framework named its devices.
    Framework,
    /// A process of the run used these GPUs, according to the driver or to the device files that the process had
    /// open.
    Processes,
    /// No process of the run used a GPU.
    NoneUsed,
    /// There is no evidence, so all visible GPUs are counted. If there are several, the low bound includes only the
    /// one that used the least energy.
    AllVisible,
}

/// A fault of a component's sensor that was found during the run. The variants are ordered from minor to severe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SensorFault {
    /// Readings were outside the range of power that the component can draw, and were not counted.
    ImplausibleReadings,
    /// The energy counter stopped or reported far less energy than the power readings. The power readings were used
    /// instead, if available.
    CounterFaulty,
}

impl SensorFault {
    /// Returns a short, human-readable description of the fault.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ImplausibleReadings => "implausible readings",
            Self::CounterFaulty => "faulty energy counter",
        }
    }
}
