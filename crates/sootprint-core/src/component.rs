//! The components of a machine whose energy is counted, and how it is measured.

use serde::{Deserialize, Serialize};

/// A kind of hardware component. The energy of all components adds up to `total_j` in `footprint.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ComponentKind {
    /// A GPU or another accelerator.
    Gpu,
    /// The CPU packages.
    Cpu,
    /// The main memory.
    Memory,
}

/// How the energy of a component was obtained. The variants are in descending order of accuracy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MeasurementMethod {
    /// Read from the energy counter of the hardware.
    Counter,
    /// Integrated from power readings.
    Integrated,
    /// Computed from a model of the hardware, without a measurement.
    Modelled,
}

impl ComponentKind {
    /// The display name.
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
    /// The value in `footprint.json` and in the model card.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Integrated => "integrated",
            Self::Modelled => "modelled",
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn component_names_differ() {
        let kinds = [ComponentKind::Gpu, ComponentKind::Cpu, ComponentKind::Memory];
        assert_eq!(kinds.map(ComponentKind::name).into_iter().collect::<BTreeSet<_>>().len(), 3);
    }

    #[test]
    fn method_names_match_json() {
        let methods =
            [MeasurementMethod::Counter, MeasurementMethod::Integrated, MeasurementMethod::Modelled];
        for method in methods {
            assert_eq!(serde_json::to_value(method).unwrap(), method.as_str());
        }
        assert_eq!(methods.map(MeasurementMethod::as_str).into_iter().collect::<BTreeSet<_>>().len(), 3);
    }
}
