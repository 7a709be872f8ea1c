//! NVIDIA boards through NVML: the energy counter, else power readings.
//!
//! <https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html>
//!
//! # When it is wrong
//! - NVML tells the energy of whole boards. That of a slice (MIG) is a part of its board's, by the number of slices;
//!   what others use on the board at the same time is in it, so that its bounds are nothing and the whole board.
//! - A driver before 530 tells the power of Ampere and later as the mean of the last second alone. Beside a counter that mean
//!   stands for the power of the moment: where the power jumps at an edge, up to a tick's worth of the jump is told of the
//!   wrong epoch, and the bounds do not have all of it.
//! - The counter of a GH200 counts the superchip with its processor and memory, which are then not counted on their
//!   own; its power readings are of the graphics processor alone. Zeus found this out on such a machine
//!   (<https://github.com/ml-energy/zeus/pull/172>). Of GB200 and GB300 nobody says it.

mod devices;
mod library;
mod query;

use std::ffi::OsStr;
use std::time::Duration;

use nvml_wrapper::Device;
use sootprint_core::Power;

use super::{ComponentInfo, ComponentKind, EnergySource, ReadError, SensorReading, SensorTolerance};
use crate::gpu::{CudaVisibility, GpuInfo};
use devices::{DetectedGpu, MigSlice};
use library::{load_library, no_driver_error};
use query::{MEAN_POWER_WINDOW, NvmlQuery};

pub use library::NvmlError;

/// NVIDIA documents its power sensors as accurate to 5 %; the counter is their integral.
const SENSOR_ACCURACY: f64 = 0.05;

/// A counter loses nothing between reads, but for a restart, when the power readings around it stand in. It is read as
/// often as costs [`COUNTER_S_SHARE_OF_TIME`], within these bounds: a driver may take milliseconds to read it.
const COUNTER_CADENCE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// One reading of a counter may take this part of the time until the next: 0.1 % of a core.
const COUNTER_COST_MULTIPLE: u32 = 1_000;

/// Power changes within a training step. It is read as often as costs [`SHARE_OF_TIME`], within these bounds.
const POWER_CADENCE: [Duration; 2] = [Duration::from_millis(12), Duration::from_millis(100)];

/// One reading of the power may take this part of the time until the next: under 1 % of a core in all.
const POWER_COST_MULTIPLE: u32 = 120;

/// The superchip whose counter has its processor and its memory in it.
const CPU_INCLUSIVE_MODEL: &str = "GH200";

/// Superchips of which nobody says what their counter has in it.
const UNDOCUMENTED_SUPERCHIPS: [&str; 2] = ["GB200", "GB300"];

/// The visible boards of one NVML library.
pub(crate) struct Nvml {
    gpus: Vec<NvmlGpu>,
    gaps: Vec<String>,
}

struct NvmlGpu {
    device: Device<'static>,
    /// The slice that is meant, when it is not the whole board.
    mig_slice: Option<Device<'static>>,
    component: ComponentInfo,
    query: NvmlQuery,
}

impl Nvml {
    /// Opens the library at `path`, or the system's, and the boards that CUDA shows to this process.
    pub(crate) fn open(path: Option<&OsStr>, visibility: &CudaVisibility) -> Result<Self, NvmlError> {
        let library = load_library(path)?;
        let count = library.device_count().map_err(|error| no_driver_error(path, &error))?;
        let (found, mut gaps) = devices::list_devices(library, count);
        let gpus: Vec<GpuInfo> =
            found.iter().filter(|it| it.mig_slice.is_none()).map(|it| it.gpu.clone()).collect();
        let slices: Vec<(usize, String)> = found
            .iter()
            .filter_map(|it| Some((it.mig_slice.as_ref()?.gpu_index, it.gpu.uuid.clone())))
            .collect();
        let visible = visibility.visible_devices(&gpus, &slices);
        gaps.extend(visibility_warnings(visibility, &gpus, &slices, visible.is_empty()));

        let mut found: Vec<_> = found.into_iter().map(Some).collect();
        let mut opened = Vec::new();
        for device in visible {
            let Some(mut detected) = found[device.position].take() else { continue };
            detected.gpu.cuda = device.ordinal;
            let name = format!("{} ({})", detected.gpu.model, detected.gpu.uuid);
            match NvmlGpu::new(detected) {
                Ok(gpu) => {
                    gaps.extend(gpu.includes_cpu().then(|| {
                        format!(
                            "{name} has processor and memory in its counter, which are therefore not counted on \
                             their own: a run that does not use the board has no energy of a processor"
                        )
                    }));
                    opened.push(gpu);
                }
                Err(reason) => gaps.push(format!("{name} is not measured: {reason}")),
            }
        }
        Ok(Self { gpus: opened, gaps })
    }

    /// The parts of the machine that boards have in their readings, so that they must not be added.
    pub(crate) fn included_components(&self) -> &'static [ComponentKind] {
        if self.gpus.iter().any(NvmlGpu::includes_cpu) {
            &[ComponentKind::Cpu, ComponentKind::Memory]
        } else {
            &[]
        }
    }
}

