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

mod sensor;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sysfs::read_line;
use super::{ComponentInfo, ComponentKind, EnergySource, ReadError, SensorReading, SensorTolerance};
use crate::gpu::{GpuInfo, RocmDevices};
use sensor::HwmonSensor;

/// An assumption, twice what NVIDIA states of its sensors: neither AMD nor Intel documents an error.
const SENSOR_ACCURACY: f64 = 0.1;

/// A counter loses nothing between reads.
const COUNTER_CADENCE: Duration = Duration::from_secs(1);

/// Power changes within a training step. What a reading costs these drivers is not measured here: ten a second are few.
const POWER_CADENCE: Duration = Duration::from_millis(100);

/// The MI300A, whose package holds the processor: <https://pci-ids.ucw.cz/read/PC/1002/74a0>
const CPU_INCLUSIVE_DEVICE_IDS: [&str; 1] = ["1002:74a0"];

/// `ENODEV`, which a driver answers for a board that fell off the bus.
const ENODEV: i32 = 19;

/// The boards of AMD and Intel, by PCI address.
#[derive(Debug, Default)]
pub(crate) struct Hwmon {
    gpus: Vec<HwmonGpu>,
    gaps: Vec<String>,
    integrated_gpus: Vec<String>,
    includes_cpu: bool,
}

#[derive(Debug)]
struct HwmonGpu {
    component: ComponentInfo,
    sensor: HwmonSensor,
    /// The device's folder, as in `/sys/devices/pci0000:00/0000:03:00.0`.
    device_dir: PathBuf,
}

/// What hwmon and the device's folder say of a board before it is read.
#[derive(Debug)]
struct HwmonDevice {
    hwmon_dir: PathBuf,
    device_dir: PathBuf,
    /// Vendor and device, as in `1002:744c`.
    pci_id: String,
    gpu: GpuInfo,
}

impl Hwmon {
    /// Opens the boards under `root`, which is `/sys/class/hwmon`; none where there is no hwmon. A board that ROCm is
    /// told to hide from this process is not opened.
    pub(crate) fn open(root: &Path, rocm: &RocmDevices) -> Self {
        let mut devices: Vec<HwmonDevice> = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .filter_map(|entry| HwmonDevice::detect(&entry.ok()?.path()))
            .collect();
        // hwmon numbers them as the drivers come up, which differs from start to start.
        devices.sort_by(|one, other| one.gpu.pci.cmp(&other.gpu.pci));
        devices.dedup_by(|one, other| one.gpu.pci == other.gpu.pci);
        let mut hwmon = Self::default();
        for mut device in devices.into_iter().filter(|found| !rocm.is_hidden(&found.gpu.pci)) {
            device.gpu.rocm = rocm.ordinal(&device.gpu.pci);
            hwmon.add_device(device);
        }
        hwmon
    }

    /// Graphics processors whose energy is in the processor's package, and therefore in no board's.
    pub(crate) fn integrated_gpus(&self) -> &[String] {
        &self.integrated_gpus
    }

    /// Whether a board's readings have the processor's energy in them, so that the processor must not be added.
    pub(crate) fn includes_cpu(&self) -> bool {
        self.includes_cpu
    }

    fn add_device(&mut self, device: HwmonDevice) {
        let name = format!("{} ({})", device.gpu.model, device.gpu.pci);
        let includes_cpu = CPU_INCLUSIVE_DEVICE_IDS.contains(&device.pci_id.as_str());
        if !includes_cpu && device.is_integrated() {
            self.integrated_gpus.push(format!("{name} is a part of the processor, whose energy includes it"));
            return;
        }
        match HwmonGpu::new(device) {
            Ok(mut gpu) => {
                if includes_cpu {
                    self.includes_cpu = true;
                    gpu.component.note = Some("the processor of the same package is in it".to_owned());
                    self.gaps.push(format!(
                        "{name} has the processor in its readings, which is therefore not counted on its own: a run \
                         that does not use the board has no energy of a processor"
                    ));
                }
                self.gpus.push(gpu);
            }
            Err(reason) => self.gaps.push(format!("{name} is not measured: {reason}")),
        }
    }
}

