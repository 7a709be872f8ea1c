//! NVIDIA GPUs through NVML: the energy counter, or power readings if there is no counter.
//!
//! <https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html>
//!
//! # When it is wrong
//! - NVML reports power and energy for whole GPUs only. A MIG slice is charged the GPU's energy in proportion to
//!   its compute slices. This includes the work of others on the GPU, so the bounds are zero and the energy of the
//!   whole GPU.
//! - Drivers before 530 report the power of Ampere and later GPUs only as the mean of the last second. Next to a
//!   counter, that mean is used as the current power: if the power changes abruptly at a boundary, up to one tick
//!   of the change is attributed to the wrong epoch, and the bounds do not cover all of it.
//! - The counter of a GH200 covers the superchip with its CPU and memory, which are not counted if this GPU
//!   is. Its power readings cover the GPU alone. This was found by Zeus on such a machine
//!   (<https://github.com/ml-energy/zeus/pull/172>). For GB200 and GB300 the scope of the counter is not
//!   documented.

mod devices;
mod library;
mod query;

use std::ffi::OsStr;
use std::time::Duration;

use nvml_wrapper::Device;
use sootprint_core::Power;

use super::{
    ComponentInfo, ComponentKind, EnergySource, MeasurementMethod, ReadCadence, ReadError, SensorReading,
    SensorTolerance, plausible_power,
};
use crate::gpu::{CudaVisibility, GpuInfo};
use devices::{DetectedGpu, GpuList, MigSlice};
use library::{load_library, no_driver_error};
use query::{MEAN_POWER_WINDOW, NvmlQuery};

pub use library::NvmlError;

/// NVIDIA specifies an accuracy of 5 % for its power sensors. The counter is their integral.
const SENSOR_ACCURACY: f64 = 0.05;

/// Shortest and longest interval between reads of a counter, and the interval as a multiple of the cost of a read, which
/// is 0.1 % of a core. A counter loses nothing between reads, except at a reset, where the power readings around it
/// are used.
const COUNTER_CADENCE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];
const COUNTER_COST_MULTIPLE: u32 = 1_000;

/// A read of the counter takes 4.5 ms of CPU time on an H100. From this cost on it is only read at boundaries and at
/// this interval: 0.015 % of a core.
const EXPENSIVE_COUNTER: Duration = Duration::from_millis(1);
const EXPENSIVE_COUNTER_INTERVAL: Duration = Duration::from_secs(30);

/// Shortest and longest interval between power reads. Power changes within a training step. The interval depends on
/// [`POWER_COST_MULTIPLE`].
const POWER_CADENCE: [Duration; 2] = [Duration::from_millis(12), Duration::from_millis(100)];

/// Interval between power reads, as a multiple of the cost of one: under 1 % of a core in total.
const POWER_COST_MULTIPLE: u32 = 120;

/// More GPUs than any machine has, and more processes than any GPU. Faulty drivers report billions.
const MAX_GPUS: u32 = 256;
const MAX_PROCESSES: u32 = 65_536;

/// The superchip whose counter includes its CPU and memory.
const CPU_INCLUSIVE_MODEL: &str = "GH200";

/// Superchips for which the scope of the counter is not documented.
const UNDOCUMENTED_SUPERCHIPS: [&str; 2] = ["GB200", "GB300"];

/// The visible GPUs of one NVML library.
pub(crate) struct Nvml {
    gpus: Vec<NvmlGpu>,
    /// Their positions follow those of the other GPUs.
    unreadable: Vec<UnreadableGpu>,
    gaps: Vec<String>,
}

/// A GPU that exists and cannot be read: its energy is bounded by its power limit.
struct UnreadableGpu {
    component: ComponentInfo,
    reason: String,
}

struct NvmlGpu {
    device: Device<'static>,
    /// The MIG slice, if the component is not the whole GPU.
    mig_slice: Option<Device<'static>>,
    component: ComponentInfo,
    query: NvmlQuery,
}

