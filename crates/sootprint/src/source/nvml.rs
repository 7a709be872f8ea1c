//! NVIDIA boards through NVML: the energy counter, else power readings.
//!
//! <https://docs.nvidia.com/deploy/nvml-api/group__nvmlDeviceQueries.html>

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use nvml_wrapper::Device;
use nvml_wrapper::enums::device::{DeviceArchitecture, SampleValue};
use nvml_wrapper::error::NvmlError as Refusal;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;

use super::{Component, Kind, Method, Reading, Source, Unreadable};
use crate::boards::{Board, Visibility};
use crate::units::{Energy, Power};

/// NVIDIA documents its power sensors as accurate to 5 %; the counter is their integral.
const TOLERANCE: f64 = 0.05;

/// A counter loses nothing between reads, but for a restart, when the power readings around it stand in.
const COUNTER_CADENCE: Duration = Duration::from_millis(200);

/// An averaged reading stands for the second before it: read once a second, such readings tile.
const MEAN_WINDOW: Duration = Duration::from_secs(1);

/// Power changes within a training step. It is read as often as costs [`SHARE_OF_TIME`], within these bounds.
const POWER_CADENCE: [Duration; 2] = [Duration::from_millis(12), Duration::from_millis(100)];

/// One reading of the power may take this part of the time until the next: under 1 % of a core in all.
const SHARE_OF_TIME: u32 = 120;

/// The visible boards of one NVML library.
pub(crate) struct Nvml {
    boards: Vec<Metered>,
    gaps: Vec<String>,
}

struct Metered {
    device: Device<'static>,
    component: Component,
    probe: Probe,
    /// How long its last reading took.
    cost: Duration,
}

/// The best query that the board answers.
#[derive(Debug, Clone, Copy)]
enum Probe {
    Counter,
    InstantPower,
    /// `nvmlDeviceGetPowerUsage` where it is up to the moment: before Ampere, and on GA100.
    Power,
    /// `nvmlDeviceGetPowerUsage` where it is a one-second mean: on Ampere and later.
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
        if let Some(slice) = visibility.first_slice() {
            gaps.push(format!(
                "CUDA_VISIBLE_DEVICES names {slice}, a slice of a board, whose energy is not measured: \
                 NVML tells the energy of whole boards"
            ));
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
        for (ordinal, position) in visible.into_iter().enumerate() {
            let Some((board, device)) = devices[position].take() else { continue };
            let name = format!("{} ({})", board.model, board.uuid);
            match Metered::new(Board { cuda: Some(ordinal), ..board }, device) {
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

    fn cadence(&self, index: usize) -> Duration {
        let Some(metered) = self.boards.get(index) else { return COUNTER_CADENCE };
        match metered.probe {
            Probe::Counter => COUNTER_CADENCE,
            Probe::InstantPower | Probe::Power => {
                let [shortest, longest] = POWER_CADENCE;
                (metered.cost * SHARE_OF_TIME).clamp(shortest, longest)
            }
            Probe::MeanPower => MEAN_WINDOW,
        }
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<Reading, Unreadable> {
        let Some(metered) = self.boards.get_mut(index) else {
            return Err(Unreadable::Failed(format!("there is no board {index}")));
        };
        let begun = Instant::now();
        let reading = metered.probe.read(&metered.device);
        metered.cost = begun.elapsed();
        reading.map_err(|refusal| match refusal {
            Refusal::GpuLost => Unreadable::Lost(refusal.to_string()),
            _ => Unreadable::Failed(refusal.to_string()),
        })
    }

    fn ticks(&self, index: usize) -> bool {
        self.boards.get(index).is_some_and(|metered| matches!(metered.probe, Probe::Counter))
    }

    fn processes(&mut self, index: usize) -> Option<Vec<u32>> {
        let processes = self.boards.get(index)?.device.running_compute_processes().ok()?;
        Some(processes.into_iter().map(|process| process.pid).collect())
    }

    fn power(&mut self, index: usize) -> Option<Power> {
        let device = &self.boards.get(index)?.device;
        instant_power(device).or_else(|_| device.power_usage().map(Power::from_milliwatts)).ok()
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
                Probe::InstantPower | Probe::Power | Probe::MeanPower => Method::Integrated,
            },
            board: Some(board),
            // A board that does not tell its limit is measured all the same.
            limit: device.enforced_power_limit().ok().map(Power::from_milliwatts),
            share: 1.0,
            tolerance: TOLERANCE,
            note: None,
        };
        Ok(Self { device, component, probe, cost: Duration::ZERO })
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
        let probe = if averages(device) { Self::MeanPower } else { Self::Power };
        probe.read(device).map(|_| probe)
    }

    fn read(self, device: &Device<'_>) -> Result<Reading, Refusal> {
        Ok(match self {
            Self::Counter => Reading::Counter(Energy::from_millijoules(device.total_energy_consumption()?)),
            Self::InstantPower => Reading::Instant(instant_power(device)?),
            Self::Power => Reading::Instant(Power::from_milliwatts(device.power_usage()?)),
            Self::MeanPower => Reading::Averaged(Power::from_milliwatts(device.power_usage()?)),
        })
    }
}

/// Whether `nvmlDeviceGetPowerUsage` is a one-second mean: on Ampere and later but for GA100, says its documentation.
/// A board that does not tell its generation is taken for a later one.
fn averages(device: &Device<'_>) -> bool {
    const INSTANT: [DeviceArchitecture; 5] = [
        DeviceArchitecture::Kepler,
        DeviceArchitecture::Maxwell,
        DeviceArchitecture::Pascal,
        DeviceArchitecture::Volta,
        DeviceArchitecture::Turing,
    ];
    /// The products with a GA100, by the names that the driver gives them.
    const GA100: [&str; 3] = ["A100", "A800", "A30"];

    let is_ga100 = |name: String| name.split([' ', '-']).any(|word| GA100.contains(&word));
    match device.architecture() {
        Ok(generation) => !INSTANT.contains(&generation) && !device.name().is_ok_and(is_ga100),
        Err(_) => true,
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
    Ok(Board { uuid, pci, model, cuda: None })
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
