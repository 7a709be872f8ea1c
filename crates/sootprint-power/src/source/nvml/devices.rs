//! The boards of a library and the slices (MIG) that they are cut into.
//!
//! <https://docs.nvidia.com/datacenter/tesla/mig-user-guide/index.html>

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use crate::gpu::GpuInfo;

/// A board, or a slice of one, as NVML lists it.
pub(super) struct DetectedGpu {
    pub(super) gpu: GpuInfo,
    /// The whole board: NVML tells power and energy of nothing smaller.
    pub(super) physical_device: Device<'static>,
    pub(super) mig_slice: Option<MigSlice>,
}

/// A part of a board that computes on its own.
pub(super) struct MigSlice {
    /// What tells the processes on it.
    pub(super) device: Device<'static>,
    /// The position of its board in the list.
    pub(super) gpu_index: usize,
    /// How many of the board's slices it has, and how many the board can be cut into; none when NVML does not tell.
    pub(super) slice_counts: Option<(u32, u32)>,
}

/// All that a library lists: the boards by PCI address, then the slices of each; and what it cannot tell of them.
pub(super) fn list_devices(library: &'static Nvml, count: u32) -> (Vec<DetectedGpu>, Vec<String>) {
    let (mut gpus, mut slices, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..count {
        match library.device_by_index(index).and_then(|device| Ok((gpu_info(&device)?, device))) {
            Ok((gpu, physical_device)) => {
                match mig_slices(&gpu, &physical_device, library, index, gpus.len()) {
                    Ok(found) => slices.extend(found),
                    Err(reason) => gaps.push(reason),
                }
                gpus.push(DetectedGpu { gpu, physical_device, mig_slice: None });
            }
            Err(error) => gaps.push(format!("NVIDIA board {index} cannot be identified: {error}")),
        }
    }
    gpus.append(&mut slices);
    (gpus, gaps)
}

/// The slices of a board; none when it is whole.
///
/// # Errors
/// That the board is to be cut and is not: then CUDA cannot compute on it.
fn mig_slices(
    gpu: &GpuInfo,
    physical_device: &Device<'static>,
    library: &'static Nvml,
    index: u32,
    position: usize,
) -> Result<Vec<DetectedGpu>, String> {
    // A board without the mode answers that it is not supported.
    if physical_device.mig_mode().map_or(0, |mode| mode.current) == 0 {
        return Ok(Vec::new());
    }
    let max_slices = physical_device.mig_device_count().unwrap_or(0);
    let mig_slice = |number| -> Option<DetectedGpu> {
        let device = physical_device.mig_device_by_index(number).ok()?;
        let size = device.attributes().ok().map(|it| (it.compute_instance_slice_count, max_slices));
        let size = size.filter(|(slices, most)| (1..=*most).contains(slices));
        let gpu = GpuInfo { uuid: device.uuid().ok()?, ..gpu.clone() };
        // A handle cannot be copied, and each slice reads its board on its own.
        let physical_device = library.device_by_index(index).ok()?;
        Some(DetectedGpu {
            gpu,
            physical_device,
            mig_slice: Some(MigSlice { device, gpu_index: position, slice_counts: size }),
        })
    };
    // Not all numbers below the most that a board can have are in use.
    let slices: Vec<DetectedGpu> = (0..max_slices).filter_map(mig_slice).collect();
    if slices.is_empty() {
        return Err(format!(
            "{} ({}) is in MIG mode and has no slice that this process may see, so that CUDA cannot use it; \
             `nvidia-smi mig -cgi` makes slices",
            gpu.model, gpu.uuid
        ));
    }
    Ok(slices)
}

fn gpu_info(device: &Device<'_>) -> Result<GpuInfo, NvmlError> {
    let uuid = device.uuid()?;
    // Neither a missing name nor a missing address costs the energy.
    let model = device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned());
    let pci = device.pci_info().map(|info| info.bus_id).unwrap_or_default();
    Ok(GpuInfo { uuid, pci, model, ..GpuInfo::default() })
}
