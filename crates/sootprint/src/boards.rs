//! Which GPUs: from what a framework calls a device to the board that NVML reads.
//!
//! CUDA numbers the boards that `CUDA_VISIBLE_DEVICES` lets through, in the order of `CUDA_DEVICE_ORDER`;
//! NVML numbers all boards by PCI address. Only a UUID or a PCI address means the same in both.
//! <https://docs.nvidia.com/cuda/cuda-c-programming-guide/index.html#cuda-environment-variables>

use serde::{Deserialize, Serialize};

/// A board, by the names that its driver and the system have for it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Board {
    /// Unique to the board: NVIDIA's or ROCm's UUID, else `GPU-pci-` and the address.
    pub uuid: String,
    /// Domain, bus, device and function, as in `0000:07:00.0`.
    pub pci: String,
    /// The product's name.
    pub model: String,
    /// Its number for the CUDA runtime of this process; none for a board that CUDA does not show, or that is none of
    /// NVIDIA's.
    #[serde(default)]
    pub cuda: Option<usize>,
}

/// What a framework says that it trains on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Claim {
    /// The CUDA runtime's number of the device, after `CUDA_VISIBLE_DEVICES`.
    CudaOrdinal(usize),
    /// The board's UUID, in full.
    Uuid(String),
    /// The board's PCI address, of any number of domain digits.
    Pci(String),
    /// A device that no source can map to a board, by the name that the framework gives it.
    Unknown(String),
}

/// Which boards CUDA shows to this process, in its own order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Visibility {
    /// The entries of `CUDA_VISIBLE_DEVICES`; none when it is unset and all boards show.
    entries: Option<Vec<String>>,
    /// Whether `CUDA_DEVICE_ORDER=PCI_BUS_ID` makes CUDA count as NVML does.
    by_pci: bool,
}

impl Visibility {
    /// All boards, in the order of their PCI addresses.
    pub const ALL: Self = Self { entries: None, by_pci: true };

    /// From the process's environment.
    #[must_use]
    pub fn from_environment() -> Self {
        let read = |name| std::env::var(name).ok();
        Self::new(read("CUDA_VISIBLE_DEVICES").as_deref(), read("CUDA_DEVICE_ORDER").as_deref())
    }

    /// From the values of `CUDA_VISIBLE_DEVICES` and `CUDA_DEVICE_ORDER`.
    #[must_use]
    pub fn new(visible_devices: Option<&str>, device_order: Option<&str>) -> Self {
        let entries = visible_devices
            .map(|list| list.split(',').map(|entry| entry.trim().to_owned()).collect::<Vec<_>>());
        Self { entries, by_pci: device_order == Some("PCI_BUS_ID") }
    }

    /// The positions in `boards` that CUDA shows, in CUDA's order.
    ///
    /// `boards` is NVML's list, by PCI address. As in CUDA the list ends at its first entry that names no board
    /// or one that was named before.
    #[must_use]
    pub fn visible(&self, boards: &[Board]) -> Vec<usize> {
        let Some(entries) = &self.entries else {
            return (0..boards.len()).collect();
        };
        let mut visible = Vec::new();
        for entry in entries {
            match position(entry, boards) {
                Some(position) if !visible.contains(&position) => visible.push(position),
                _ => break,
            }
        }
        visible
    }

    /// The first entry that is a slice of a board (MIG), if any; slices are not measured.
    pub(crate) fn first_slice(&self) -> Option<&str> {
        let entries = self.entries.as_ref()?;
        entries.iter().map(String::as_str).find(|entry| entry.starts_with("MIG-"))
    }

    /// Whether CUDA's numbers can be told from NVML's.
    ///
    /// CUDA's default order is fastest first, which no one but CUDA knows on a machine of mixed boards.
    /// Entries that are UUIDs need no order.
    #[must_use]
    pub fn is_certain(&self, boards: &[Board]) -> bool {
        let by_name = |entries: &Vec<String>| entries.iter().all(|entry| entry.starts_with("GPU-"));
        self.by_pci
            || boards.windows(2).all(|pair| pair[0].model == pair[1].model)
            || self.entries.as_ref().is_some_and(by_name)
    }
}

