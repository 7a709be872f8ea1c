//! Power and energy sources. A reading is a value with a unit, or a named reason why there is none.

mod cross_check;
mod driver_thread;
mod hwmon;
mod nvml;
mod nvml_helper;
mod plausible_power;
mod power_model;
mod powercap;
mod replay;
mod sleeping_gpus;
mod source_probe;
mod sysfs;
mod system;

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{ComponentKind, Energy, MeasurementMethod, Power};

use crate::gpu::GpuInfo;

pub use cross_check::{CrossCheck, cross_check};
pub(crate) use driver_thread::OpeningDriver;
pub use nvml::NvmlError;
pub use nvml_helper::{NvmlHelperCommand, serve_nvml};
pub use replay::{Replay, ReplayError, ReplaySensor};
pub(crate) use source_probe::SourceProbe;
pub use source_probe::SourceStatus;
pub(crate) use system::SystemSources;
pub use system::{NvmlConfig, probe_sources};

/// A source that reads the energy or the power of one or more components.
///
/// All methods run on one thread: the sampler's, or that of a driver that may hang. They must not panic.
pub(crate) trait EnergySource: Send {
    /// The components of this source, in a fixed order.
    fn components(&self) -> Vec<ComponentInfo>;

    /// How often a component should be read.
    fn cadence(&self, index: usize) -> ReadCadence;

    /// Reads the component at `index` of [`EnergySource::components`].
    ///
    /// `now` is the time since the origin of the sampler's clock.
    ///
    /// # Errors
    /// The reason why there is no reading now. A later read may succeed.
    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError>;

    /// Reads the component at `index`, with the times before and after the read according to `clock`.
    fn read_timed(&mut self, index: usize, clock: &dyn Fn() -> Duration) -> TimedReading {
        let started = clock();
        let reading = self.read(index, started);
        TimedReading { started, ended: clock(), reading: Some(reading) }
    }

    /// Whether the component is a counter that moves in ticks, so that a boundary has to wait for the next tick.
    fn is_ticking_counter(&self, _index: usize) -> bool {
        false
    }

    /// Reads the power of a component with a counter, from which its energy between two ticks is derived.
    /// `None` if there is no power reading.
    fn read_power(&mut self, _index: usize) -> Option<Power> {
        None
    }

    /// Returns the ids of the processes that currently compute on a component. `None` if the driver does not
    /// list them.
    fn compute_processes(&mut self, _index: usize) -> Option<Vec<u32>> {
        None
    }

    /// Whether the source can be read at any past or future moment, as a script can.
    fn is_scripted(&self) -> bool {
        false
    }

    /// Reasons why existing hardware cannot be read, for display.
    fn gaps(&self) -> Vec<String> {
        Vec::new()
    }
}

/// How often a component should be read. A counter loses nothing between reads; a power reading does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ReadCadence {
    shortest: Duration,
    longest: Duration,
    /// The interval as a multiple of the time that a read takes.
    cost_multiple: u32,
    /// A read is expensive from this cost on, and is then made at this interval.
    expensive: Option<(Duration, Duration)>,
}

impl ReadCadence {
    /// The same interval, whatever a read costs.
    pub(crate) const fn fixed(interval: Duration) -> Self {
        Self { shortest: interval, longest: interval, cost_multiple: 0, expensive: None }
    }

    /// A multiple of the cost of a read, within limits.
    pub(crate) const fn by_cost(cost_multiple: u32, [shortest, longest]: [Duration; 2]) -> Self {
        Self { shortest, longest, cost_multiple, expensive: None }
    }

    /// The same cadence, but with this interval from this cost on.
    pub(crate) const fn with_expensive_reads(self, cost: Duration, interval: Duration) -> Self {
        Self { expensive: Some((cost, interval)), ..self }
    }

    /// The interval if a read takes `cost`, which is zero while it is unknown.
    pub(crate) fn interval(self, cost: Duration) -> Duration {
        match self.expensive {
            Some((expensive, interval)) if cost >= expensive => interval,
            _ => cost.saturating_mul(self.cost_multiple).clamp(self.shortest, self.longest),
        }
    }
}

/// A reading and the time that it took.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct TimedReading {
    pub(crate) started: Duration,
    pub(crate) ended: Duration,
    /// `None` if the driver has not answered yet.
    pub(crate) reading: Option<Result<SensorReading, ReadError>>,
}