impl Nvml {
    /// Opens the library at `path`, or the system's, and the GPUs that CUDA shows to this process.
    pub(crate) fn open(path: Option<&OsStr>, visibility: &CudaVisibility) -> Result<Self, NvmlError> {
        let library = load_library(path)?;
        let count = library.device_count().map_err(|error| no_driver_error(path, &error))?;
        let GpuList { devices: found, failures, mut gaps } =
            devices::list_devices(library, count.min(MAX_GPUS));
        if count > MAX_GPUS {
            gaps.push(format!("NVML reports {count} GPUs: only the first {MAX_GPUS} are measured"));
        }
        let gpus: Vec<GpuInfo> =
            found.iter().filter(|it| it.mig_slice.is_none()).map(|it| it.gpu.clone()).collect();
        let slices: Vec<(usize, String)> = found
            .iter()
            .filter_map(|it| Some((it.mig_slice.as_ref()?.gpu_index, it.gpu.uuid.clone())))
            .collect();
        let visible = visibility.visible_devices(&gpus, &slices);
        gaps.extend(visibility_warnings(visibility, &gpus, &slices, visible.is_empty()));

        let is_order_known = visibility.is_order_known(&gpus);
        let mut found: Vec<_> = found.into_iter().map(Some).collect();
        let (mut opened, mut unreadable) = (Vec::new(), Vec::new());
        // Which of them CUDA shows is unknown. If the user selects devices, those that can be identified are taken.
        if visibility.shows_all() {
            unreadable.extend(
                failures.into_iter().map(|(index, reason)| UnreadableGpu::unidentified(index, reason)),
            );
        }
        for device in visible {
            let Some(mut detected) = found[device.position].take() else { continue };
            detected.gpu.cuda = device.ordinal;
            detected.gpu.has_uncertain_order = !is_order_known;
            let name = format!("{} ({})", detected.gpu.model, detected.gpu.uuid);
            let gpu = detected.gpu.clone();
            match NvmlGpu::new(detected) {
                Ok(gpu) => opened.push(gpu),
                Err(reason) => {
                    gaps.push(format!("{name} is not measured: {reason}"));
                    // A GPU without a sensor is not a fault, and a bound for it would be far too high.
                    if reason != nvml_wrapper::error::NvmlError::NotSupported.to_string() {
                        unreadable.push(UnreadableGpu::new(gpu, reason));
                    }
                }
            }
        }
        Ok(Self { gpus: opened, unreadable, gaps })
    }
}

/// Warnings about uncertainty in the GPUs that CUDA shows.
fn visibility_warnings(
    visibility: &CudaVisibility,
    gpus: &[GpuInfo],
    slices: &[(usize, String)],
    is_empty: bool,
) -> Vec<String> {
    let mut gaps = Vec::new();
    let is_unknown = |name: &&str| !slices.iter().any(|(_, uuid)| uuid.starts_with(name));
    for slice in visibility.mig_entries().filter(is_unknown) {
        gaps.push(format!(
            "CUDA_VISIBLE_DEVICES names the MIG slice {slice}, which NVML does not list: its energy is not measured; \
             `nvidia-smi -L` lists the slices"
        ));
    }
    if !is_empty && !visibility.is_order_known(gpus) {
        gaps.push(
            "the GPU models differ and CUDA numbers the fastest first, so a device number may refer to a GPU other than the one measured; \
             set CUDA_DEVICE_ORDER=PCI_BUS_ID"
                .to_owned(),
        );
    }
    if !is_empty && !slices.is_empty() && visibility.mig_entries().next().is_none() {
        gaps.push(
            "a GPU has MIG slices and CUDA_VISIBLE_DEVICES names none: CUDA uses the first slice, which may differ \
             from NVML's first; add the slice's UUID from `nvidia-smi -L` to CUDA_VISIBLE_DEVICES"
                .to_owned(),
        );
    }
    gaps
}

impl EnergySource for Nvml {
    fn components(&self) -> Vec<ComponentInfo> {
        let unreadable = self.unreadable.iter().map(|gpu| &gpu.component);
        self.gpus.iter().map(|gpu| &gpu.component).chain(unreadable).cloned().collect()
    }

