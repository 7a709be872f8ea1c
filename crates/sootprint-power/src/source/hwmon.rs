//! AMD's and Intel's boards through the kernel's hwmon: the energy counter, else power readings.
//!
//! <https://docs.kernel.org/gpu/amdgpu/thermal.html#hwmon-interfaces>,
//! <https://docs.kernel.org/admin-guide/abi-testing.html> (`sysfs-driver-intel-i915-hwmon`,
//! `sysfs-driver-intel-xe-hwmon`). NVIDIA's boards are [`super::nvml`]'s, also where nouveau drives them.
//!
//! # When it is wrong
//! - A graphics processor that shares a package with the processor has no power reading of its own: amdgpu tells that
//!   of the whole package. Such a one is not a board here; RAPL has its energy in the processor's. It is known by its
//!   northbridge voltage, which amdgpu shows for no other. The MI300A shows none, so it is known by its number.
//! - Of a card that is two devices (MI250), the driver tells the power of both with the first. The second is a gap.
//! - Of some cards xe counts only the chip's package, without what is around it; the component's note says so.
//! - The window over which amdgpu averages is not documented; an edge of an epoch is blurred by it.

mod probe;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sysfs::word;
use super::{Component, Kind, Reading, Source, Tolerance, Unreadable};
use crate::boards::{Board, RocmDevices};
use probe::Probe;

/// An assumption, twice what NVIDIA states of its sensors: neither AMD nor Intel documents an error.
const TOLERANCE: f64 = 0.1;

/// A counter loses nothing between reads.
const COUNTER_CADENCE: Duration = Duration::from_secs(1);

/// Power changes within a training step. What a reading costs these drivers is not measured here: ten a second are few.
const POWER_CADENCE: Duration = Duration::from_millis(100);

/// The MI300A, whose package holds the processor: <https://pci-ids.ucw.cz/read/PC/1002/74a0>
const WITH_PROCESSOR: [&str; 1] = ["1002:74a0"];

/// `ENODEV`, which a driver answers for a board that fell off the bus.
const NO_DEVICE: i32 = 19;

/// The boards of AMD and Intel, by PCI address.
#[derive(Debug, Default)]
pub(crate) struct Hwmon {
    boards: Vec<Metered>,
    gaps: Vec<String>,
    part_of_processor: Vec<String>,
    holds_processor: bool,
}

#[derive(Debug)]
struct Metered {
    component: Component,
    probe: Probe,
    /// The device's folder, as in `/sys/devices/pci0000:00/0000:03:00.0`.
    device: PathBuf,
}

/// What hwmon and the device's folder say of a board before it is read.
#[derive(Debug)]
struct Found {
    hwmon: PathBuf,
    device: PathBuf,
    /// Vendor and device, as in `1002:744c`.
    number: String,
    board: Board,
}

impl Hwmon {
    /// Opens the boards under `root`, which is `/sys/class/hwmon`; none where there is no hwmon. A board that ROCm is
    /// told to hide from this process is not opened.
    pub(crate) fn open(root: &Path, rocm: &RocmDevices) -> Self {
        let mut found: Vec<Found> = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .filter_map(|entry| Found::look(&entry.ok()?.path()))
            .collect();
        // hwmon numbers them as the drivers come up, which differs from start to start.
        found.sort_by(|one, other| one.board.pci.cmp(&other.board.pci));
        found.dedup_by(|one, other| one.board.pci == other.board.pci);
        let mut hwmon = Self::default();
        for mut found in found.into_iter().filter(|found| !rocm.hides(&found.board.pci)) {
            found.board.rocm = rocm.ordinal(&found.board.pci);
            hwmon.add(found);
        }
        hwmon
    }

    /// Graphics processors whose energy is in the processor's package, and therefore in no board's.
    pub(crate) fn part_of_processor(&self) -> &[String] {
        &self.part_of_processor
    }

    /// Whether a board's readings have the processor's energy in them, so that the processor must not be added.
    pub(crate) fn holds_processor(&self) -> bool {
        self.holds_processor
    }

