//! AMD and Intel GPUs through the kernel's hwmon: the energy counter, or power readings if there is no counter.
//!
//! <https://docs.kernel.org/gpu/amdgpu/thermal.html#hwmon-interfaces>,
//! <https://docs.kernel.org/admin-guide/abi-testing.html> (`sysfs-driver-intel-i915-hwmon`,
//! `sysfs-driver-intel-xe-hwmon`). NVIDIA GPUs are read by [`super::nvml`], even if nouveau drives them.
//!
//! # When it is wrong
//! - An integrated GPU has no power reading of its own: amdgpu reports that of the whole package. It is not counted
//!   as a GPU here; its energy is part of the CPU's in RAPL. It is identified by its northbridge voltage, which
//!   amdgpu shows for no other GPU. The MI300A does not show one and is identified by its device id.
//! - For a card with two devices (MI250), the driver reports the power of both on the first one. The second is
//!   reported as a gap.
//! - For some cards xe only counts the chip's package, without the rest of the card. The component's note states
//!   this.
//! - The averaging window of amdgpu is not documented; it blurs epoch boundaries.

mod sensor;

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::sysfs::read_line;
use super::{
    ComponentInfo, ComponentKind, EnergySource, ReadCadence, ReadError, SensorReading, SensorTolerance,
    plausible_power,
};
use crate::gpu::{GpuInfo, RocmDevices};
use sensor::HwmonSensor;

/// An assumption, twice NVIDIA's specification: neither AMD nor Intel documents an error.
const SENSOR_ACCURACY: f64 = 0.1;

/// A counter loses nothing between reads.
const COUNTER_CADENCE: Duration = Duration::from_secs(1);

/// Power changes within a training step. The read cost of these drivers has not been measured, so ten reads per
/// second is a conservative choice.
const POWER_CADENCE: Duration = Duration::from_millis(100);

/// The MI300A, whose package contains the CPU: <https://pci-ids.ucw.cz/read/PC/1002/74a0>
const CPU_INCLUSIVE_DEVICE_IDS: [&str; 1] = ["1002:74a0"];

/// `ENODEV`, the error of a driver whose GPU is no longer on the bus.
const ENODEV: i32 = 19;

/// The AMD and Intel GPUs, by PCI address.
#[derive(Debug, Default)]
pub(crate) struct Hwmon {
    gpus: Vec<HwmonGpu>,
    gaps: Vec<String>,
    integrated_gpus: Vec<String>,
}

#[derive(Debug)]
struct HwmonGpu {
    component: ComponentInfo,
    sensor: HwmonSensor,
    /// The device's folder, such as `/sys/devices/pci0000:00/0000:03:00.0`.
    device_dir: PathBuf,
}

/// A GPU found in hwmon, before its first read.
#[derive(Debug)]
struct HwmonDevice {
    hwmon_dir: PathBuf,
    device_dir: PathBuf,
    /// Vendor and device id, such as `1002:744c`.
    pci_id: String,
    gpu: GpuInfo,
}

impl Hwmon {
    /// Opens the GPUs under `root`, which is `/sys/class/hwmon`; empty if there is no hwmon. GPUs that ROCm hides
    /// from this process are not opened.
    pub(crate) fn open(root: &Path, rocm: &RocmDevices) -> Self {
        let mut devices: Vec<HwmonDevice> = std::fs::read_dir(root)
            .into_iter()
            .flatten()
            .filter_map(|entry| HwmonDevice::detect(&entry.ok()?.path()))
            .collect();
        // hwmon numbers devices in the order in which drivers load, which differs between boots.
        devices.sort_by(|one, other| one.gpu.pci.cmp(&other.gpu.pci));
        devices.dedup_by(|one, other| one.gpu.pci == other.gpu.pci);
        let mut hwmon = Self::default();
        for mut device in devices.into_iter().filter(|found| !rocm.is_hidden(&found.gpu.pci)) {
            device.gpu.rocm = rocm.ordinal(&device.gpu.pci);
            hwmon.add_device(device);
        }
        hwmon
    }