impl EnergySource for Hwmon {
    fn components(&self) -> Vec<ComponentInfo> {
        self.gpus.iter().map(|gpu| gpu.component.clone()).collect()
    }

    fn cadence(&self, index: usize, _cost: Duration) -> Duration {
        if self.is_ticking_counter(index) { COUNTER_CADENCE } else { POWER_CADENCE }
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<SensorReading, ReadError> {
        match self.gpus.get(index) {
            Some(gpu) => gpu.read(),
            None => Err(ReadError::Failed(format!("hwmon has no board {index}"))),
        }
    }

    fn is_ticking_counter(&self, index: usize) -> bool {
        self.gpus.get(index).is_some_and(|gpu| gpu.sensor.is_counter())
    }

    fn gaps(&self) -> Vec<String> {
        self.gaps.clone()
    }
}

impl HwmonDevice {
    /// What is at a folder of hwmon; none when it is no board of AMD's or Intel's.
    fn detect(hwmon_dir: &Path) -> Option<Self> {
        // Not `i915_gt0` and the like, which count a part of what `i915` counts.
        let maker = match read_line(&hwmon_dir.join("name")).ok()?.as_str() {
            "amdgpu" => "AMD",
            "i915" | "xe" => "Intel",
            _ => return None,
        };
        let device_dir = std::fs::canonicalize(hwmon_dir.join("device")).ok()?;
        let pci = device_dir.file_name()?.to_str()?.to_owned();
        let part = |file| Some(read_line(&device_dir.join(file)).ok()?.trim_start_matches("0x").to_owned());
        let pci_id = format!("{}:{}", part("vendor")?, part("device")?);
        // Server boards have a name in their memory; of others the kernel knows only the number.
        let named = read_line(&device_dir.join("product_name")).ok().filter(|name| !name.is_empty());
        let model = named.unwrap_or_else(|| format!("{maker} GPU [{pci_id}]"));
        // ROCm calls a board by `GPU-` and this number, which Vega 20 and later have.
        let unique =
            read_line(&device_dir.join("unique_id")).ok().filter(|id| id.bytes().any(|digit| digit != b'0'));
        let uuid = unique.map_or_else(|| format!("GPU-pci-{pci}"), |id| format!("GPU-{id}"));
        let gpu = GpuInfo { uuid, pci, model, ..GpuInfo::default() };
        Some(Self { hwmon_dir: hwmon_dir.to_owned(), device_dir, pci_id, gpu })
    }

    fn is_integrated(&self) -> bool {
        read_line(&self.hwmon_dir.join("in1_label")).is_ok_and(|label| label == "vddnb")
    }
}

impl HwmonGpu {
    fn new(detected: HwmonDevice) -> Result<Self, io::Error> {
        let HwmonDevice { hwmon_dir, device_dir, gpu, .. } = detected;
        let sensor = HwmonSensor::first_supported(&hwmon_dir, is_suspended(&device_dir))?;
        let component = ComponentInfo {
            kind: ComponentKind::Gpu,
            id: gpu.uuid.clone(),
            name: gpu.model.clone(),
            method: sensor.method(),
            limit: sensor.power_limit(&hwmon_dir),
            share: 1.0,
            tolerance: SensorTolerance::from_accuracy(SENSOR_ACCURACY),
            note: sensor.note().map(str::to_owned),
            gpu: Some(gpu),
        };
        Ok(Self { component, sensor, device_dir })
    }

    fn read(&self) -> Result<SensorReading, ReadError> {
        if is_suspended(&self.device_dir) {
            return Err(ReadError::Failed("asleep: nothing uses it, and a reading would wake it".to_owned()));
        }
        self.sensor.read().map_err(|error| {
            let is_gone = error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENODEV);
            let reason = format!("{}: {error}", self.sensor.file.display());
            if is_gone { ReadError::Lost(reason) } else { ReadError::Failed(reason) }
        })
    }
}

/// Whether the kernel has suspended the device. To read its sensors would resume it.
fn is_suspended(device_dir: &Path) -> bool {
    read_line(&device_dir.join("power/runtime_status")).is_ok_and(|status| status == "suspended")
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