    fn add(&mut self, found: Found) {
        let name = format!("{} ({})", found.board.model, found.board.pci);
        let holds_processor = WITH_PROCESSOR.contains(&found.number.as_str());
        if !holds_processor && found.shares_a_package() {
            self.part_of_processor
                .push(format!("{name} is a part of the processor, whose energy includes it"));
            return;
        }
        match Metered::new(found) {
            Ok(mut metered) => {
                if holds_processor {
                    self.holds_processor = true;
                    metered.component.note = Some("the processor of the same package is in it".to_owned());
                    self.gaps.push(format!(
                        "{name} has the processor in its readings, which is therefore not counted on its own: a run \
                         that does not use the board has no energy of a processor"
                    ));
                }
                self.boards.push(metered);
            }
            Err(reason) => self.gaps.push(format!("{name} is not measured: {reason}")),
        }
    }
}

impl Source for Hwmon {
    fn components(&self) -> Vec<Component> {
        self.boards.iter().map(|metered| metered.component.clone()).collect()
    }

    fn cadence(&self, index: usize, _cost: Duration) -> Duration {
        if self.ticks(index) { COUNTER_CADENCE } else { POWER_CADENCE }
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<Reading, Unreadable> {
        match self.boards.get(index) {
            Some(metered) => metered.read(),
            None => Err(Unreadable::Failed(format!("hwmon has no board {index}"))),
        }
    }

    fn ticks(&self, index: usize) -> bool {
        self.boards.get(index).is_some_and(|metered| metered.probe.is_counter())
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl Found {
    /// What is at a folder of hwmon; none when it is no board of AMD's or Intel's.
    fn look(hwmon: &Path) -> Option<Self> {
        // Not `i915_gt0` and the like, which count a part of what `i915` counts.
        let maker = match word(&hwmon.join("name")).ok()?.as_str() {
            "amdgpu" => "AMD",
            "i915" | "xe" => "Intel",
            _ => return None,
        };
        let device = std::fs::canonicalize(hwmon.join("device")).ok()?;
        let pci = device.file_name()?.to_str()?.to_owned();
        let part = |file| Some(word(&device.join(file)).ok()?.trim_start_matches("0x").to_owned());
        let number = format!("{}:{}", part("vendor")?, part("device")?);
        // Server boards have a name in their memory; of others the kernel knows only the number.
        let named = word(&device.join("product_name")).ok().filter(|name| !name.is_empty());
        let model = named.unwrap_or_else(|| format!("{maker} GPU [{number}]"));
        // ROCm calls a board by `GPU-` and this number, which Vega 20 and later have.
        let unique = word(&device.join("unique_id")).ok().filter(|id| id.bytes().any(|digit| digit != b'0'));
        let uuid = unique.map_or_else(|| format!("GPU-pci-{pci}"), |id| format!("GPU-{id}"));
        let board = Board { uuid, pci, model, ..Board::default() };
        Some(Self { hwmon: hwmon.to_owned(), device, number, board })
    }

    fn shares_a_package(&self) -> bool {
        word(&self.hwmon.join("in1_label")).is_ok_and(|label| label == "vddnb")
    }
}

impl Metered {
    fn new(found: Found) -> Result<Self, io::Error> {
        let Found { hwmon, device, board, .. } = found;
        let probe = Probe::best(&hwmon, is_asleep(&device))?;
        let component = Component {
            kind: Kind::Gpu,
            id: board.uuid.clone(),
            name: board.model.clone(),
            method: probe.method(),
            limit: probe.limit(&hwmon),
            share: 1.0,
            tolerance: Tolerance::of(TOLERANCE),
            note: probe.note().map(str::to_owned),
            board: Some(board),
        };
        Ok(Self { component, probe, device })
    }

    fn read(&self) -> Result<Reading, Unreadable> {
        if is_asleep(&self.device) {
            return Err(Unreadable::Failed(
                "asleep: nothing uses it, and a reading would wake it".to_owned(),
            ));
        }
        self.probe.read().map_err(|error| {
            let is_gone = error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(NO_DEVICE);
            let reason = format!("{}: {error}", self.probe.file.display());
            if is_gone { Unreadable::Lost(reason) } else { Unreadable::Failed(reason) }
        })
    }
}

/// Whether the kernel has suspended the device. To read its sensors would resume it.
fn is_asleep(device: &Path) -> bool {
    word(&device.join("power/runtime_status")).is_ok_and(|status| status == "suspended")
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
