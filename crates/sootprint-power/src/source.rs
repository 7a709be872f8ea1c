//! Where energy readings come from. A reading is a value with a unit, or a named reason why there is none.

mod cross_check;
mod hwmon;
mod nvml;
mod power_model;
mod powercap;
mod replay;
mod sysfs;
mod system;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{ComponentKind, Energy, MeasurementMethod, Power};

use crate::gpu::GpuInfo;

pub use cross_check::{CrossCheck, cross_check};
pub use nvml::NvmlError;
pub use replay::{Replay, ReplayError, ReplaySensor};
pub(crate) use system::open_system_sources;
pub use system::{SourceStatus, probe_sources};

/// Something that can read the energy or the power of one or more components.
///
/// All methods run on the meter's own thread; they may take milliseconds and must not panic.
pub(crate) trait EnergySource: Send {
    /// The components that this source reads, in a fixed order.
    fn components(&self) -> Vec<ComponentInfo>;

    /// How often a component wants to be read when one reading takes `cost`, which is zero as long as it is not known. A
    /// counter loses nothing between reads; a power reading does.
    fn cadence(&self, index: usize, cost: Duration) -> Duration;

    /// Reads the component at `index` of [`EnergySource::components`].
    ///
    /// `now` is the time since the meter's clock began.
    ///
    /// # Errors
    /// The reason why there is no reading now. A later read may succeed.
    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError>;

    /// Whether the component's counter moves in ticks, so that an edge has to wait for the next one.
    fn is_ticking_counter(&self, _index: usize) -> bool {
        false
    }

    /// The power of a component with a counter, by which what it used between two ticks is known.
    fn read_power(&mut self, _index: usize) -> Option<Power> {
        None
    }

    /// The ids of the processes that compute on a component now; none when the driver does not tell.
    fn compute_processes(&mut self, _index: usize) -> Option<Vec<u32>> {
        None
    }

    /// Whether the source can be read at any time, past and to come, as a script can.
    fn is_scripted(&self) -> bool {
        false
    }

    /// Reasons why hardware that is there cannot be read at all, for people.
    fn gaps(&self) -> Vec<String> {
        Vec::new()
    }
}

/// A part of the machine whose energy is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentInfo {
    /// What it is.
    pub kind: ComponentKind,
    /// What tells it from the others of its host: a board's UUID, `cpu`, `memory`.
    pub id: String,
    /// Its name for people.
    pub name: String,
    /// How its energy is found.
    pub method: MeasurementMethod,
    /// The board, when it is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuInfo>,
    /// The most that it can draw, when the driver says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Power>,
    /// The part of it that is ours, from 0 to 1; the readings are of this part already.
    pub share: f64,
    /// How far its readings may be off. Modelled readings carry their own bounds. The ledger has the bounds alone.
    #[serde(skip)]
    pub tolerance: SensorTolerance,
    /// What a reader of the figure should know.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// How far a sensor may be off, as parts of what it shows.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SensorTolerance {
    /// The truth may lie this much below what it shows, as in 0.05 for 5 %.
    pub below: f64,
    /// And this much above.
    pub above: f64,
}

impl SensorTolerance {
    /// Of a sensor that shows the truth up to so large a part of the truth, as makers state it: what it shows is divided
    /// by one more and by one less.
    pub const fn from_accuracy(accuracy: f64) -> Self {
        Self { below: 1.0 - 1.0 / (1.0 + accuracy), above: 1.0 / (1.0 - accuracy) - 1.0 }
    }

    /// The least that the truth can be when the sensor shows this.
    pub fn lower_bound(self, reading: Energy) -> Energy {
        reading * (1.0 - self.below)
    }

    /// The most that it can be.
    pub fn upper_bound(self, reading: Energy) -> Energy {
        reading * (1.0 + self.above)
    }
}

/// One reading of one component.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SensorReading {
    /// Energy since an origin that only the counter knows.
    Counter(Energy),
    /// The power at this moment.
    Instant(Power),
    /// The mean power over the time just past, as drivers report that smooth their sensor.
    Averaged {
        /// The mean power.
        mean: Power,
        /// How long that time is; none when nobody says, and it is taken for the time since the last reading.
        window: Option<Duration>,
    },
    /// Modelled energy since the source was opened.
    Modelled(EnergyBounds),
}

impl SensorReading {
    /// The reading of a part of what was read, from 0 to 1.
    pub fn scaled(self, share: f64) -> Self {
        match self {
            Self::Counter(energy) => Self::Counter(energy * share),
            Self::Instant(power) => Self::Instant(power * share),
            Self::Averaged { mean, window } => Self::Averaged { mean: mean * share, window },
            Self::Modelled(EnergyBounds { low, best, high }) => {
                Self::Modelled(EnergyBounds { low: low * share, best: best * share, high: high * share })
            }
        }
    }
}

/// An energy with the bounds that its assumptions give it.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct EnergyBounds {
    /// The lower bound.
    pub low: Energy,
    /// The best estimate.
    pub best: Energy,
    /// The upper bound.
    pub high: Energy,
}

impl EnergyBounds {
    /// The sum, whose bounds add up.
    pub fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, best: self.best + other.best, high: self.high + other.high }
    }

    /// The same estimate where the truth may be `energy` as well.
    pub fn include(self, energy: Energy) -> Self {
        Self { low: self.low.min(energy), best: self.best, high: self.high.max(energy) }
    }

    /// The same estimate where the truth may be anything from nothing to `most`.
    pub fn widen_to(self, max_energy: Energy) -> Self {
        self.include(Energy::ZERO).include(max_energy)
    }
}

/// Why a component could not be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReadError {
    /// The board fell off the bus: nothing comes from it until the machine restarts.
    #[error("the board is lost ({0}); it needs a reset or a restart of the machine")]
    Lost(String),
    /// The driver or the system answered with an error.
    #[error("{0}")]
    Failed(String),
}
