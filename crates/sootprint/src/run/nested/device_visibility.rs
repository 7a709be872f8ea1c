//! Which boards the numbers of another process mean.

use serde::{Deserialize, Serialize};
use sootprint_power::{CudaVisibility, DeviceId, GpuInfo};

/// What says which boards a process sees, and under which numbers.
const VISIBILITY_VARIABLES: [&str; 4] =
    ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"];

/// The variables by which a process sees boards; a script may set them for its training alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct DeviceVisibilityEnv([Option<String>; 4]);

impl DeviceVisibilityEnv {
    pub(super) fn of_current_process() -> Self {
        Self(VISIBILITY_VARIABLES.map(|name| std::env::var(name).ok()))
    }

    /// A claim of a process with these variables, in words that hold in this one, which sees `boards`.
    ///
    /// Numbers mean the same in both where the variables are the same. Where this process sees all boards, an NVIDIA
    /// board's number follows from the other's variables; else nobody here knows which board it is.
    pub(super) fn translate_device(&self, device: DeviceId, own: &Self, gpus: &[&GpuInfo]) -> DeviceId {
        match device {
            DeviceId::CudaOrdinal(_) | DeviceId::RocmOrdinal(_) if self == own => device,
            DeviceId::CudaOrdinal(ordinal) if own.0.iter().all(Option::is_none) => {
                let gpu = self.resolve_cuda_ordinal(ordinal, gpus);
                gpu.map_or(DeviceId::Unknown(device.display_name()), |board| DeviceId::Uuid(board.uuid))
            }
            DeviceId::CudaOrdinal(_) | DeviceId::RocmOrdinal(_) => DeviceId::Unknown(device.display_name()),
            device => device,
        }
    }

    fn resolve_cuda_ordinal(&self, ordinal: usize, gpus: &[&GpuInfo]) -> Option<GpuInfo> {
        let mut cuda_gpus: Vec<GpuInfo> =
            gpus.iter().filter(|gpu| gpu.cuda.is_some()).map(|board| (*board).clone()).collect();
        // What CUDA makes of slices needs more than the list that is left here.
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
