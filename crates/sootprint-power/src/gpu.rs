//! Which GPUs: from what a framework calls a device to the board that a source reads.
//!
//! CUDA and ROCm number the boards that their variables let through, each in an order of its own; NVML and the kernel
//! list all boards. Only a UUID or a PCI address means the same in all of them.

mod cuda;
mod rocm;

use serde::{Deserialize, Serialize};

pub use cuda::{CudaVisibility, VisibleDevice};
pub(crate) use rocm::RocmDevices;

/// A board, by the names that its driver and the system have for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct GpuInfo {
    /// Unique to the board: NVIDIA's or ROCm's UUID, else `GPU-pci-` and the address; of a slice its own, `MIG-…`.
    pub uuid: String,
    /// Domain, bus, device and function, as in `0000:07:00.0`; of a slice its board's.
    pub pci: String,
    /// The product's name.
    pub model: String,
    /// Its number for the CUDA runtime of this process; none for a board that CUDA does not show, or that is none of
    /// NVIDIA's.
    #[serde(default)]
    pub cuda: Option<usize>,
    /// Its number for the ROCm runtime of this process; none for a board that ROCm does not show.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rocm: Option<usize>,
}

/// What a framework says that it trains on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DeviceId {
    /// The CUDA runtime's number of the device, after `CUDA_VISIBLE_DEVICES`.
    CudaOrdinal(usize),
    /// The ROCm runtime's number of the device, after `ROCR_VISIBLE_DEVICES` and `HIP_VISIBLE_DEVICES`.
    RocmOrdinal(usize),
    /// The board's UUID, in full.
    Uuid(String),
    /// The board's PCI address, of any number of domain digits.
    Pci(String),
    /// A device that no source can map to a board, by the name that the framework gives it.
    Unknown(String),
}

impl DeviceId {
    /// The position of the claimed board among `visible`.
    #[must_use]
    pub fn position_in(&self, visible: &[GpuInfo]) -> Option<usize> {
        match self {
            Self::CudaOrdinal(ordinal) => {
                // A framework that was built for ROCm in CUDA's place, as LibTorch is, calls its devices CUDA's.
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

    /// The device for people, as the framework calls it.
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

/// What the entries of a variable name, up to the first one that names nothing or what was named before: so CUDA and
/// ROCm read their variables.
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

/// The only one whose name begins so; a prefix that fits several names none of them.
fn unique_prefix_match<'a>(mut names: impl Iterator<Item = &'a str>, prefix: &str) -> Option<usize> {
    let position = names.position(|name| name.starts_with(prefix))?;
    names.all(|name| !name.starts_with(prefix)).then_some(position)
}

/// NVML writes `00000000:07:00.0`, Linux and the frameworks `0000:07:00.0`.
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
