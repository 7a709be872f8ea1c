//! The boards of a library and the slices (MIG) that they are cut into.
//!
//! <https://docs.nvidia.com/datacenter/tesla/mig-user-guide/index.html>

use nvml_wrapper::error::NvmlError as Refusal;
use nvml_wrapper::{Device, Nvml};

use crate::boards::Board;

/// A board, or a slice of one, as NVML lists it.
pub(super) struct Found {
    pub(super) board: Board,
    /// The whole board: NVML tells power and energy of nothing smaller.
    pub(super) whole: Device<'static>,
    pub(super) slice: Option<Slice>,
}

/// A part of a board that computes on its own.
pub(super) struct Slice {
    /// What tells the processes on it.
    pub(super) device: Device<'static>,
    /// The position of its board in the list.
    pub(super) of: usize,
    /// How many of the board's slices it has, and how many the board can be cut into; none when NVML does not tell.
    pub(super) size: Option<(u32, u32)>,
}

/// All that a library lists: the boards by PCI address, then the slices of each; and what it cannot tell of them.
pub(super) fn list(library: &'static Nvml, count: u32) -> (Vec<Found>, Vec<String>) {
    let (mut boards, mut slices, mut gaps) = (Vec::new(), Vec::new(), Vec::new());
    for index in 0..count {
        match library.device_by_index(index).and_then(|device| Ok((describe(&device)?, device))) {
            Ok((board, whole)) => {
                match slices_of(&board, &whole, library, index, boards.len()) {
                    Ok(found) => slices.extend(found),
                    Err(reason) => gaps.push(reason),
                }
                boards.push(Found { board, whole, slice: None });
            }
            Err(refusal) => gaps.push(format!("NVIDIA board {index} cannot be identified: {refusal}")),
        }
    }
    boards.append(&mut slices);
    (boards, gaps)
}

/// The slices of a board; none when it is whole.
///
/// # Errors
/// That the board is to be cut and is not: then CUDA cannot compute on it.
fn slices_of(
    board: &Board,
    whole: &Device<'static>,
    library: &'static Nvml,
    index: u32,
    position: usize,
) -> Result<Vec<Found>, String> {
    // A board without the mode answers that it is not supported.
    if whole.mig_mode().map_or(0, |mode| mode.current) == 0 {
        return Ok(Vec::new());
    }
    let most = whole.mig_device_count().unwrap_or(0);
    let slice = |number| -> Option<Found> {
        let device = whole.mig_device_by_index(number).ok()?;
        let size = device.attributes().ok().map(|it| (it.compute_instance_slice_count, most));
        let size = size.filter(|(slices, most)| (1..=*most).contains(slices));
        let board = Board { uuid: device.uuid().ok()?, ..board.clone() };
        // A handle cannot be copied, and each slice reads its board on its own.
        let whole = library.device_by_index(index).ok()?;
        Some(Found { board, whole, slice: Some(Slice { device, of: position, size }) })
    };
    // Not all numbers below the most that a board can have are in use.
    let slices: Vec<Found> = (0..most).filter_map(slice).collect();
    if slices.is_empty() {
        return Err(format!(
            "{} ({}) is in MIG mode and has no slice that this process may see, so that CUDA cannot use it; \
             `nvidia-smi mig -cgi` makes slices",
            board.model, board.uuid
        ));
    }
    Ok(slices)
}

fn describe(device: &Device<'_>) -> Result<Board, Refusal> {
    let uuid = device.uuid()?;
    // Neither a missing name nor a missing address costs the energy.
    let model = device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned());
    let pci = device.pci_info().map(|info| info.bus_id).unwrap_or_default();
    Ok(Board { uuid, pci, model, ..Board::default() })
}
