//! NVIDIA boards through NVML: the energy counter, else power readings.
//!
//! <https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html>
//!
//! # When it is wrong
//! - NVML tells the energy of whole boards. That of a slice (MIG) is a part of its board's, by the number of slices;
//!   what others use on the board at the same time is in it, so that its bounds are nothing and the whole board.
//! - A driver before 530 tells the power of Ampere and later as the mean of the last second alone. Beside a counter that mean
//!   stands for the power of the moment: where the power jumps at an edge, up to a tick's worth of the jump is told of the
//!   wrong epoch, and the bounds do not have all of it.
//! - The counter of a GH200 counts the superchip with its processor and memory, which are then not counted on their
//!   own; its power readings are of the graphics processor alone. Zeus found this out on such a machine
//!   (<https://github.com/ml-energy/zeus/pull/172>). Of GB200 and GB300 nobody says it.

mod devices;
mod library;
mod probe;

use std::ffi::OsStr;
use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::error::NvmlError as Refusal;
use sootprint_core::Power;

use super::{Component, Kind, Reading, Source, Tolerance, Unreadable};
use crate::boards::{Board, CudaVisibility};
use devices::{Found, Slice};
use library::{library, no_driver};
use probe::{MEAN_WINDOW, Probe};

pub use library::NvmlError;

/// NVIDIA documents its power sensors as accurate to 5 %; the counter is their integral.
const TOLERANCE: f64 = 0.05;

/// A counter loses nothing between reads, but for a restart, when the power readings around it stand in. It is read as
/// often as costs [`COUNTER_S_SHARE_OF_TIME`], within these bounds: a driver may take milliseconds to read it.
const COUNTER_CADENCE: [Duration; 2] = [Duration::from_millis(200), Duration::from_secs(1)];

/// One reading of a counter may take this part of the time until the next: 0.1 % of a core.
const COUNTER_S_SHARE_OF_TIME: u32 = 1_000;

/// Power changes within a training step. It is read as often as costs [`SHARE_OF_TIME`], within these bounds.
const POWER_CADENCE: [Duration; 2] = [Duration::from_millis(12), Duration::from_millis(100)];

/// One reading of the power may take this part of the time until the next: under 1 % of a core in all.
const SHARE_OF_TIME: u32 = 120;

/// The superchip whose counter has its processor and its memory in it.
const WITH_PROCESSOR: &str = "GH200";

/// Superchips of which nobody says what their counter has in it.
const UNDOCUMENTED: [&str; 2] = ["GB200", "GB300"];

/// The visible boards of one NVML library.
pub(crate) struct Nvml {
    boards: Vec<Metered>,
    gaps: Vec<String>,
}

struct Metered {
    device: Device<'static>,
    /// The slice that is meant, when it is not the whole board.
    slice: Option<Device<'static>>,
    component: Component,
    probe: Probe,
}

impl Nvml {
    /// Opens the library at `path`, or the system's, and the boards that CUDA shows to this process.
    pub(crate) fn open(path: Option<&OsStr>, visibility: &CudaVisibility) -> Result<Self, NvmlError> {
        let library = library(path)?;
        let count = library.device_count().map_err(|refusal| no_driver(path, &refusal))?;
        let (found, mut gaps) = devices::list(library, count);
        let whole: Vec<Board> =
            found.iter().filter(|it| it.slice.is_none()).map(|it| it.board.clone()).collect();
        let slices: Vec<(usize, String)> =
            found.iter().filter_map(|it| Some((it.slice.as_ref()?.of, it.board.uuid.clone()))).collect();
        let shown = visibility.visible(&whole, &slices);
        gaps.extend(uncertainties(visibility, &whole, &slices, shown.is_empty()));

        let mut found: Vec<_> = found.into_iter().map(Some).collect();
        let mut boards = Vec::new();
        for shown in shown {
            let Some(mut found) = found[shown.position].take() else { continue };
            found.board.cuda = shown.ordinal;
            let name = format!("{} ({})", found.board.model, found.board.uuid);
            match Metered::new(found) {
                Ok(metered) => {
                    gaps.extend(metered.holds_processor().then(|| {
                        format!(
                            "{name} has processor and memory in its counter, which are therefore not counted on \
                             their own: a run that does not use the board has no energy of a processor"
                        )
                    }));
                    boards.push(metered);
                }
                Err(reason) => gaps.push(format!("{name} is not measured: {reason}")),
            }
        }
        Ok(Self { boards, gaps })
    }

    /// The parts of the machine that boards have in their readings, so that they must not be added.
    pub(crate) fn holds(&self) -> &'static [Kind] {
        if self.boards.iter().any(Metered::holds_processor) { &[Kind::Cpu, Kind::Memory] } else { &[] }
    }
}

