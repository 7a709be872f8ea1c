//! The scripted power source, for tests, demonstrations and documentation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sootprint_core::{Energy, Power};

use super::{
    ComponentInfo, ComponentKind, EnergySource, MeasurementMethod, ReadCadence, ReadError, SensorReading,
    SensorTolerance,
};
use crate::clock::VirtualClock;
use crate::gpu::GpuInfo;

/// Components whose power follows a script.
///
/// By default, each component has an exact energy counter, so the expected result of a run on a [`Replay`]
/// can be computed by hand. [`Replay::from_file`] loads a script from a JSON file, as `sootprint` does with the
/// file at `SOOTPRINT_REPLAY`. Each entry of `watts` is a duration in seconds and the power during it:
///
/// ```json
/// {"components": [{"kind": "cpu", "name": "Scripted CPU", "watts": [[0.7, 100.0], [0.33, 400.0]]}]}
/// ```
///
/// ```
/// use std::time::Duration;
/// use sootprint_core::{ComponentKind, Power};
/// use sootprint_power::{Replay, VirtualClock};
///
/// let clock = VirtualClock::default();
/// let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
/// let replay = Replay::new().with_component(ComponentKind::Cpu, "Scripted CPU", steady).with_clock(clock.clone());
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(replay.clock().unwrap().now(), Duration::from_secs(60));
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    components: Vec<ReplayComponent>,
    #[serde(skip)]
    clock: Option<VirtualClock>,
    #[serde(skip)]
    last_read: Duration,
}

/// The counter interval of many NVIDIA GPUs.
const CADENCE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReplayComponent {
    kind: ComponentKind,
    name: String,
    /// Durations in seconds, and the watts during them. The script repeats after the last entry.
    watts: Vec<(f64, f64)>,
    /// The simulated sensor.
    #[serde(default)]
    sensor: ReplaySensor,
}

/// The sensor of a scripted component.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum ReplaySensor {
    /// The exact energy up to the moment of the reading.
    #[default]
    Counter,
    /// The energy up to the last multiple of this many seconds, as NVIDIA's counters report it.
    TickingCounter(f64),
    /// The power at the moment of the reading.
    Power,
}

impl Replay {
    /// Creates a script without components.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component that draws each power of the script for its duration. The script repeats after its
    /// last entry.
    #[must_use]
    pub fn with_component(
        mut self,
        kind: ComponentKind,
        name: impl Into<String>,
        script: impl IntoIterator<Item = (Duration, Power)>,
    ) -> Self {
        let watts = script.into_iter().map(|(time, power)| (time.as_secs_f64(), power.watts())).collect();
        self.components.push(ReplayComponent {
            kind,
            name: name.into(),
            watts,
            sensor: ReplaySensor::default(),
        });
        self
    }

    /// Sets the sensor of the component that was added last. The default is an exact counter.
    #[must_use]
    pub fn with_sensor(mut self, sensor: ReplaySensor) -> Self {
        if let Some(last) = self.components.last_mut() {
            last.sensor = sensor;
        }
        self
    }

    /// Runs the script on a virtual clock instead of the system's clock.
    #[must_use]
    pub fn with_clock(mut self, clock: VirtualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Reads a script from a JSON file.
    ///
    /// # Errors
    /// [`ReplayError`] with the path if the file cannot be read or is not a valid script.
    pub fn from_file(path: &Path) -> Result<Self, ReplayError> {
        let json = std::fs::read_to_string(path)
            .map_err(|source| ReplayError::File { path: path.to_owned(), source })?;
        let replay: Self = serde_json::from_str(&json)
            .map_err(|source| ReplayError::Json { path: path.to_owned(), source })?;
        let is_valid = |scripted: &ReplayComponent| {
            scripted.watts.iter().all(|(seconds, watts)| *seconds >= 0.0 && *watts >= 0.0)
                && scripted.watts.iter().map(|(seconds, _)| seconds).sum::<f64>() > 0.0
        };
        match replay.components.iter().find(|scripted| !is_valid(scripted)) {
            Some(scripted) => {
                Err(ReplayError::InvalidComponent { path: path.to_owned(), name: scripted.name.clone() })
            }
            None => Ok(replay),
        }
    }

    /// Returns the virtual clock of the script. `None` if the script runs on the system's clock.
    #[must_use]
    pub fn clock(&self) -> Option<VirtualClock> {
        self.clock.clone()
    }
}

impl EnergySource for Replay {
    fn components(&self) -> Vec<ComponentInfo> {
        let is_gpu = |scripted: &&ReplayComponent| scripted.kind == ComponentKind::Gpu;
        let gpus_before = |index| self.components[..index].iter().filter(is_gpu).count();
        let describe = |(index, scripted): (usize, &ReplayComponent)| ComponentInfo {
            kind: scripted.kind,
            id: format!("replay-{index}"),
            name: scripted.name.clone(),
            method: if scripted.sensor == ReplaySensor::Power {
                MeasurementMethod::Integrated
            } else {
                MeasurementMethod::Counter
            },
            gpu: is_gpu(&scripted).then(|| GpuInfo {
                uuid: format!("GPU-replay-{index}"),
                pci: format!("0000:{index:02x}:00.0"),
                model: scripted.name.clone(),
                cuda: Some(gpus_before(index)),
                rocm: None,
                has_uncertain_order: false,
            }),
            limit: None,
            assumed_limit: None,
            min_power: None,
            includes: Vec::new(),
            share: 1.0,
            tolerance: SensorTolerance::default(),
            note: Some("replayed from a script: no hardware was read".to_owned()),
        };
        self.components.iter().enumerate().map(describe).collect()
    }

