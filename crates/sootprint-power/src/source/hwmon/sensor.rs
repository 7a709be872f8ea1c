//! What a board's driver tells of its energy, and the best of it.

use std::io;
use std::path::{Path, PathBuf};

use sootprint_core::Power;

use super::super::sysfs::{energy_from_microjoules, power_from_microwatts, read_number};
use super::super::{MeasurementMethod, SensorReading};

/// The files that tell of energy or power, best first, each with what it is.
///
/// The channel is 1 for the whole card and 2 for the chip's package, which is all that xe has for some cards.
const SENSOR_FILES: [(&str, HwmonSensorKind, u8); 4] = [
    ("energy1_input", HwmonSensorKind::Counter, 1),
    ("energy2_input", HwmonSensorKind::Counter, 2),
    ("power1_average", HwmonSensorKind::Averaged, 1),
    ("power1_input", HwmonSensorKind::Instant, 1),
];

/// A sensor of a board.
#[derive(Debug)]
pub(super) struct HwmonSensor {
    pub(super) file: PathBuf,
    kind: HwmonSensorKind,
    channel: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum HwmonSensorKind {
    /// Microjoules. The driver unrolls the hardware's counter into 63 bits.
    Counter,
    /// The mean over a window of the driver's choice, in microwatts.
    Averaged,
    /// The power at this moment, in microwatts.
    Instant,
}

impl HwmonSensor {
    /// The first sensor that answers. Of a board that is asleep, the first one that it has.
    ///
    /// # Errors
    /// The answer of the last sensor when none answers well.
    pub(super) fn first_supported(hwmon_dir: &Path, is_suspended: bool) -> io::Result<Self> {
        let mut last_error = io::Error::new(
            io::ErrorKind::NotFound,
            format!("its driver tells neither energy nor power in {}", hwmon_dir.display()),
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
    /// What the system says; and that no power is told, for a board that is awake draws some.
    pub(super) fn read(&self) -> io::Result<SensorReading> {
        let value = read_number(&self.file)?;
        if value == 0 && !self.is_counter() {
            let reason =
                "its driver tells 0 W; that of a card of two devices tells the power of both with the first";
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

    /// The most that the board may draw for longer than a moment: AMD's cap, Intel's second and first limit, or what
    /// the board is rated at. A limit of zero is one that is switched off.
    pub(super) fn power_limit(&self, hwmon_dir: &Path) -> Option<Power> {
        let limits = ["cap", "max", "rated_max"].map(|kind| format!("power{}_{kind}", self.channel));
        let read = |file: &String| read_number(&hwmon_dir.join(file)).ok().filter(|limit| *limit > 0);
        limits.iter().find_map(read).map(power_from_microwatts)
    }

    /// What a reader of the figure should know.
    pub(super) fn note(&self) -> Option<&'static str> {
        (self.channel == 2)
            .then_some("the chip's package alone: what is around it on the card is not counted")
    }
}
