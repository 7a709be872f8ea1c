//! A source that was opened, or the reason why there is none.

use serde::Serialize;
use sootprint_core::{ComponentKind, MeasurementMethod, Power};

use super::{ComponentInfo, EnergySource};
use crate::gpu::GpuInfo;

/// The components that one source of this machine can read, and those that it cannot.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SourceStatus {
    /// The name of the source: `NVML`, `hwmon`, `RAPL` or `model`; `GPU` if the thread that reads GPUs cannot
    /// be started.
    pub source: &'static str,
    /// The name and the method of each component.
    pub components: Vec<(String, MeasurementMethod)>,
    /// The GPUs among the components, each with its power limit if the driver reports one.
    pub gpus: Vec<(GpuInfo, Option<Power>)>,
    /// Messages about components that the source does not read or whose readings are in doubt, with the reason and,
    /// where possible, the fix.
    pub gaps: Vec<String>,
}

/// A source, or the reason why there is none.
pub(crate) struct SourceProbe {
    pub(super) name: &'static str,
    pub(crate) source: Option<Box<dyn EnergySource>>,
    pub(super) reason: Option<String>,
    /// Whether the reason is reported as a warning. It is not on a machine without such hardware.
    pub(super) is_warning: bool,
}

impl SourceProbe {
    /// Returns the warning for the footprint if the source is unavailable.
    pub(crate) fn warning(&self) -> Option<String> {
        self.reason.clone().filter(|_| self.is_warning)
    }

    pub(super) fn available(name: &'static str, source: impl EnergySource + 'static) -> Self {
        Self { name, source: Some(Box::new(source)), reason: None, is_warning: false }
    }

    pub(super) fn unavailable(name: &'static str, reason: impl ToString) -> Self {
        Self { name, source: None, reason: Some(reason.to_string()), is_warning: true }
    }

    /// Creates the probe of a source that this machine does not have or need. The reason only appears in
    /// [`probe_sources`](super::probe_sources), not as a warning.
    pub(super) fn not_present(name: &'static str, reason: impl ToString) -> Self {
        Self { is_warning: false, ..Self::unavailable(name, reason) }
    }

    pub(super) fn component_kinds(&self) -> Vec<ComponentKind> {
        let components = self.source.as_ref().map_or_else(Vec::new, |source| source.components());
        components.into_iter().map(|component| component.kind).collect()
    }

    pub(super) fn into_status(self) -> SourceStatus {
        let read = self.source.as_ref().map_or_else(Vec::new, |source| source.components());
        let mut gaps = self.source.as_ref().map_or_else(Vec::new, |source| source.gaps());
        gaps.extend(self.reason);
        let gpu_with_limit = |it: &ComponentInfo| it.gpu.clone().map(|gpu| (gpu, it.limit));
        let gpus = read.iter().filter_map(gpu_with_limit).collect();
        let components = read.into_iter().map(|component| (component.name, component.method)).collect();
        SourceStatus { source: self.name, components, gpus, gaps }
    }
}