    fn cadence(&self, _index: usize) -> ReadCadence {
        ReadCadence::fixed(CADENCE)
    }

    fn is_ticking_counter(&self, index: usize) -> bool {
        self.components
            .get(index)
            .is_some_and(|scripted| matches!(scripted.sensor, ReplaySensor::TickingCounter(_)))
    }

    fn read_power(&mut self, index: usize) -> Option<Power> {
        // The power at the last reading, because this call has no timestamp.
        Some(self.components.get(index)?.power_at(self.last_read.as_secs_f64()))
    }

    fn is_scripted(&self) -> bool {
        true
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<SensorReading, ReadError> {
        self.last_read = now;
        match self.components.get(index) {
            Some(scripted) => Ok(match scripted.sensor {
                ReplaySensor::TickingCounter(tick) if tick > 0.0 => {
                    SensorReading::Counter(scripted.energy_at((now.as_secs_f64() / tick).floor() * tick))
                }
                ReplaySensor::Counter | ReplaySensor::TickingCounter(_) => {
                    SensorReading::Counter(scripted.energy_at(now.as_secs_f64()))
                }
                ReplaySensor::Power => SensorReading::Instant(scripted.power_at(now.as_secs_f64())),
            }),
            None => Err(ReadError::Failed(format!("the script has no component {index}"))),
        }
    }
}

impl ReplayComponent {
    fn power_at(&self, now: f64) -> Power {
        let period: f64 = self.watts.iter().map(|(seconds, _)| seconds).sum();
        let mut remaining = if period > 0.0 { now % period } else { 0.0 };
        for (seconds, watts) in &self.watts {
            if remaining < *seconds {
                return Power::from_watts(*watts);
            }
            remaining -= seconds;
        }
        self.watts.last().map_or(Power::ZERO, |(_, watts)| Power::from_watts(*watts))
    }

    /// The integral of the script from its start.
    fn energy_at(&self, now: f64) -> Energy {
        let period: f64 = self.watts.iter().map(|(seconds, _)| seconds).sum();
        if period <= 0.0 {
            return Energy::ZERO;
        }
        let each: f64 = self.watts.iter().map(|(seconds, watts)| seconds * watts).sum();
        let rounds = (now / period).floor();
        let mut remaining = now - rounds * period;
        let mut joules = rounds * each;
        for (seconds, watts) in &self.watts {
            joules += watts * seconds.min(remaining);
            remaining = (remaining - seconds).max(0.0);
        }
        Energy::from_joules(joules)
    }
}

/// The reason why a script cannot be loaded from a file.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The file cannot be read.
    #[error("cannot read replay script {}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The file does not contain a script in JSON.
    #[error("invalid replay script {}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// The error of the JSON parser, with its position.
        source: serde_json::Error,
    },
    /// The script of a component has a negative value, or a total duration of 0 s.
    #[error("invalid replay script {}: `watts` of `{name}` must be [seconds, watts] pairs: no negative values, and a total duration above 0 s", path.display())]
    InvalidComponent {
        /// The file.
        path: PathBuf,
        /// The name of the component.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counter_is_integral_of_script() {
        let seconds = Duration::from_secs_f64;
        let watts = Power::from_watts;
        let mut replay = Replay::new().with_component(
            ComponentKind::Gpu,
            "GPU",
            [(seconds(0.7), watts(100.0)), (seconds(0.33), watts(400.0))],
        );
        // Computed by hand: one period of 1.03 s is 70 J + 132 J.
        for (now, joules) in
            [(0.0, 0.0), (0.35, 35.0), (0.7, 70.0), (0.8, 110.0), (1.03, 202.0), (10.65, 2_055.0)]
        {
            let Ok(SensorReading::Counter(energy)) = replay.read(0, seconds(now)) else {
                panic!("no counter")
            };
            assert!((energy.joules() - joules).abs() < 1e-6, "{now} s: {energy:?}, not {joules} J");
        }
    }

    #[test]
    fn invalid_script_error_names_cause() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script.json");
        let read = |json: &str| {
            std::fs::write(&path, json).unwrap();
            Replay::from_file(&path)
        };
        let component =
            |watts: &str| format!(r#"{{"components": [{{"kind": "cpu", "name": "x", "watts": {watts}}}]}}"#);
        assert!(read(&component("[[1.0, 5.0]]")).is_ok());
        assert!(matches!(read(&component("[]")), Err(ReplayError::InvalidComponent { .. })));
        assert!(matches!(read(&component("[[1.0, -5.0]]")), Err(ReplayError::InvalidComponent { .. })));
        assert!(matches!(read("{}"), Err(ReplayError::Json { .. })));
        let missing = Replay::from_file(&dir.path().join("none.json")).unwrap_err();
        assert!(missing.to_string().contains("none.json"));
    }
}
