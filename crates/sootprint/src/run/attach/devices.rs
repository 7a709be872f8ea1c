//! Which boards the numbers of another process mean.

use serde::{Deserialize, Serialize};
use sootprint_power::{Board, Claim, CudaVisibility};

/// What says which boards a process sees, and under which numbers.
const DEVICES: [&str; 4] =
    ["CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER", "ROCR_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"];

/// The variables by which a process sees boards; a script may set them for its training alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Devices([Option<String>; 4]);

impl Devices {
    pub(super) fn of_this_process() -> Self {
        Self(DEVICES.map(|name| std::env::var(name).ok()))
    }

    /// A claim of a process with these variables, in words that hold in this one, which sees `boards`.
    ///
    /// Numbers mean the same in both where the variables are the same. Where this process sees all boards, an NVIDIA
    /// board's number follows from the other's variables; else nobody here knows which board it is.
    pub(super) fn translated(&self, claim: Claim, here: &Self, boards: &[&Board]) -> Claim {
        match claim {
            Claim::CudaOrdinal(_) | Claim::RocmOrdinal(_) if self == here => claim,
            Claim::CudaOrdinal(ordinal) if here.0.iter().all(Option::is_none) => {
                let board = self.cuda(ordinal, boards);
                board.map_or(Claim::Unknown(claim.name()), |board| Claim::Uuid(board.uuid))
            }
            Claim::CudaOrdinal(_) | Claim::RocmOrdinal(_) => Claim::Unknown(claim.name()),
            claim => claim,
        }
    }

    fn cuda(&self, ordinal: usize, boards: &[&Board]) -> Option<Board> {
        let mut shown: Vec<Board> =
            boards.iter().filter(|board| board.cuda.is_some()).map(|board| (*board).clone()).collect();
        // What CUDA makes of slices needs more than the list that is left here.
        if shown.iter().any(|board| board.uuid.starts_with("MIG-")) {
            return None;
        }
        shown.sort_by(|one, other| one.pci.cmp(&other.pci));
        let [visible, order, ..] = &self.0;
        let visibility = CudaVisibility::new(visible.as_deref(), order.as_deref());
        let found = visibility.visible(&shown, &[]).into_iter().find(|it| it.ordinal == Some(ordinal))?;
        shown.get(found.position).cloned()
    }
}
