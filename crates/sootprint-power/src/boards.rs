//! Which GPUs: from what a framework calls a device to the board that a source reads.
//!
//! CUDA and ROCm number the boards that their variables let through, each in an order of its own; NVML and the kernel
//! list all boards. Only a UUID or a PCI address means the same in all of them.

mod cuda;
mod rocm;

use serde::{Deserialize, Serialize};

pub use cuda::{CudaVisibility, Shown};
pub(crate) use rocm::RocmDevices;

/// A board, by the names that its driver and the system have for it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
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
pub enum Claim {
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

impl Claim {
    /// The position of the claimed board among `visible`.
    #[must_use]
    pub fn find(&self, visible: &[Board]) -> Option<usize> {
        match self {
            Self::CudaOrdinal(ordinal) => {
                // A framework that was built for ROCm in CUDA's place, as LibTorch is, calls its devices CUDA's.
                let numbered: fn(&Board) -> Option<usize> =
                    if visible.iter().any(|board| board.cuda.is_some()) {
                        |it| it.cuda
                    } else {
                        |it| it.rocm
                    };
                visible.iter().position(|board| numbered(board) == Some(*ordinal))
            }
            Self::RocmOrdinal(ordinal) => visible.iter().position(|board| board.rocm == Some(*ordinal)),
            Self::Uuid(uuid) => visible.iter().position(|board| board.uuid.eq_ignore_ascii_case(uuid)),
            Self::Pci(address) => {
                let address = canonical_pci(address);
                visible.iter().position(|board| canonical_pci(&board.pci) == address)
            }
            Self::Unknown(_) => None,
        }
    }

    /// The device for people, as the framework calls it.
    pub fn name(&self) -> String {
        match self {
            Self::CudaOrdinal(ordinal) => format!("cuda:{ordinal}"),
            Self::RocmOrdinal(ordinal) => format!("rocm:{ordinal}"),
            Self::Uuid(name) | Self::Pci(name) | Self::Unknown(name) => name.clone(),
        }
    }
}

/// The entries of a variable such as `CUDA_VISIBLE_DEVICES`.
fn entries(list: &str) -> Vec<String> {
    list.split(',').map(|entry| entry.trim().to_owned()).collect()
}

/// What the entries of a variable name, up to the first one that names nothing or what was named before: so CUDA and
/// ROCm read their variables.
fn named(entries: &[String], position: impl Fn(&str) -> Option<usize>) -> Vec<usize> {
    let mut named = Vec::new();
    for entry in entries {
        match position(entry) {
            Some(position) if !named.contains(&position) => named.push(position),
            _ => break,
        }
    }
    named
}

/// The only one whose name begins so; a prefix that fits several names none of them.
fn by_prefix<'a>(mut names: impl Iterator<Item = &'a str>, prefix: &str) -> Option<usize> {
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

    fn board(letter: char, cuda: Option<usize>, rocm: Option<usize>) -> Board {
        Board {
            uuid: format!("GPU-{}-1111", letter.to_string().repeat(4)),
            pci: format!("0000{letter}:07:00.0"),
            cuda,
            rocm,
            ..Board::default()
        }
    }

    #[test]
    fn a_claim_finds_its_board_by_number_name_and_address() {
        let boards = [board('a', Some(1), None), board('b', None, Some(0)), board('c', Some(0), None)];
        assert_eq!(Claim::CudaOrdinal(0).find(&boards), Some(2));
        assert_eq!(Claim::CudaOrdinal(1).find(&boards), Some(0));
        assert_eq!(Claim::CudaOrdinal(3).find(&boards), None);
        assert_eq!(Claim::RocmOrdinal(0).find(&boards), Some(1));
        assert_eq!(Claim::RocmOrdinal(1).find(&boards), None);
        assert_eq!(Claim::Uuid("gpu-cccc-1111".into()).find(&boards), Some(2));
        assert_eq!(Claim::Pci("00000000C:07:00.0".into()).find(&boards), Some(2));
        assert_eq!(Claim::Unknown("Vulkan(0)".into()).find(&boards), None);
    }

    #[test]
    fn a_framework_for_rocm_that_speaks_of_cuda_means_rocm_s_numbers() {
        let boards = [board('a', None, Some(1)), board('b', None, Some(0))];
        assert_eq!(Claim::CudaOrdinal(0).find(&boards), Some(1));
    }
}
