//! NVIDIA boards through NVML: the energy counter, else power readings.
//!
//! <https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html>

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nvml_wrapper::Device;
use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::error::NvmlError as Refusal;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;

use super::{Component, Kind, Method, Reading, Source, Unreadable};
use crate::boards::{Board, Visibility};
use crate::units::{Energy, Power};

/// NVIDIA documents its power sensors as accurate to 5 %; the counter is their integral.
const TOLERANCE: f64 = 0.05;

/// A counter loses nothing between reads.
const COUNTER_CADENCE: Duration = Duration::from_secs(1);

/// Power changes within a training step; ten readings a second cost under a thousandth of a core.
const POWER_CADENCE: Duration = Duration::from_millis(100);

/// The visible boards of one NVML library.
pub(crate) struct Nvml {
    boards: Vec<Metered>,
    gaps: Vec<String>,
}

struct Metered {
    device: Device<'static>,
    component: Component,
    probe: Probe,
}

/// The best query that the board answers.
#[derive(Debug, Clone, Copy)]
enum Probe {
    Counter,
    InstantPower,
    /// A one-second mean on Ampere and later, except GA100.
    MeanPower,
}

/// Why NVML could not be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NvmlError {
    /// There is no such library: no NVIDIA driver, or not where the loader looks.
    #[error(
        "no NVML library: {library} cannot be loaded ({reason}); \
         install NVIDIA's driver, or name the library's path in SOOTPRINT_NVML"
    )]
    NoLibrary {
        /// The name or path that was tried.
        library: String,
        /// What the loader says.
        reason: String,
    },
    /// The library is there and its driver does not answer.
    #[error("{library} does not start: {reason}; `nvidia-smi` shows whether the driver is loaded")]
    NoDriver {
        /// The name or path that was tried.
        library: String,
        /// What the library says.
        reason: String,
    },
}

impl Nvml {
    /// Opens the library at `path`, or the system's, and the boards that CUDA shows to this process.
    pub(crate) fn open(path: Option<&OsStr>, visibility: &Visibility) -> Result<Self, NvmlError> {
        let library = library(path)?;
        let count = library.device_count().map_err(|refusal| no_driver(path, &refusal))?;
        let mut found = Vec::new();
        let mut gaps = Vec::new();
        for index in 0..count {
            match library.device_by_index(index).and_then(|device| Ok((describe(&device)?, device))) {
                Ok(board) => found.push(board),
                Err(refusal) => gaps.push(format!("NVIDIA board {index} cannot be identified: {refusal}")),
            }
        }
        let all: Vec<Board> = found.iter().map(|(board, _)| board.clone()).collect();
        let visible = visibility.visible(&all);
        if !visible.is_empty() && !visibility.is_certain(&all) {
            gaps.push(
                "the boards differ and CUDA numbers them fastest first, so that a device's number may mean \
                 another board; set CUDA_DEVICE_ORDER=PCI_BUS_ID"
                    .to_owned(),
            );
        }
        let mut devices: Vec<_> = found.into_iter().map(Some).collect();
        let mut boards = Vec::new();
        for (board, device) in visible.into_iter().filter_map(|position| devices[position].take()) {
            let name = format!("{} ({})", board.model, board.uuid);
            match Metered::new(board, device) {
                Ok(metered) => boards.push(metered),
                Err(reason) => gaps.push(format!("{name} is not measured: {reason}")),
            }
        }
        Ok(Self { boards, gaps })
    }
}

impl Source for Nvml {
    fn components(&self) -> Vec<Component> {
        self.boards.iter().map(|metered| metered.component.clone()).collect()
    }

