//! GPU identification: maps a framework's device to the GPU that a source reads.
//!
//! CUDA and ROCm number the GPUs that their environment variables make visible, each in its own order. NVML
//! and the kernel list all GPUs. Only a UUID or a PCI address identifies the same GPU in all of them.

mod cuda;
mod rocm;

use serde::{Deserialize, Serialize};

pub use cuda::{CudaVisibility, VisibleDevice};
pub(crate) use rocm::RocmDevices;

/// A GPU, with the identifiers that its driver and the system use.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuInfo {
    /// Unique id of the GPU: the NVIDIA or ROCm UUID. If that is unknown, `GPU-` followed by another identifier,
    /// usually `pci-` and the PCI address. A MIG slice has a UUID of its own, `MIG-…`.
    pub uuid: String,
    /// PCI address: domain, bus, device and function, such as `0000:07:00.0`. A MIG slice has the address of
    /// its GPU. Empty if the driver does not report it.
    pub pci: String,
    /// The product name.
    pub model: String,
    /// Device ordinal in the CUDA runtime of this process. `None` if the GPU has no ordinal there, for
    /// example because it is hidden from this process or is not an NVIDIA GPU.
    #[serde(default)]
    pub cuda: Option<usize>,
    /// Device ordinal in the ROCm runtime of this process. `None` if the GPU is not visible to ROCm.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rocm: Option<usize>,
    /// Whether CUDA may number the GPUs in an order other than that of their PCI addresses, so that `cuda` may be
    /// the ordinal of another GPU.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub has_uncertain_order: bool,
}

/// A device as a framework identifies it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviceId {
    /// Device ordinal in the CUDA runtime, after `CUDA_VISIBLE_DEVICES` is applied.
    CudaOrdinal(usize),
    /// Device ordinal in the ROCm runtime, after `ROCR_VISIBLE_DEVICES` and `HIP_VISIBLE_DEVICES` are
    /// applied.
    RocmOrdinal(usize),
    /// The full UUID of the GPU.
    Uuid(String),
    /// The PCI address of the GPU, with any number of domain digits.
    Pci(String),
    /// A device that no source can map to a GPU, by the name that the framework displays.
    Unknown(String),
}

impl DeviceId {
    /// Returns the position of this device in `visible`, or `None` if `visible` does not contain it.
    #[must_use]
    pub fn position_in(&self, visible: &[GpuInfo]) -> Option<usize> {
        match self {
            Self::CudaOrdinal(ordinal) => {
                // Frameworks such as LibTorch that are built for ROCm still call their devices CUDA devices.
                let ordinal_of: fn(&GpuInfo) -> Option<usize> =
                    if visible.iter().any(|gpu| gpu.cuda.is_some()) { |it| it.cuda } else { |it| it.rocm };
                visible.iter().position(|gpu| ordinal_of(gpu) == Some(*ordinal))
            }
            Self::RocmOrdinal(ordinal) => visible.iter().position(|gpu| gpu.rocm == Some(*ordinal)),
            Self::Uuid(uuid) => visible.iter().position(|gpu| gpu.uuid.eq_ignore_ascii_case(uuid)),
            Self::Pci(address) => {
                let address = canonical_pci(address);
                visible.iter().position(|gpu| canonical_pci(&gpu.pci) == address)
            }
            Self::Unknown(_) => None,
        }
    }

    /// Returns the name of the device as the framework displays it.
    pub fn display_name(&self) -> String {
        match self {
            Self::CudaOrdinal(ordinal) => format!("cuda:{ordinal}"),
            Self::RocmOrdinal(ordinal) => format!("rocm:{ordinal}"),
            Self::Uuid(name) | Self::Pci(name) | Self::Unknown(name) => name.clone(),
        }
    }
}

/// The entries of a variable such as `CUDA_VISIBLE_DEVICES`.
fn split_entries(list: &str) -> Vec<String> {
    list.split(',').map(|entry| entry.trim().to_owned()).collect()
}

/// Resolves entries to positions, up to the first entry that names no device or a device that was already named.
/// CUDA and ROCm read their variables by this rule.
fn resolve_entries(entries: &[String], position: impl Fn(&str) -> Option<usize>) -> Vec<usize> {
    let mut positions = Vec::new();
    for entry in entries {
        match position(entry) {
            Some(position) if !positions.contains(&position) => positions.push(position),
            _ => break,
        }
    }
    positions
}

/// The position of the only name with this prefix. `None` if several names have it.
fn unique_prefix_match<'a>(mut names: impl Iterator<Item = &'a str>, prefix: &str) -> Option<usize> {
    let position = names.position(|name| name.starts_with(prefix))?;
    names.all(|name| !name.starts_with(prefix)).then_some(position)
}

/// Removes leading zeros: NVML writes `00000000:07:00.0`, Linux and the frameworks write `0000:07:00.0`.
fn canonical_pci(address: &str) -> String {
    address.trim_start_matches('0').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test_gpu(letter: char, cuda: Option<usize>, rocm: Option<usize>) -> GpuInfo {
        GpuInfo {
            uuid: format!("GPU-{}-1111", letter.to_string().repeat(4)),
            pci: format!("0000{letter}:07:00.0"),
            cuda,
            rocm,
            ..GpuInfo::default()
        }
    }

    #[test]
    fn device_id_finds_matching_gpu() {
        let gpus = [test_gpu('a', Some(1), None), test_gpu('b', None, Some(0)), test_gpu('c', Some(0), None)];
        assert_eq!(DeviceId::CudaOrdinal(0).position_in(&gpus), Some(2));
        assert_eq!(DeviceId::CudaOrdinal(1).position_in(&gpus), Some(0));
        assert_eq!(DeviceId::CudaOrdinal(3).position_in(&gpus), None);
        assert_eq!(DeviceId::RocmOrdinal(0).position_in(&gpus), Some(1));
        assert_eq!(DeviceId::RocmOrdinal(1).position_in(&gpus), None);
        assert_eq!(DeviceId::Uuid("gpu-cccc-1111".into()).position_in(&gpus), Some(2));
        assert_eq!(DeviceId::Pci("00000000C:07:00.0".into()).position_in(&gpus), Some(2));
        assert_eq!(DeviceId::Unknown("Vulkan(0)".into()).position_in(&gpus), None);
    }

    #[test]
    fn cuda_ordinal_falls_back_to_rocm() {
        let gpus = [test_gpu('a', None, Some(1)), test_gpu('b', None, Some(0))];
        assert_eq!(DeviceId::CudaOrdinal(0).position_in(&gpus), Some(1));
    }
}
