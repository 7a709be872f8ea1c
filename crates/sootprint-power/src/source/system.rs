//! Opens the sources of this machine, or records why one is unavailable.

use std::ffi::OsString;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use super::driver_thread::OpeningDriver;
use super::hwmon::Hwmon;
use super::nvml::{Nvml, NvmlError};
use super::nvml_helper::{NvmlHelper, NvmlHelperCommand};
use super::power_model::PowerModel;
use super::powercap::{Powercap, RaplUnavailable};
use super::source_probe::{SourceProbe, SourceStatus};
use super::{EnergySource, sleeping_gpus};
use crate::clock::SamplerClock;
use crate::gpu::{CudaVisibility, RocmDevices};
use crate::job_limits::JobLimits;

/// Reports which components can be measured on this machine, which cannot, and how to fix that.
///
/// Uses the NVML library at `SOOTPRINT_NVML` if the variable is set, otherwise the system's. Loading the
/// library may take a second; a driver that does not answer is reported after ten seconds.
#[must_use]
pub fn probe_sources() -> Vec<SourceStatus> {
    open_all_sources(SamplerClock::System(Instant::now())).into_iter().map(SourceProbe::into_status).collect()
}

/// Opens all sources and waits up to [`DRIVER_TIMEOUT`] for each driver.
pub(super) fn open_all_sources(clock: SamplerClock) -> Vec<SourceProbe> {
    let library = std::env::var_os("SOOTPRINT_NVML").filter(|path| !path.is_empty());
    let nvml = NvmlConfig { library, helper: None };
    let SystemSources { mut probes, opening } = SystemSources::open(&nvml, clock, DRIVER_TIMEOUT);
    probes.extend(
        opening.into_iter().map(|driver| SourceProbe::unavailable(driver.name(), driver.pending_reason())),
    );
    probes
}

/// How long to wait for a driver if nothing else is waiting.
const DRIVER_TIMEOUT: Duration = Duration::from_secs(10);

/// How often suspended GPUs are checked.
const WAKE_CHECK_INTERVAL: Duration = Duration::from_secs(1);

/// How NVIDIA GPUs are read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NvmlConfig {
    /// The path of the NVML library. `None` for the system's library.
    pub library: Option<OsString>,
    /// The command that starts the helper process that reads the GPUs. `library` is not passed to it: a library
    /// path must be among the arguments of the command. `None` to read the GPUs in this process.
    pub helper: Option<NvmlHelperCommand>,
}

/// The sources of this machine.
pub(crate) struct SystemSources {
    pub(crate) probes: Vec<SourceProbe>,
    /// Drivers that have not answered in time.
    pub(crate) opening: Vec<OpeningDriver>,
}

impl SystemSources {
    /// Opens GPUs through NVML and hwmon, CPU and memory through RAPL, and the model for components that no
    /// source measures. Waits for the drivers of GPUs, which run on their own threads, for at most `timeout`
    /// in total.
    pub(crate) fn open(nvml: &NvmlConfig, clock: SamplerClock, timeout: Duration) -> Self {
        let deadline = Instant::now() + timeout;
        let (nvml, sys) = (nvml.clone(), Path::new("/sys"));
        // A library that the user names is opened even if all GPUs are suspended.
        let are_asleep = nvml.library.is_none() && sleeping_gpus::are_all_asleep(sys);
        let asleep = are_asleep.then_some("the NVIDIA GPUs are suspended; they are measured once they wake");
        let nvml_driver = OpeningDriver::start("NVML", clock.clone(), move || {
            while are_asleep && sleeping_gpus::are_all_asleep(sys) {
                thread::sleep(WAKE_CHECK_INTERVAL);
            }
            nvml_source(&nvml)
        });
        let mut drivers = vec![nvml_driver.map(|driver| driver.with_reason(asleep))];
        if cfg!(target_os = "linux") {
            let open = || hwmon_source(Path::new("/sys"));
            drivers.push(OpeningDriver::start("hwmon", clock, open));
        }
        let mut kernel = kernel_sources(Path::new("/proc"), Path::new("/sys"));
        let mut sources = Self { probes: Vec::new(), opening: Vec::new() };
        for driver in drivers {
            match driver {
                Ok(driver) => match driver.finish(deadline.saturating_duration_since(Instant::now())) {
                    Ok(probe) => sources.probes.push(probe),
                    Err(driver) => sources.opening.push(driver),
                },
                Err(error) => sources.probes.push(SourceProbe::unavailable(
                    "GPU",
                    format!("GPUs are not measured: cannot start a thread: {error}"),
                )),
            }
        }
        sources.probes.append(&mut kernel);
        sources
    }
}