    fn cadence(&self, index: usize) -> ReadCadence {
        match self.gpus.get(index).map(|gpu| gpu.query) {
            Some(NvmlQuery::Counter) => ReadCadence::by_cost(COUNTER_COST_MULTIPLE, COUNTER_CADENCE)
                .with_expensive_reads(EXPENSIVE_COUNTER, EXPENSIVE_COUNTER_INTERVAL),
            Some(NvmlQuery::InstantPower | NvmlQuery::PowerUsage) => {
                ReadCadence::by_cost(POWER_COST_MULTIPLE, POWER_CADENCE)
            }
            Some(NvmlQuery::MeanPower) | None => ReadCadence::fixed(MEAN_POWER_WINDOW),
        }
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<SensorReading, ReadError> {
        let count = self.gpus.len();
        let Some(gpu) = self.gpus.get_mut(index) else {
            let unreadable = index.checked_sub(count).and_then(|index| self.unreadable.get(index));
            let reason = unreadable.map(|gpu| gpu.reason.clone());
            return Err(ReadError::Failed(
                reason.unwrap_or_else(|| format!("NVML has no component {index}")),
            ));
        };
        let reading = gpu.query.read(&gpu.device);
        reading.map(|reading| reading.scaled(gpu.component.share)).map_err(|error| match error {
            nvml_wrapper::error::NvmlError::GpuLost => ReadError::Lost(error.to_string()),
            _ => ReadError::Failed(error.to_string()),
        })
    }

    fn is_ticking_counter(&self, index: usize) -> bool {
        self.gpus.get(index).is_some_and(|gpu| gpu.query == NvmlQuery::Counter)
    }

    fn compute_processes(&mut self, index: usize) -> Option<Vec<u32>> {
        let gpu = self.gpus.get(index)?;
        let device = gpu.mig_slice.as_ref().unwrap_or(&gpu.device);
        // The wrapper allocates memory for as many as the driver reports.
        device.running_compute_processes_count().ok().filter(|count| *count <= MAX_PROCESSES)?;
        let processes = device.running_compute_processes().ok()?;
        Some(processes.into_iter().map(|process| process.pid).collect())
    }

    fn read_power(&mut self, index: usize) -> Option<Power> {
        let gpu = self.gpus.get(index)?;
        // The power readings of a superchip cover less than its counter.
        let power = if gpu.includes_cpu() { None } else { query::current_power(&gpu.device) };
        power.map(|power| power * gpu.component.share)
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl UnreadableGpu {
    fn new(gpu: GpuInfo, reason: String) -> Self {
        let component = ComponentInfo {
            kind: ComponentKind::Gpu,
            id: gpu.uuid.clone(),
            name: gpu.model.clone(),
            method: MeasurementMethod::Counter,
            limit: None,
            assumed_limit: Some(plausible_power::assumed_gpu_limit(&gpu.model)),
            min_power: None,
            includes: Vec::new(),
            share: 1.0,
            tolerance: SensorTolerance::from_accuracy(SENSOR_ACCURACY),
            note: Some(format!("not measured: {reason}")),
            gpu: Some(gpu),
        };
        Self { component, reason }
    }

    /// A GPU of which only the position in NVML's list is known.
    fn unidentified(index: u32, reason: String) -> Self {
        let uuid = format!("GPU-nvml-{index}");
        Self::new(GpuInfo { uuid, model: "NVIDIA GPU".to_owned(), ..GpuInfo::default() }, reason)
    }
}

impl NvmlGpu {
    /// # Errors
    /// The reason why the GPU cannot be measured.
    fn new(detected: DetectedGpu) -> Result<Self, String> {
        let DetectedGpu { gpu, physical_device, mig_slice } = detected;
        let query = NvmlQuery::first_supported(&physical_device).map_err(|error| error.to_string())?;
        // Not every GPU reports a limit.
        let limit = physical_device.enforced_power_limit().ok().map(Power::from_milliwatts);
        let limit = limit.filter(|limit| plausible_power::is_gpu_limit(*limit));
        let mut component = ComponentInfo {
            kind: ComponentKind::Gpu,
            id: gpu.uuid.clone(),
            name: gpu.model.clone(),
            method: query.method(),
            limit,
            assumed_limit: limit.is_none().then(|| plausible_power::assumed_gpu_limit(&gpu.model)),
            min_power: Some(plausible_power::MIN_GPU_POWER),
            includes: included_components(&gpu.model, query),
            share: 1.0,
            tolerance: SensorTolerance::from_accuracy(SENSOR_ACCURACY),
            note: superchip_note(&gpu.model, query),
            gpu: Some(gpu),
        };
        let mig_slice = match mig_slice {
            Some(MigSlice { device, slice_counts, .. }) => {
                let (slices, total_slices) =
                    slice_counts.ok_or("NVML does not report the size of the slice")?;
                apply_mig_share(&mut component, slices, total_slices);
                Some(device)
            }
            None => None,
        };
        Ok(Self { device: physical_device, mig_slice, component, query })
    }

    /// Whether the readings include the CPU and the memory of a superchip.
    fn includes_cpu(&self) -> bool {
        !self.component.includes.is_empty()
    }
}

/// Turns the component of a GPU into that of one of its slices.
fn apply_mig_share(component: &mut ComponentInfo, slices: u32, total_slices: u32) {
    let share = f64::from(slices) / f64::from(total_slices);
    component.name = format!("{} ({slices} of {total_slices} slices)", component.name);
    component.share = share;
    component.min_power = component.min_power.map(|power| power * share);
    // Other slices may have used all of the energy or none.
    let whole = 1.0 + SensorTolerance::from_accuracy(SENSOR_ACCURACY).above;
    component.tolerance = SensorTolerance { below: 1.0, above: whole / share - 1.0 };
    let part = format!(
        "{slices}/{total_slices} of the energy of the whole GPU: NVML does not report the energy of a slice"
    );
    component.note = Some(component.note.take().map_or(part.clone(), |note| format!("{part}; {note}")));
}

/// The other components that the readings of a superchip include.
fn included_components(model: &str, query: NvmlQuery) -> Vec<ComponentKind> {
    if query == NvmlQuery::Counter && model.contains(CPU_INCLUSIVE_MODEL) {
        vec![ComponentKind::Cpu, ComponentKind::Memory]
    } else {
        Vec::new()
    }
}

/// The note for a superchip with a CPU.
fn superchip_note(model: &str, query: NvmlQuery) -> Option<String> {
    if query == NvmlQuery::Counter && model.contains(CPU_INCLUSIVE_MODEL) {
        Some("includes the CPU and the memory of the superchip".to_owned())
    } else if UNDOCUMENTED_SUPERCHIPS.iter().any(|name| model.contains(name)) {
        Some(
            "may include the superchip's CPU, which would then be counted twice (NVIDIA does not document this)"
                .to_owned(),
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
