//! Opens the sources of this machine, or records why one is unavailable.

use std::ffi::OsStr;
use std::path::Path;

use serde::Serialize;
use sootprint_core::Power;

use super::hwmon::Hwmon;
use super::nvml::{Nvml, NvmlError};
use super::power_model::PowerModel;
use super::powercap::{Powercap, RaplUnavailable};
use super::{ComponentInfo, ComponentKind, EnergySource, MeasurementMethod};
use crate::gpu::{CudaVisibility, GpuInfo, RocmDevices};
use crate::job_limits::JobLimits;

/// The components that one source of this machine can read.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct SourceStatus {
    /// The source: `NVML`, `hwmon`, `RAPL` or `model`.
    pub source: &'static str,
    /// The name and the method of each component.
    pub components: Vec<(String, MeasurementMethod)>,
    /// The GPUs among the components, each with its power limit if the driver reports one.
    pub gpus: Vec<(GpuInfo, Option<Power>)>,
    /// The components that it cannot read, why, and how to fix that.
    pub gaps: Vec<String>,
}

/// Reports which components can be measured on this machine, which cannot, and how to fix that.
///
/// Uses the NVML library at `SOOTPRINT_NVML` if the variable is set, otherwise the system's. Opening it may take a
/// second.
#[must_use]
pub fn probe_sources() -> Vec<SourceStatus> {
    let nvml = std::env::var_os("SOOTPRINT_NVML").filter(|path| !path.is_empty());
    open_system_sources(nvml.as_deref()).into_iter().map(SourceProbe::into_status).collect()
}

/// Opens GPUs through NVML and hwmon, CPU and memory through RAPL, and the model for components that no source
/// measures.
pub(crate) fn open_system_sources(nvml: Option<&OsStr>) -> Vec<SourceProbe> {
    let (nvml_probe, included) = nvml_source(nvml);
    let mut probes = vec![nvml_probe];
    probes.extend(kernel_sources(Path::new("/proc"), Path::new("/sys"), included));
    probes
}

/// A source, or the reason why there is none.
pub(crate) struct SourceProbe {
    name: &'static str,
    pub(crate) source: Option<Box<dyn EnergySource>>,
    reason: Option<String>,
    /// Whether its absence is worth a warning. It is not on a machine without such hardware.
    is_warning: bool,
}

impl SourceProbe {
    /// The warning for a footprint if the source is unavailable.
    pub(crate) fn warning(&self) -> Option<String> {
        self.reason.clone().filter(|_| self.is_warning)
    }

    fn available(name: &'static str, source: impl EnergySource + 'static) -> Self {
        Self { name, source: Some(Box::new(source)), reason: None, is_warning: false }
    }

    fn unavailable(name: &'static str, reason: impl ToString) -> Self {
        Self { name, source: None, reason: Some(reason.to_string()), is_warning: true }
    }

    /// The reason only appears in [`probe_sources`], not as a warning.
    fn not_present(name: &'static str, reason: impl ToString) -> Self {
        Self { is_warning: false, ..Self::unavailable(name, reason) }
    }

    fn component_kinds(&self) -> Vec<ComponentKind> {
        let components = self.source.as_ref().map_or_else(Vec::new, |source| source.components());
        components.into_iter().map(|component| component.kind).collect()
    }

    fn into_status(self) -> SourceStatus {
        let read = self.source.as_ref().map_or_else(Vec::new, |source| source.components());
        let mut gaps = self.source.as_ref().map_or_else(Vec::new, |source| source.gaps());
        gaps.extend(self.reason);
        let gpu_with_limit = |it: &ComponentInfo| it.gpu.clone().map(|gpu| (gpu, it.limit));
        let gpus = read.iter().filter_map(gpu_with_limit).collect();
        let components = read.into_iter().map(|component| (component.name, component.method)).collect();
        SourceStatus { source: self.name, components, gpus, gaps }
    }
}

/// The NVIDIA GPUs, and the other components that their readings include.
fn nvml_source(nvml: Option<&OsStr>) -> (SourceProbe, &'static [ComponentKind]) {
    let name = "NVML";
    match Nvml::open(nvml, &CudaVisibility::from_environment()) {
        Ok(source) => {
            let included = source.included_components();
            (SourceProbe::available(name, source), included)
        }
        Err(error) => {
            // A machine without an NVIDIA driver needs no warning, unless a library was configured.
            let has_driver = nvml.is_some() || Path::new("/proc/driver/nvidia").exists();
            let is_warning = has_driver || !matches!(error, NvmlError::NoLibrary { .. });
            (SourceProbe { is_warning, ..SourceProbe::unavailable(name, error) }, &[])
        }
    }
}