impl Claim {
    /// The position of the claimed board among `visible`.
    #[must_use]
    pub fn find(&self, visible: &[Board]) -> Option<usize> {
        match self {
            Self::CudaOrdinal(ordinal) => visible.iter().position(|board| board.cuda == Some(*ordinal)),
            Self::Uuid(uuid) => visible.iter().position(|board| board.uuid.eq_ignore_ascii_case(uuid)),
            Self::Pci(address) => {
                let address = canonical_pci(address);
                visible.iter().position(|board| canonical_pci(&board.pci) == address)
            }
            Self::Unknown(_) => None,
        }
    }
}

/// The board that one entry of `CUDA_VISIBLE_DEVICES` names: an index, or a UUID that may be cut short.
fn position(entry: &str, boards: &[Board]) -> Option<usize> {
    if let Ok(index) = entry.parse::<usize>() {
        return (index < boards.len()).then_some(index);
    }
    if !entry.starts_with("GPU-") {
        return None;
    }
    let mut matches = (0..boards.len()).filter(|&index| boards[index].uuid.starts_with(entry));
    // CUDA takes a prefix only when it means one board.
    matches.next().filter(|_| matches.next().is_none())
}

/// NVML writes `00000000:07:00.0`, Linux and the frameworks `0000:07:00.0`.
fn canonical_pci(address: &str) -> String {
    address.trim_start_matches('0').to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn boards() -> Vec<Board> {
        let board = |letter: char, model: &str| Board {
            uuid: format!("GPU-{}-1111", letter.to_string().repeat(4)),
            pci: format!("0000{letter}:07:00.0"),
            model: model.into(),
            cuda: None,
        };
        vec![board('a', "H200"), board('b', "H200"), board('c', "L4")]
    }

    /// The table of CUDA's own rules.
    #[test]
    fn visible_boards_by_every_form_of_the_variable() {
        let cases: [(Option<&str>, &[usize]); 11] = [
            (None, &[0, 1, 2]),
            (Some(""), &[]),
            (Some("-1"), &[]),
            (Some("2,0"), &[2, 0]),
            (Some("0,-1,2"), &[0]),
            (Some("1,nonsense,2"), &[1]),
            (Some("0,7,1"), &[0]),
            (Some("1,1"), &[1]),
            (Some("GPU-bbbb-1111"), &[1]),
            (Some("GPU-c, GPU-a"), &[2, 0]),
            (Some("GPU-"), &[]),
        ];
        for (value, expected) in cases {
            assert_eq!(Visibility::new(value, None).visible(&boards()), expected, "{value:?}");
        }
    }

    #[test]
    fn a_slice_is_known_as_one() {
        assert_eq!(Visibility::new(Some("0,MIG-1234"), None).first_slice(), Some("MIG-1234"));
        assert_eq!(Visibility::new(Some("0,1"), None).first_slice(), None);
    }

    #[test]
    fn mixed_boards_in_cuda_s_own_order_are_not_certain() {
        let boards = boards();
        assert!(!Visibility::new(None, None).is_certain(&boards));
        assert!(!Visibility::new(Some("0"), Some("FASTEST_FIRST")).is_certain(&boards));
        assert!(Visibility::new(None, Some("PCI_BUS_ID")).is_certain(&boards));
        assert!(Visibility::new(Some("GPU-cccc"), None).is_certain(&boards));
        assert!(Visibility::new(None, None).is_certain(&boards[..2]));
    }

    #[test]
    fn a_claim_finds_its_board_by_number_name_and_address() {
        let mut boards = boards();
        (boards[0].cuda, boards[2].cuda) = (Some(1), Some(0));
        assert_eq!(Claim::CudaOrdinal(0).find(&boards), Some(2));
        assert_eq!(Claim::CudaOrdinal(1).find(&boards), Some(0));
        assert_eq!(Claim::CudaOrdinal(3).find(&boards), None);
        assert_eq!(Claim::Uuid("gpu-cccc-1111".into()).find(&boards), Some(2));
        assert_eq!(Claim::Pci("00000000C:07:00.0".into()).find(&boards), Some(2));
        assert_eq!(Claim::Unknown("Vulkan(0)".into()).find(&boards), None);
    }
}
