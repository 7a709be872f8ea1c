//! Translates the GPU ordinals of another process.

use serde::{Deserialize, Serialize};
use sootprint_power::{CudaVisibility, DeviceId, GpuInfo};

/// The variables that select and order the GPUs that a process sees.
const VISIBILITY_VARIABLES: [&str; 4] =
    ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"];

/// The values of the GPU visibility variables in a process; a script may set them for its training only.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DeviceVisibilityEnv([Option<String>; 4]);

impl DeviceVisibilityEnv {
    pub(crate) fn of_current_process() -> Self {
        Self(VISIBILITY_VARIABLES.map(|name| std::env::var(name).ok()))
    }

    /// Translates a device id of a process with these variables into one that is valid in this process, which has the
    /// variables `own` and sees `gpus`.
    ///
    /// Ordinals are equal if the variables are. If this process sees all GPUs, a CUDA ordinal can be resolved with the
    /// other process's variables. Otherwise the GPU is unknown.
    pub(crate) fn translate_device(&self, device: DeviceId, own: &Self, gpus: &[&GpuInfo]) -> DeviceId {
        match device {
            DeviceId::CudaOrdinal(_) | DeviceId::RocmOrdinal(_) if self == own => device,
            DeviceId::CudaOrdinal(ordinal) if own.0.iter().all(Option::is_none) => {
                let gpu = self.resolve_cuda_ordinal(ordinal, gpus);
                gpu.map_or(DeviceId::Unknown(device.display_name()), |gpu| DeviceId::Uuid(gpu.uuid))
            }
            DeviceId::CudaOrdinal(_) | DeviceId::RocmOrdinal(_) => DeviceId::Unknown(device.display_name()),
            device => device,
        }
    }

    fn resolve_cuda_ordinal(&self, ordinal: usize, gpus: &[&GpuInfo]) -> Option<GpuInfo> {
        let mut cuda_gpus: Vec<GpuInfo> =
            gpus.iter().filter(|gpu| gpu.cuda.is_some()).map(|gpu| (*gpu).clone()).collect();
        // CUDA's ordinals of MIG devices cannot be derived from this list.
        if cuda_gpus.iter().any(|gpu| gpu.uuid.starts_with("MIG-")) {
            return None;
        }
        cuda_gpus.sort_by(|one, other| one.pci.cmp(&other.pci));
        let [visible, order, ..] = &self.0;
        let visibility = CudaVisibility::new(visible.as_deref(), order.as_deref());
        let found =
            visibility.visible_devices(&cuda_gpus, &[]).into_iter().find(|it| it.ordinal == Some(ordinal))?;
        cuda_gpus.get(found.position).cloned()
    }
}
