//! The sources of this machine: which there are, and why another is not.

use std::ffi::OsStr;
use std::path::Path;

use serde::Serialize;

use super::model::Model;
use super::nvml::{Nvml, NvmlError};
use super::{Method, Source};
use crate::boards::Visibility;

/// What a source of this machine can read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SourceReport {
    /// The source: `NVML` or `model`.
    pub source: &'static str,
    /// The name of each component that it reads, and how.
    pub components: Vec<(String, Method)>,
    /// What it cannot read, why, and what mends it.
    pub gaps: Vec<String>,
}

/// What can be measured on this machine, what not, and what would mend that.
///
/// The NVML library is the system's unless `SOOTPRINT_NVML` names one. Opening it may take the driver a second.
#[must_use]
pub fn sources() -> Vec<SourceReport> {
    let nvml = std::env::var_os("SOOTPRINT_NVML").filter(|path| !path.is_empty());
    open_system(nvml.as_deref()).into_iter().map(Attempt::report).collect()
}

/// A source, or why there is none.
pub(crate) struct Attempt {
    name: &'static str,
    pub(crate) source: Option<Box<dyn Source>>,
    reason: Option<String>,
    /// Whether its absence is something to hear of, rather than a machine without such hardware.
    is_missed: bool,
}

impl Attempt {
    /// What a reader of a footprint should hear of a source that is absent.
    pub(crate) fn gap(&self) -> Option<String> {
        self.reason.clone().filter(|_| self.is_missed)
    }

    fn report(self) -> SourceReport {
        let read = self.source.as_ref().map_or_else(Vec::new, |source| source.components());
        let mut gaps = self.source.as_ref().map_or_else(Vec::new, |source| source.gaps());
        gaps.extend(self.reason);
        let components = read.into_iter().map(|component| (component.name, component.method)).collect();
        SourceReport { source: self.name, components, gaps }
    }
}

/// Boards through NVML, then the model for what no source of this machine measures.
pub(crate) fn open_system(nvml: Option<&OsStr>) -> Vec<Attempt> {
    vec![boards(nvml), model()]
}

fn boards(nvml: Option<&OsStr>) -> Attempt {
    let name = "NVML";
    match Nvml::open(nvml, &Visibility::from_environment()) {
        Ok(boards) => Attempt { name, source: Some(Box::new(boards)), reason: None, is_missed: false },
        Err(error) => {
            // A machine without NVIDIA's driver needs no word about its boards, unless it was told of a library.
            let has_driver = nvml.is_some() || Path::new("/proc/driver/nvidia").exists();
            let is_missed = has_driver || !matches!(error, NvmlError::NoLibrary { .. });
            Attempt { name, source: None, reason: Some(error.to_string()), is_missed }
        }
    }
}

fn model() -> Attempt {
    let name = "model";
    let absent =
        |reason: &str| Attempt { name, source: None, reason: Some(reason.to_owned()), is_missed: true };
    if !cfg!(target_os = "linux") {
        return absent("processor and memory are unknown: they are modelled on Linux only");
    }
    match Model::open("/proc".into(), "/sys/fs/cgroup".into()) {
        Some(model) => Attempt { name, source: Some(Box::new(model)), reason: None, is_missed: false },
        None => absent("processor and memory are unknown: /proc/stat or /proc/meminfo cannot be read"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absent_library_is_told_to_who_asks_and_missed_only_where_it_was_named() {
        let named: std::ffi::OsString = "/nowhere/libnvidia-ml.so.1".into();
        let attempt = boards(Some(&named));
        assert!(attempt.gap().is_some_and(|gap| gap.contains("/nowhere/libnvidia-ml.so.1")));
        assert!(attempt.report().gaps[0].contains("SOOTPRINT_NVML"));
    }

    #[test]
    fn linux_has_its_model() {
        if cfg!(target_os = "linux") {
            let report = model().report();
            assert_eq!(report.components.len(), 2);
            assert!(report.components.iter().all(|(_, method)| *method == Method::Modelled));
        }
    }
}