/// What is not certain of which boards CUDA shows.
fn uncertainties(
    visibility: &CudaVisibility,
    boards: &[Board],
    slices: &[(usize, String)],
    is_empty: bool,
) -> Vec<String> {
    let mut gaps = Vec::new();
    let is_unknown = |name: &&str| !slices.iter().any(|(_, uuid)| uuid.starts_with(name));
    for slice in visibility.slices().filter(is_unknown) {
        gaps.push(format!(
            "CUDA_VISIBLE_DEVICES names {slice}, a slice of a board that NVML does not list, so that its energy is not \
             measured; `nvidia-smi -L` lists the slices"
        ));
    }
    if !is_empty && !visibility.is_certain(boards) {
        gaps.push(
            "the boards differ and CUDA numbers them fastest first, so that a device's number may mean \
             another board; set CUDA_DEVICE_ORDER=PCI_BUS_ID"
                .to_owned(),
        );
    }
    if !is_empty && !slices.is_empty() && visibility.slices().next().is_none() {
        gaps.push(
            "a board is cut into slices and CUDA_VISIBLE_DEVICES names none: CUDA takes the first of a board, which \
             may be another one than NVML's first; name the slice there, as `nvidia-smi -L` does"
                .to_owned(),
        );
    }
    gaps
}

impl Source for Nvml {
    fn components(&self) -> Vec<Component> {
        self.boards.iter().map(|metered| metered.component.clone()).collect()
    }

    fn cadence(&self, index: usize, cost: Duration) -> Duration {
        let Some(metered) = self.boards.get(index) else { return MEAN_WINDOW };
        let (share, [shortest, longest]) = match metered.probe {
            Probe::Counter => (COUNTER_S_SHARE_OF_TIME, COUNTER_CADENCE),
            Probe::InstantPower | Probe::Power => (SHARE_OF_TIME, POWER_CADENCE),
            Probe::MeanPower => return MEAN_WINDOW,
        };
        (cost * share).clamp(shortest, longest)
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<Reading, Unreadable> {
        let Some(metered) = self.boards.get_mut(index) else {
            return Err(Unreadable::Failed(format!("there is no board {index}")));
        };
        let reading = metered.probe.read(&metered.device);
        reading.map(|reading| reading.part(metered.component.share)).map_err(|refusal| match refusal {
            Refusal::GpuLost => Unreadable::Lost(refusal.to_string()),
            _ => Unreadable::Failed(refusal.to_string()),
        })
    }

    fn ticks(&self, index: usize) -> bool {
        self.boards.get(index).is_some_and(|metered| metered.probe == Probe::Counter)
    }

    fn processes(&mut self, index: usize) -> Option<Vec<u32>> {
        let metered = self.boards.get(index)?;
        let device = metered.slice.as_ref().unwrap_or(&metered.device);
        let processes = device.running_compute_processes().ok()?;
        Some(processes.into_iter().map(|process| process.pid).collect())
    }

    fn power(&mut self, index: usize) -> Option<Power> {
        let metered = self.boards.get(index)?;
        // The power readings of a superchip are of less than what its counter counts.
        let power = if metered.holds_processor() { None } else { probe::power(&metered.device) };
        power.map(|power| power * metered.component.share)
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl Metered {
    /// # Errors
    /// Why the board cannot be measured.
    fn new(found: Found) -> Result<Self, String> {
        let Found { board, whole, slice } = found;
        let probe = Probe::best(&whole).map_err(|refusal| refusal.to_string())?;
        let mut component = Component {
            kind: Kind::Gpu,
            id: board.uuid.clone(),
            name: board.model.clone(),
            method: probe.method(),
            // A board that does not tell its limit is measured all the same.
            limit: whole.enforced_power_limit().ok().map(Power::from_milliwatts),
            share: 1.0,
            tolerance: Tolerance::of(TOLERANCE),
            note: superchip(&board.model, probe),
            board: Some(board),
        };
        let slice = match slice {
            Some(Slice { device, size, .. }) => {
                let (slices, all) = size.ok_or("NVML does not tell how large a slice it is")?;
                take_part(&mut component, slices, all);
                Some(device)
            }
            None => None,
        };
        Ok(Self { device: whole, slice, component, probe })
    }

    /// Whether the readings have the processor and the memory of a superchip in them.
    fn holds_processor(&self) -> bool {
        self.probe == Probe::Counter && self.component.name.contains(WITH_PROCESSOR)
    }
}

/// Makes a board's component that of a slice of it.
fn take_part(component: &mut Component, slices: u32, all: u32) {
    let share = f64::from(slices) / f64::from(all);
    component.name = format!("{} ({slices} of {all} slices)", component.name);
    component.share = share;
    // Neighbours may have used all of it or none.
    let whole = 1.0 + Tolerance::of(TOLERANCE).above;
    component.tolerance = Tolerance { below: 1.0, above: whole / share - 1.0 };
    let part =
        format!("{slices} of {all} parts of the whole board's energy: NVML does not tell that of a slice");
    component.note = Some(component.note.take().map_or(part.clone(), |note| format!("{part}; {note}")));
}

/// What a reader should know of a board that is a superchip with a processor.
fn superchip(model: &str, probe: Probe) -> Option<String> {
    if probe == Probe::Counter && model.contains(WITH_PROCESSOR) {
        Some("the processor and the memory of the superchip are in it".to_owned())
    } else if UNDOCUMENTED.iter().any(|name| model.contains(name)) {
        Some(
            "nobody says whether the processor of the superchip is in it; it is counted on its own as well"
                .to_owned(),
        )
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