/// What is not certain of which boards CUDA shows.
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
            "CUDA_VISIBLE_DEVICES names {slice}, a slice of a board that NVML does not list, so that its energy is not \
             measured; `nvidia-smi -L` lists the slices"
        ));
    }
    if !is_empty && !visibility.is_order_known(gpus) {
        gaps.push(
            "the boards differ and CUDA numbers them fastest first, so that a device's number may mean \
             another board; set CUDA_DEVICE_ORDER=PCI_BUS_ID"
                .to_owned(),
        );
    }
    if !is_empty && !slices.is_empty() && visibility.mig_entries().next().is_none() {
        gaps.push(
            "a board is cut into slices and CUDA_VISIBLE_DEVICES names none: CUDA takes the first of a board, which \
             may be another one than NVML's first; name the slice there, as `nvidia-smi -L` does"
                .to_owned(),
        );
    }
    gaps
}

impl EnergySource for Nvml {
    fn components(&self) -> Vec<ComponentInfo> {
        self.gpus.iter().map(|gpu| gpu.component.clone()).collect()
    }

    fn cadence(&self, index: usize, cost: Duration) -> Duration {
        let Some(gpu) = self.gpus.get(index) else { return MEAN_POWER_WINDOW };
        let (multiple, [shortest, longest]) = match gpu.query {
            NvmlQuery::Counter => (COUNTER_COST_MULTIPLE, COUNTER_CADENCE),
            NvmlQuery::InstantPower | NvmlQuery::PowerUsage => (POWER_COST_MULTIPLE, POWER_CADENCE),
            NvmlQuery::MeanPower => return MEAN_POWER_WINDOW,
        };
        (cost * multiple).clamp(shortest, longest)
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<SensorReading, ReadError> {
        let Some(gpu) = self.gpus.get_mut(index) else {
            return Err(ReadError::Failed(format!("there is no board {index}")));
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
        let processes = device.running_compute_processes().ok()?;
        Some(processes.into_iter().map(|process| process.pid).collect())
    }

    fn read_power(&mut self, index: usize) -> Option<Power> {
        let gpu = self.gpus.get(index)?;
        // The power readings of a superchip are of less than what its counter counts.
        let power = if gpu.includes_cpu() { None } else { query::current_power(&gpu.device) };
        power.map(|power| power * gpu.component.share)
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl NvmlGpu {
    /// # Errors
    /// Why the board cannot be measured.
    fn new(detected: DetectedGpu) -> Result<Self, String> {
        let DetectedGpu { gpu, physical_device, mig_slice } = detected;
        let query = NvmlQuery::first_supported(&physical_device).map_err(|error| error.to_string())?;
        let mut component = ComponentInfo {
            kind: ComponentKind::Gpu,
            id: gpu.uuid.clone(),
            name: gpu.model.clone(),
            method: query.method(),
            // A board that does not tell its limit is measured all the same.
            limit: physical_device.enforced_power_limit().ok().map(Power::from_milliwatts),
            share: 1.0,
            tolerance: SensorTolerance::from_accuracy(SENSOR_ACCURACY),
            note: superchip_note(&gpu.model, query),
            gpu: Some(gpu),
        };
        let mig_slice = match mig_slice {
            Some(MigSlice { device, slice_counts: size, .. }) => {
                let (slices, all) = size.ok_or("NVML does not tell how large a slice it is")?;
                apply_mig_share(&mut component, slices, all);
                Some(device)
            }
            None => None,
        };
        Ok(Self { device: physical_device, mig_slice, component, query })
    }

    /// Whether the readings have the processor and the memory of a superchip in them.
    fn includes_cpu(&self) -> bool {
        self.query == NvmlQuery::Counter && self.component.name.contains(CPU_INCLUSIVE_MODEL)
    }
}

/// Makes a board's component that of a slice of it.
fn apply_mig_share(component: &mut ComponentInfo, slices: u32, total_slices: u32) {
    let share = f64::from(slices) / f64::from(total_slices);
    component.name = format!("{} ({slices} of {total_slices} slices)", component.name);
    component.share = share;
    // Neighbours may have used all of it or none.
    let whole = 1.0 + SensorTolerance::from_accuracy(SENSOR_ACCURACY).above;
    component.tolerance = SensorTolerance { below: 1.0, above: whole / share - 1.0 };
    let part = format!(
        "{slices} of {total_slices} parts of the whole board's energy: NVML does not tell that of a slice"
    );
    component.note = Some(component.note.take().map_or(part.clone(), |note| format!("{part}; {note}")));
}

/// What a reader should know of a board that is a superchip with a processor.
fn superchip_note(model: &str, query: NvmlQuery) -> Option<String> {
    if query == NvmlQuery::Counter && model.contains(CPU_INCLUSIVE_MODEL) {
        Some("the processor and the memory of the superchip are in it".to_owned())
    } else if UNDOCUMENTED_SUPERCHIPS.iter().any(|name| model.contains(name)) {
        Some(
            "nobody says whether the processor of the superchip is in it; it is counted on its own as well"
                .to_owned(),
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