/// The sources in `/proc` and `/sys`: measured components first, then a model of the others. Components in
/// `included` are part of the GPU readings and are not opened.
fn kernel_sources(proc: &Path, sys: &Path, included: &[ComponentKind]) -> Vec<SourceProbe> {
    if !cfg!(target_os = "linux") {
        return vec![SourceProbe::unavailable(
            "model",
            "CPU and memory are unknown: only supported on Linux",
        )];
    }
    let cgroup = sys.join("fs/cgroup");
    let Some(limits) = JobLimits::detect(proc, &cgroup) else {
        let reason = "CPU and memory are unknown: cannot read /proc/stat or /proc/meminfo";
        return vec![SourceProbe::unavailable("model", reason)];
    };
    let rocm = RocmDevices::from_environment(&sys.join("class/kfd/kfd/topology/nodes"));
    let hwmon = Hwmon::open(&sys.join("class/hwmon"), &rocm);
    // If a GPU reading includes the CPU, the CPU must not be counted again.
    let mut measured = included.to_vec();
    measured.extend(hwmon.includes_cpu().then_some(ComponentKind::Cpu));
    let cpuinfo = std::fs::read_to_string(proc.join("cpuinfo")).unwrap_or_default();
    let rapl = Powercap::open(&sys.join("class/powercap"), &cpuinfo, limits.cpu_share(), &measured);
    let rapl = rapl_source(rapl);
    measured.extend(rapl.component_kinds());
    let model = model_source(PowerModel::open(proc.to_owned(), &cgroup, &measured));
    vec![hwmon_source(hwmon), rapl, model]
}

fn hwmon_source(hwmon: Hwmon) -> SourceProbe {
    let name = "hwmon";
    let integrated = hwmon.integrated_gpus().join("; ");
    if hwmon.components().is_empty() && hwmon.gaps().is_empty() {
        let none = "no AMD or Intel GPU with its own sensor".to_owned();
        return SourceProbe::not_present(name, if integrated.is_empty() { none } else { integrated });
    }
    SourceProbe {
        reason: Some(integrated).filter(|reason| !reason.is_empty()),
        ..SourceProbe::available(name, hwmon)
    }
}

fn rapl_source(powercap: Result<Powercap, RaplUnavailable>) -> SourceProbe {
    let name = "RAPL";
    match powercap {
        // Nothing is open and nothing failed, so all components were excluded.
        Ok(source) if source.components().is_empty() && source.gaps().is_empty() => {
            SourceProbe::not_present(name, "not needed: the GPU readings include the CPU")
        }
        Ok(source) => SourceProbe::available(name, source),
        Err(not_present @ RaplUnavailable::Absent { .. }) => SourceProbe::not_present(name, not_present),
        Err(hidden) => SourceProbe::unavailable(name, hidden),
    }
}