    fn cadence(&self) -> Duration {
        let counts = |metered: &Metered| matches!(metered.probe, Probe::Counter);
        if self.boards.iter().all(counts) { COUNTER_CADENCE } else { POWER_CADENCE }
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<Reading, Unreadable> {
        let Some(metered) = self.boards.get(index) else {
            return Err(Unreadable::Failed(format!("there is no board {index}")));
        };
        metered.probe.read(&metered.device).map_err(|refusal| match refusal {
            Refusal::GpuLost => Unreadable::Lost(refusal.to_string()),
            _ => Unreadable::Failed(refusal.to_string()),
        })
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl Metered {
    fn new(board: Board, device: Device<'static>) -> Result<Self, Refusal> {
        let probe = Probe::best(&device)?;
        let component = Component {
            kind: Kind::Gpu,
            id: board.uuid.clone(),
            name: board.model.clone(),
            method: match probe {
                Probe::Counter => Method::Counter,
                Probe::InstantPower | Probe::MeanPower => Method::Integrated,
            },
            board: Some(board),
            // A board that does not tell its limit is measured all the same.
            limit: device.enforced_power_limit().ok().map(Power::from_milliwatts),
            share: 1.0,
            tolerance: TOLERANCE,
            note: None,
        };
        Ok(Self { device, component, probe })
    }
}

impl Probe {
    /// The first query that the board answers; the refusal of the last one when it answers none.
    fn best(device: &Device<'_>) -> Result<Self, Refusal> {
        for probe in [Self::Counter, Self::InstantPower] {
            if probe.read(device).is_ok() {
                return Ok(probe);
            }
        }
        Self::MeanPower.read(device).map(|_| Self::MeanPower)
    }

    fn read(self, device: &Device<'_>) -> Result<Reading, Refusal> {
        Ok(match self {
            Self::Counter => Reading::Counter(Energy::from_millijoules(device.total_energy_consumption()?)),
            Self::InstantPower => Reading::Instant(instant_power(device)?),
            Self::MeanPower => Reading::Averaged(Power::from_milliwatts(device.power_usage()?)),
        })
    }
}

/// `NVML_FI_DEV_POWER_INSTANT`, in milliwatts, from driver 530 on.
fn instant_power(device: &Device<'_>) -> Result<Power, Refusal> {
    let field = device
        .field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?
        .pop()
        .ok_or(Refusal::NotSupported)??;
    match field.value? {
        SampleValue::U32(milliwatts) => Ok(Power::from_milliwatts(milliwatts)),
        SampleValue::U64(milliwatts) => {
            u32::try_from(milliwatts).map(Power::from_milliwatts).map_err(|_| Refusal::Unknown)
        }
        SampleValue::F64(_) | SampleValue::I64(_) => Err(Refusal::Unknown),
    }
}

fn describe(device: &Device<'_>) -> Result<Board, Refusal> {
    let uuid = device.uuid()?;
    // Neither a missing name nor a missing address costs the energy.
    let model = device.name().unwrap_or_else(|_| "NVIDIA GPU".to_owned());
    let pci = device.pci_info().map(|info| info.bus_id).unwrap_or_default();
    Ok(Board { uuid, pci, model })
}

/// The library, opened once per path and kept until the process ends.
///
/// Opening takes the driver a second on a large machine, so a second run must not pay it again; and a device of
/// `nvml-wrapper` borrows its library, which therefore has to outlive every run.
fn library(path: Option<&OsStr>) -> Result<&'static nvml_wrapper::Nvml, NvmlError> {
    static OPENED: Mutex<Option<HashMap<Option<OsString>, &'static nvml_wrapper::Nvml>>> = Mutex::new(None);

    let mut opened = OPENED.lock().unwrap_or_else(PoisonError::into_inner);
    let opened = opened.get_or_insert_default();
    let key = path.map(OsStr::to_owned);
    if let Some(library) = opened.get(&key) {
        return Ok(library);
    }
    let mut builder = nvml_wrapper::Nvml::builder();
    if let Some(path) = path {
        builder.lib_path(path);
    }
    let library = builder.init().map_err(|refusal| match &refusal {
        Refusal::LibloadingError(reason) => {
            NvmlError::NoLibrary { library: name(path), reason: reason.to_string() }
        }
        _ => no_driver(path, &refusal),
    })?;
    let library: &'static _ = Box::leak(Box::new(library));
    opened.insert(key, library);
    Ok(library)
}

fn no_driver(path: Option<&OsStr>, refusal: &Refusal) -> NvmlError {
    NvmlError::NoDriver { library: name(path), reason: refusal.to_string() }
}

fn name(path: Option<&OsStr>) -> String {
    path.map_or_else(|| "libnvidia-ml.so.1".to_owned(), |path| path.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests;