/// Opens the NVIDIA GPUs.
fn nvml_source(nvml: &NvmlConfig) -> SourceProbe {
    let name = "NVML";
    let opened = match &nvml.helper {
        Some(helper) => NvmlHelper::open(helper).map(|source| SourceProbe::available(name, source)),
        None => Nvml::open(nvml.library.as_deref(), &CudaVisibility::from_environment())
            .map(|source| SourceProbe::available(name, source)),
    };
    match opened {
        Ok(probe) => probe,
        Err(error) => {
            // A machine without an NVIDIA driver needs no warning, unless a library was configured.
            let has_driver = nvml.library.is_some() || Path::new("/proc/driver/nvidia").exists();
            let is_warning = has_driver || !matches!(error, NvmlError::NoLibrary { .. });
            SourceProbe { is_warning, ..SourceProbe::unavailable(name, error) }
        }
    }
}

/// Opens the AMD and Intel GPUs.
fn hwmon_source(sys: &Path) -> SourceProbe {
    let name = "hwmon";
    let rocm = RocmDevices::from_environment(&sys.join("class/kfd/kfd/topology/nodes"));
    let hwmon = Hwmon::open(&sys.join("class/hwmon"), &rocm);
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

/// Opens CPU and memory: the measured components first, then a model of the others.
fn kernel_sources(proc: &Path, sys: &Path) -> Vec<SourceProbe> {
    if !cfg!(target_os = "linux") {
        return vec![SourceProbe::unavailable(
            "model",
            "CPU and memory are not counted: only supported on Linux",
        )];
    }
    let cgroup = sys.join("fs/cgroup");
    let Some(limits) = JobLimits::detect(proc, &cgroup) else {
        let reason = "CPU and memory are not counted: cannot read /proc/stat or /proc/meminfo";
        return vec![SourceProbe::unavailable("model", reason)];
    };
    let cpuinfo = std::fs::read_to_string(proc.join("cpuinfo")).unwrap_or_default();
    let rapl = rapl_source(Powercap::open(&sys.join("class/powercap"), &cpuinfo, limits.cpu_share()));
    let model = model_source(PowerModel::open(proc.to_owned(), &cgroup, &rapl.component_kinds()));
    vec![rapl, model]
}

fn rapl_source(powercap: Result<Powercap, RaplUnavailable>) -> SourceProbe {
    let name = "RAPL";
    match powercap {
        Ok(source) => SourceProbe::available(name, source),
        Err(not_present @ RaplUnavailable::Absent { .. }) => SourceProbe::not_present(name, not_present),
        Err(hidden) => SourceProbe::unavailable(name, hidden),
    }
}

fn model_source(model: Option<PowerModel>) -> SourceProbe {
    let name = "model";
    let unknown =
        "cannot model CPU and memory: no CPU list or memory size in /proc (only available on Linux)";
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
        let probe = nvml_source(&NvmlConfig { library: Some(named), helper: None });
        assert!(probe.warning().is_some_and(|gap| gap.contains("/nowhere/libnvidia-ml.so.1")));
        assert!(probe.into_status().gaps[0].contains("SOOTPRINT_NVML"));
    }
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod machines {
    use sootprint_core::{ComponentKind, MeasurementMethod};

    use super::*;
    use crate::job_limits::fixture::HostFixture;

    const PACKAGE: &str = "sys/class/powercap/intel-rapl:0";

    /// For each component: the source, the kind and the method.
    fn component_methods(machine: &HostFixture) -> Vec<(&'static str, ComponentKind, MeasurementMethod)> {
        let probes = kernel_sources(&machine.proc_dir(), &machine.sys_dir());
        let of = |probe: &SourceProbe| {
            let components = probe.source.as_ref().map_or_else(Vec::new, |source| source.components());
            let name = probe.name;
            components.into_iter().map(move |component| (name, component.kind, component.method))
        };
        probes.iter().flat_map(of).collect()
    }

    /// The warnings in a footprint on this machine.
    fn warnings(machine: &HostFixture) -> Vec<String> {
        let probes = kernel_sources(&machine.proc_dir(), &machine.sys_dir());
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
        let mut probes = kernel_sources(&machine.proc_dir(), &machine.sys_dir());
        let rapl = probes.iter_mut().find(|probe| probe.name == "RAPL").unwrap();
        assert_eq!(rapl.source.as_ref().unwrap().components()[0].share.to_string(), "0.25");
    }
}
