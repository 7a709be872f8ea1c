//! The energy and power files of a GPU's driver, and the choice of the best one.

use std::io;
use std::path::{Path, PathBuf};

use sootprint_core::Power;

use super::super::sysfs::{energy_from_microjoules, power_from_microwatts, read_number};
use super::super::{MeasurementMethod, SensorReading};

/// The energy and power files, best first, with their kinds.
///
/// Channel 1 is the whole card and channel 2 the chip's package, which is the only one that xe has for some cards.
const SENSOR_FILES: [(&str, HwmonSensorKind, u8); 4] = [
    ("energy1_input", HwmonSensorKind::Counter, 1),
    ("energy2_input", HwmonSensorKind::Counter, 2),
    ("power1_average", HwmonSensorKind::Averaged, 1),
    ("power1_input", HwmonSensorKind::Instant, 1),
];

/// A sensor of a GPU.
#[derive(Debug)]
pub(super) struct HwmonSensor {
    pub(super) file: PathBuf,
    kind: HwmonSensorKind,
    channel: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HwmonSensorKind {
    /// Microjoules. The driver extends the hardware's counter to 63 bits.
    Counter,
    /// The mean over an undocumented window, in microwatts.
    Averaged,
    /// The current power in microwatts.
    Instant,
}

impl HwmonSensor {
    /// The first sensor that can be read. For a suspended GPU, the first one that exists.
    ///
    /// # Errors
    /// The error of the last sensor if none can be read.
    pub(super) fn first_supported(hwmon_dir: &Path, is_suspended: bool) -> io::Result<Self> {
        let mut last_error = io::Error::new(
            io::ErrorKind::NotFound,
            format!("no energy or power file in {}", hwmon_dir.display()),
        );
        for (file, sensor, channel) in SENSOR_FILES {
            let sensor = Self { file: hwmon_dir.join(file), kind: sensor, channel };
            if !sensor.file.exists() {
                continue;
            }
            if is_suspended {
                return Ok(sensor);
            }
            match sensor.read() {
                Ok(_) => return Ok(sensor),
                Err(error) => last_error = error,
            }
        }
        Err(last_error)
    }

    /// # Errors
    /// The error of the operating system, or a reading of zero: a GPU that is awake draws power.
    pub(super) fn read(&self) -> io::Result<SensorReading> {
        let value = read_number(&self.file)?;
        if value == 0 && !self.is_counter() {
            let reason = "the driver reports 0 W; for a card with two devices, it reports the power of both on the first";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(match self.kind {
            HwmonSensorKind::Counter => SensorReading::Counter(energy_from_microjoules(value)),
            HwmonSensorKind::Averaged => {
                SensorReading::Averaged { mean: power_from_microwatts(value), window: None }
            }
            HwmonSensorKind::Instant => SensorReading::Instant(power_from_microwatts(value)),
        })
    }

    pub(super) fn is_counter(&self) -> bool {
        self.kind == HwmonSensorKind::Counter
    }

    pub(super) fn method(&self) -> MeasurementMethod {
        if self.is_counter() { MeasurementMethod::Counter } else { MeasurementMethod::Integrated }
    }

    /// The sustained power limit: AMD's cap, Intel's second and first limit, or the rated power. A limit of zero is
    /// disabled.
    pub(super) fn power_limit(&self, hwmon_dir: &Path) -> Option<Power> {
        let limits = ["cap", "max", "rated_max"].map(|kind| format!("power{}_{kind}", self.channel));
        let read = |file: &String| read_number(&hwmon_dir.join(file)).ok().filter(|limit| *limit > 0);
        limits.iter().find_map(read).map(power_from_microwatts)
    }

    /// A remark on the figure for its readers.
    pub(super) fn note(&self) -> Option<&'static str> {
        (self.channel == 2).then_some("the chip's package only: the rest of the card is not counted")
    }
}