    /// Integrated GPUs. Their energy is part of the CPU package and of no GPU component.
    pub(crate) fn integrated_gpus(&self) -> &[String] {
        &self.integrated_gpus
    }

    fn add_device(&mut self, device: HwmonDevice) {
        let name = format!("{} ({})", device.gpu.model, device.gpu.pci);
        let includes_cpu = CPU_INCLUSIVE_DEVICE_IDS.contains(&device.pci_id.as_str());
        if !includes_cpu && device.is_integrated() {
            self.integrated_gpus.push(format!("{name} is part of the CPU, whose energy includes it"));
            return;
        }
        match HwmonGpu::new(device) {
            Ok(mut gpu) => {
                if includes_cpu {
                    gpu.component.includes = vec![ComponentKind::Cpu];
                    gpu.component.note = Some("includes the CPU of the same package".to_owned());
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

    fn cadence(&self, index: usize) -> ReadCadence {
        ReadCadence::fixed(if self.is_ticking_counter(index) { COUNTER_CADENCE } else { POWER_CADENCE })
    }

    fn read(&mut self, index: usize, _now: Duration) -> Result<SensorReading, ReadError> {
        match self.gpus.get(index) {
            Some(gpu) => gpu.read(),
            None => Err(ReadError::Failed(format!("hwmon has no component {index}"))),
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
    /// The GPU of a hwmon folder. `None` if it is not an AMD or Intel GPU.
    fn detect(hwmon_dir: &Path) -> Option<Self> {
        // Excludes `i915_gt0` and the like, which count a part of `i915`.
        let maker = match read_line(&hwmon_dir.join("name")).ok()?.as_str() {
            "amdgpu" => "AMD",
            "i915" | "xe" => "Intel",
            _ => return None,
        };
        let device_dir = std::fs::canonicalize(hwmon_dir.join("device")).ok()?;
        let pci = device_dir.file_name()?.to_str()?.to_owned();
        let part = |file| Some(read_line(&device_dir.join(file)).ok()?.trim_start_matches("0x").to_owned());
        let pci_id = format!("{}:{}", part("vendor")?, part("device")?);
        // Server GPUs store a product name. For others the kernel only has the device id.
        let named = read_line(&device_dir.join("product_name")).ok().filter(|name| !name.is_empty());
        let model = named.unwrap_or_else(|| format!("{maker} GPU [{pci_id}]"));
        // ROCm's UUID is `GPU-` and this number, which Vega 20 and later have.
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
        let limit = sensor.power_limit(&hwmon_dir).filter(|limit| plausible_power::is_gpu_limit(*limit));
        let component = ComponentInfo {
            kind: ComponentKind::Gpu,
            id: gpu.uuid.clone(),
            name: gpu.model.clone(),
            method: sensor.method(),
            limit,
            assumed_limit: limit.is_none().then(|| plausible_power::assumed_gpu_limit(&gpu.model)),
            min_power: Some(plausible_power::MIN_GPU_POWER),
            includes: Vec::new(),
            share: 1.0,
            tolerance: SensorTolerance::from_accuracy(SENSOR_ACCURACY),
            note: sensor.note().map(str::to_owned),
            gpu: Some(gpu),
        };
        Ok(Self { component, sensor, device_dir })
    }

    fn read(&self) -> Result<SensorReading, ReadError> {
        if is_suspended(&self.device_dir) {
            return Err(ReadError::Suspended);
        }
        self.sensor.read().map_err(|error| {
            let is_gone = error.kind() == io::ErrorKind::NotFound || error.raw_os_error() == Some(ENODEV);
            let reason = format!("{}: {error}", self.sensor.file.display());
            if is_gone { ReadError::Lost(reason) } else { ReadError::Failed(reason) }
        })
    }
}

/// Whether the kernel has suspended the device. Reading its sensors would resume it.
fn is_suspended(device_dir: &Path) -> bool {
    read_line(&device_dir.join("power/runtime_status")).is_ok_and(|status| status == "suspended")
}

#[cfg(unix)]
#[cfg(test)]
mod tests;
