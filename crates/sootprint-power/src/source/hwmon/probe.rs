//! What a board's driver tells of its energy, and the best of it.

use std::io;
use std::path::{Path, PathBuf};

use sootprint_core::Power;

use super::super::sysfs::{microjoules, microwatts, number};
use super::super::{Method, Reading};

/// The files that tell of energy or power, best first, each with what it is.
///
/// The channel is 1 for the whole card and 2 for the chip's package, which is all that xe has for some cards.
const SENSORS: [(&str, Sensor, u8); 4] = [
    ("energy1_input", Sensor::Counter, 1),
    ("energy2_input", Sensor::Counter, 2),
    ("power1_average", Sensor::Averaged, 1),
    ("power1_input", Sensor::Instant, 1),
];

/// A sensor of a board.
#[derive(Debug)]
pub(super) struct Probe {
    pub(super) file: PathBuf,
    sensor: Sensor,
    channel: u8,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sensor {
    /// Microjoules. The driver unrolls the hardware's counter into 63 bits.
    Counter,
    /// The mean over a window of the driver's choice, in microwatts.
    Averaged,
    /// The power at this moment, in microwatts.
    Instant,
}

impl Probe {
    /// The first sensor that answers. Of a board that is asleep, the first one that it has.
    ///
    /// # Errors
    /// The answer of the last sensor when none answers well.
    pub(super) fn best(hwmon: &Path, is_asleep: bool) -> io::Result<Self> {
        let mut refusal = io::Error::new(
            io::ErrorKind::NotFound,
            format!("its driver tells neither energy nor power in {}", hwmon.display()),
        );
        for (file, sensor, channel) in SENSORS {
            let probe = Self { file: hwmon.join(file), sensor, channel };
            if !probe.file.exists() {
                continue;
            }
            if is_asleep {
                return Ok(probe);
            }
            match probe.read() {
                Ok(_) => return Ok(probe),
                Err(error) => refusal = error,
            }
        }
        Err(refusal)
    }

    /// # Errors
    /// What the system says; and that no power is told, for a board that is awake draws some.
    pub(super) fn read(&self) -> io::Result<Reading> {
        let value = number(&self.file)?;
        if value == 0 && !self.is_counter() {
            let reason =
                "its driver tells 0 W; that of a card of two devices tells the power of both with the first";
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(match self.sensor {
            Sensor::Counter => Reading::Counter(microjoules(value)),
            Sensor::Averaged => Reading::Averaged { mean: microwatts(value), over: None },
            Sensor::Instant => Reading::Instant(microwatts(value)),
        })
    }

    pub(super) fn is_counter(&self) -> bool {
        self.sensor == Sensor::Counter
    }

    pub(super) fn method(&self) -> Method {
        if self.is_counter() { Method::Counter } else { Method::Integrated }
    }

    /// The most that the board may draw for longer than a moment: AMD's cap, Intel's second and first limit, or what
    /// the board is rated at. A limit of zero is one that is switched off.
    pub(super) fn limit(&self, hwmon: &Path) -> Option<Power> {
        let limits = ["cap", "max", "rated_max"].map(|kind| format!("power{}_{kind}", self.channel));
        let read = |file: &String| number(&hwmon.join(file)).ok().filter(|limit| *limit > 0);
        limits.iter().find_map(read).map(microwatts)
    }

    /// What a reader of the figure should know.
    pub(super) fn note(&self) -> Option<&'static str> {
        (self.channel == 2)
            .then_some("the chip's package alone: what is around it on the card is not counted")
    }
}
