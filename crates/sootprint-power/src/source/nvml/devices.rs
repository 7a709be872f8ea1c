//! Lists the GPUs of a library and their MIG slices.
//!
//! <https://docs.nvidia.com/datacenter/tesla/mig-user-guide/index.html>

use nvml_wrapper::error::NvmlError;
use nvml_wrapper::{Device, Nvml};

use crate::gpu::GpuInfo;

/// A GPU or a MIG slice, as NVML lists it.
pub(super) struct DetectedGpu {
    pub(super) gpu: GpuInfo,
    /// The whole GPU: NVML reports power and energy for nothing smaller.
    pub(super) physical_device: Device<'static>,
    pub(super) mig_slice: Option<MigSlice>,
}

/// A part of a GPU that computes independently.
pub(super) struct MigSlice {
    /// The handle that lists the slice's processes.
    pub(super) device: Device<'static>,
    /// The position of its GPU in the list.
    pub(super) gpu_index: usize,
    /// The number of compute slices it has and of those on the whole GPU. `None` if NVML does not report them.
    pub(super) slice_counts: Option<(u32, u32)>,
}

/// More slices than any GPU can be divided into.
const MAX_SLICES: u32 = 16;

/// The GPUs of a library.
pub(super) struct GpuList {
    /// The GPUs by PCI address, then the slices of each.
    pub(super) devices: Vec<DetectedGpu>,
    /// The GPUs that cannot be identified: their positions in NVML's list, and the reasons.
    pub(super) failures: Vec<(u32, String)>,
    /// The problems found.
    pub(super) gaps: Vec<String>,
}

/// Lists the GPUs, the slices and the problems found.
pub(super) fn list_devices(library: &'static Nvml, count: u32) -> GpuList {
    let (mut gpus, mut slices, mut failures, mut gaps) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for index in 0..count {
        match library.device_by_index(index).and_then(|device| Ok((gpu_info(&device)?, device))) {
            Ok((gpu, physical_device)) => {
                match mig_slices(&gpu, &physical_device, library, index, gpus.len()) {
                    Ok(found) => slices.extend(found),
                    Err(reason) => gaps.push(reason),
                }
                gpus.push(DetectedGpu { gpu, physical_device, mig_slice: None });
            }
            // The driver has no GPU with this index, although it counts more.
            Err(NvmlError::InvalidArg) => break,
            Err(error) => {
                gaps.push(format!("cannot identify NVIDIA GPU {index}: {error}"));
                failures.push((index, error.to_string()));
            }
        }
    }
    gpus.append(&mut slices);
    GpuList { devices: gpus, failures, gaps }
}

/// The slices of a GPU; empty if it is not in MIG mode.
///
/// # Errors
/// The GPU is in MIG mode and has no slice, so CUDA cannot use it.
fn mig_slices(
    gpu: &GpuInfo,
    physical_device: &Device<'static>,
    library: &'static Nvml,
    index: u32,
    position: usize,
) -> Result<Vec<DetectedGpu>, String> {
    // A GPU without MIG support returns an error here.
    if physical_device.mig_mode().map_or(0, |mode| mode.current) == 0 {
        return Ok(Vec::new());
    }
    let max_slices = physical_device.mig_device_count().unwrap_or(0).min(MAX_SLICES);
    let mig_slice = |number| -> Option<DetectedGpu> {
        let device = physical_device.mig_device_by_index(number).ok()?;
        let size = device.attributes().ok().map(|it| (it.compute_instance_slice_count, max_slices));
        let size = size.filter(|(slices, most)| (1..=*most).contains(slices));
        let gpu = GpuInfo { uuid: device.uuid().ok()?, ..gpu.clone() };
        // A handle cannot be cloned, and each slice reads its GPU separately.
        let physical_device = library.device_by_index(index).ok()?;
        Some(DetectedGpu {
            gpu,
            physical_device,
            mig_slice: Some(MigSlice { device, gpu_index: position, slice_counts: size }),
        })
    };
    // Not every index below the maximum is in use.
    let slices: Vec<DetectedGpu> = (0..max_slices).filter_map(mig_slice).collect();
    if slices.is_empty() {
        return Err(format!(
            "{} ({}) is in MIG mode and has no slice visible to this process: CUDA cannot use it; create slices with \
             `nvidia-smi mig -cgi PROFILE -C`",
            gpu.model, gpu.uuid
        ));
    }
    Ok(slices)
}

fn gpu_info(device: &Device<'_>) -> Result<GpuInfo, NvmlError> {
    let uuid = device.uuid()?;
    // The energy can be read without a name or an address.
    let model = device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned());
    let pci = device.pci_info().map(|info| info.bus_id).unwrap_or_default();
    Ok(GpuInfo { uuid, pci, model, ..GpuInfo::default() })
}