/// A part of the machine whose energy is counted.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ComponentInfo {
    /// The kind of component.
    pub kind: ComponentKind,
    /// Unique id within the host: [`GpuInfo::uuid`], `cpu` or `memory`; `replay-` and a number for a scripted
    /// component.
    pub id: String,
    /// The name for display.
    pub name: String,
    /// How the energy is determined.
    pub method: MeasurementMethod,
    /// The GPU, if the component is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gpu: Option<GpuInfo>,
    /// The power limit, if the driver reports one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<Power>,
    /// The highest power that is assumed where the driver reports no limit: the thermal design power of the model, or
    /// more than any such component draws. `None` for a scripted or modelled component.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub assumed_limit: Option<Power>,
    /// The least power that the component draws while it is on. A lower reading is rejected. Omitted by serde.
    #[serde(skip)]
    pub min_power: Option<Power>,
    /// The kinds of other components whose energy is included in the readings, as on a superchip. If this
    /// component is counted, components of these kinds are not.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub includes: Vec<ComponentKind>,
    /// The job's share of the component, from 0 to 1. Readings are already scaled by it.
    pub share: f64,
    /// Relative error of the readings. Modelled readings carry their own bounds. Omitted by serde, because the
    /// record of a run contains the resulting bounds.
    #[serde(skip)]
    pub tolerance: SensorTolerance,
    /// A remark on the energy of this component, for readers of the footprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

impl ComponentInfo {
    /// Returns the highest power that the component can draw for long: its power limit, or the assumed one.
    /// `None` if there is neither.
    pub fn max_power(&self) -> Option<Power> {
        self.limit.or(self.assumed_limit)
    }
}

/// The relative error of a sensor.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct SensorTolerance {
    /// The true value may be lower by this fraction of the reading: 0.05 is 5 %.
    pub below: f64,
    /// The true value may be higher by this fraction of the reading.
    pub above: f64,
}

impl SensorTolerance {
    /// Creates a tolerance from the maximum error as a fraction of the true value, as manufacturers specify
    /// it. The bounds are the reading divided by `1 + accuracy` and by `1 - accuracy`.
    pub const fn from_accuracy(accuracy: f64) -> Self {
        Self { below: 1.0 - 1.0 / (1.0 + accuracy), above: 1.0 / (1.0 - accuracy) - 1.0 }
    }

    /// Returns the lowest true value that is consistent with a reading.
    pub fn lower_bound(self, reading: Energy) -> Energy {
        reading * (1.0 - self.below)
    }

    /// Returns the highest true value that is consistent with a reading.
    pub fn upper_bound(self, reading: Energy) -> Energy {
        reading * (1.0 + self.above)
    }
}

/// One reading of one component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum SensorReading {
    /// Energy since the counter's own origin, which is arbitrary.
    Counter(Energy),
    /// The power at this moment.
    Instant(Power),
    /// The mean power over the time before the reading, from drivers that smooth their sensor.
    Averaged {
        /// The mean power.
        mean: Power,
        /// The length of that time. If `None`, the length is undocumented and the time since the last reading is
        /// assumed.
        window: Option<Duration>,
    },
    /// Modelled energy since the source was opened.
    Modelled(EnergyBounds),
}

impl SensorReading {
    /// Scales the reading to a share of the component, from 0 to 1.
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

/// An energy with bounds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct EnergyBounds {
    /// The lower bound.
    pub low: Energy,
    /// The best estimate.
    pub best: Energy,
    /// The upper bound.
    pub high: Energy,
}

impl EnergyBounds {
    /// Returns the sum of two energies. The bounds are added linearly.
    pub fn plus(self, other: Self) -> Self {
        Self { low: self.low + other.low, best: self.best + other.best, high: self.high + other.high }
    }

    /// Returns the difference between two cumulative values.
    pub(crate) fn minus(self, earlier: Self) -> Self {
        Self { low: self.low - earlier.low, best: self.best - earlier.best, high: self.high - earlier.high }
    }

    /// Extends the bounds so that they include `energy`.
    pub fn include(self, energy: Energy) -> Self {
        Self { low: self.low.min(energy), best: self.best, high: self.high.max(energy) }
    }

    /// Extends the bounds so that they include everything from zero to `max_energy`.
    pub fn widen_to(self, max_energy: Energy) -> Self {
        self.include(Energy::ZERO).include(max_energy)
    }
}

/// The reason why a component could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
pub enum ReadError {
    /// The GPU is no longer on the bus. It cannot be read until it is reset or the machine restarts.
    #[error("GPU lost ({0}); reset it or restart the machine")]
    Lost(String),
    /// The kernel has suspended the GPU because nothing uses it. It is not read, because a read would wake it.
    #[error("suspended: nothing uses it")]
    Suspended,
    /// The driver or the operating system returned an error.
    #[error("{0}")]
    Failed(String),
}