fn model_source(model: Option<PowerModel>) -> SourceProbe {
    let name = "model";
    let unknown = "CPU and memory cannot be modelled: no CPU limits found in /proc or cgroups";
    match model {
        Some(model) if model.components().is_empty() => {
            SourceProbe::not_present(name, "not needed: CPU and memory are measured")
        }
        Some(model) => SourceProbe::available(name, model),
        None => SourceProbe::unavailable(name, unknown),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn missing_named_library_is_warned() {
        let named: std::ffi::OsString = "/nowhere/libnvidia-ml.so.1".into();
        let (probe, _) = nvml_source(Some(&named));
        assert!(probe.warning().is_some_and(|gap| gap.contains("/nowhere/libnvidia-ml.so.1")));
        assert!(probe.into_status().gaps[0].contains("SOOTPRINT_NVML"));
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod machines {
    use super::*;
    use crate::job_limits::fixture::HostFixture;

    const PACKAGE: &str = "sys/class/powercap/intel-rapl:0";

    /// For each component: the source, the kind and the method.
    fn component_methods(machine: &HostFixture) -> Vec<(&'static str, ComponentKind, MeasurementMethod)> {
        let probes = kernel_sources(&machine.proc_dir(), &machine.sys_dir(), &[]);
        let of = |probe: &SourceProbe| {
            let components = probe.source.as_ref().map_or_else(Vec::new, |source| source.components());
            let name = probe.name;
            components.into_iter().map(move |component| (name, component.kind, component.method))
        };
        probes.iter().flat_map(of).collect()
    }

    /// The warnings in a footprint on this machine.
    fn warnings(machine: &HostFixture) -> Vec<String> {
        let probes = kernel_sources(&machine.proc_dir(), &machine.sys_dir(), &[]);
        let of = |probe: &SourceProbe| {
            let source_gaps = probe.source.as_ref().map_or_else(Vec::new, |source| source.gaps());
            probe.warning().into_iter().chain(source_gaps)
        };
        probes.iter().flat_map(of).collect()
    }

    fn with_rapl_package(machine: HostFixture) -> HostFixture {
        machine
            .with_file(&format!("{PACKAGE}/name"), "package-0\n")
            .with_file(&format!("{PACKAGE}/energy_uj"), "5000000\n")
    }

    fn with_rapl_memory(machine: HostFixture) -> HostFixture {
        let zone = format!("{PACKAGE}:0");
        machine
            .with_file(&format!("{zone}/name"), "dram\n")
            .with_file(&format!("{zone}/energy_uj"), "1000000\n")
    }

    #[test]
    fn no_counters_falls_back_to_model() {
        let machine = HostFixture::new(4, 64);
        let modelled = [ComponentKind::Cpu, ComponentKind::Memory]
            .map(|kind| ("model", kind, MeasurementMethod::Modelled));
        assert_eq!(component_methods(&machine), modelled);
        assert_eq!(warnings(&machine), Vec::<String>::new());
    }

    #[test]
    fn model_fills_only_unmeasured_components() {
        let machine = with_rapl_package(HostFixture::new(4, 64));
        let cpu = ("RAPL", ComponentKind::Cpu, MeasurementMethod::Counter);
        assert_eq!(
            component_methods(&machine),
            [cpu, ("model", ComponentKind::Memory, MeasurementMethod::Modelled)]
        );
        let machine = with_rapl_memory(machine);
        assert_eq!(
            component_methods(&machine),
            [cpu, ("RAPL", ComponentKind::Memory, MeasurementMethod::Counter)]
        );
    }

    #[test]
    fn unreadable_counter_falls_back_to_model() {
        // A folder in place of the file cannot be read by root either.
        let machine = HostFixture::new(4, 64)
            .with_file(&format!("{PACKAGE}/name"), "package-0\n")
            .with_file(&format!("{PACKAGE}/energy_uj/folder"), "");
        let modelled = [ComponentKind::Cpu, ComponentKind::Memory]
            .map(|kind| ("model", kind, MeasurementMethod::Modelled));
        assert_eq!(component_methods(&machine), modelled);
        let [gap] = &warnings(&machine)[..] else { panic!("one gap") };
        assert!(gap.contains("intel-rapl:0/energy_uj") && gap.contains("modelled"), "{gap}");
    }

    #[test]
    fn cpu_share_scales_rapl_counter() {
        let machine = with_rapl_package(HostFixture::new(4, 64))
            .with_file("proc/self/cgroup", "0::/job\n")
            .with_file("sys/fs/cgroup/job/cpu.max", "100000 100000\n");
        let mut probes = kernel_sources(&machine.proc_dir(), &machine.sys_dir(), &[]);
        let rapl = probes.iter_mut().find(|probe| probe.name == "RAPL").unwrap();
        assert_eq!(rapl.source.as_ref().unwrap().components()[0].share.to_string(), "0.25");
    }

    #[test]
    fn components_included_in_gpu_are_skipped() {
        let machine = with_rapl_memory(with_rapl_package(HostFixture::new(4, 64)));
        let probes = kernel_sources(
            &machine.proc_dir(),
            &machine.sys_dir(),
            &[ComponentKind::Cpu, ComponentKind::Memory],
        );
        assert!(probes.iter().all(|probe| probe.component_kinds().is_empty()));
        let reasons: Vec<String> = probes.into_iter().flat_map(|probe| probe.into_status().gaps).collect();
        assert!(reasons.iter().any(|reason| reason.contains("include the CPU")), "{reasons:?}");
    }
}
