//! The parts of a machine whose energy is counted, and how it is found.

use serde::{Deserialize, Serialize};

/// The kinds of component that `total_j` is the sum of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ComponentKind {
    /// A graphics board or another accelerator.
    Gpu,
    /// The processor packages.
    Cpu,
    /// The main memory.
    Memory,
}

/// How a component's energy was found, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MeasurementMethod {
    /// The hardware's own energy counter.
    Counter,
    /// Power readings, integrated over time.
    Integrated,
    /// A model of the hardware; nothing was measured.
    Modelled,
}

impl ComponentKind {
    /// The name for people.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Gpu => "GPU",
            Self::Cpu => "CPU",
            Self::Memory => "memory",
        }
    }
}

impl MeasurementMethod {
    /// The word that the footprint's JSON and the card use.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Integrated => "integrated",
            Self::Modelled => "modelled",
        }
    }
}
