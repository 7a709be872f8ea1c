//! The scripted power source: for tests, demonstrations and documentation.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use sootprint_core::{Energy, Power};

use super::{Component, Kind, Method, Reading, Source, Tolerance, Unreadable};
use crate::boards::Board;
use crate::clock::VirtualClock;

/// Components whose power follows a script.
///
/// Each has an exact energy counter: what a run on a [`Replay`] must report can be worked out on paper.
/// The script may also be a JSON file, which the environment names in `SOOTPRINT_REPLAY`:
///
/// ```json
/// {"components": [{"kind": "cpu", "name": "Scripted CPU", "watts": [[0.7, 100.0], [0.33, 400.0]]}]}
/// ```
///
/// ```
/// use std::time::Duration;
/// use sootprint::{Kind, Power, Replay, Run, VirtualClock};
///
/// # let dir = tempfile::tempdir()?;
/// let clock = VirtualClock::default();
/// let steady = [(Duration::from_secs(1), Power::from_watts(100.0))];
/// let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", steady).on_clock(clock.clone());
///
/// let run = Run::pre_training(dir.path()).replay(replay).start();
/// clock.advance(Duration::from_secs(60));
/// assert_eq!(run.finish().energy.total.joules(), 6_000.0);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Replay {
    components: Vec<Scripted>,
    #[serde(skip)]
    clock: Option<VirtualClock>,
    #[serde(skip)]
    read: Duration,
}

/// As the boards of NVIDIA are read.
const CADENCE: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
struct Scripted {
    kind: Kind,
    name: String,
    /// Seconds and the watts during them; after the last the script begins again.
    watts: Vec<(f64, f64)>,
    /// What its sensor shows.
    #[serde(default)]
    sensor: Sensor,
}

/// What the sensor of a scripted component shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Sensor {
    /// The energy so far, up to the moment.
    #[default]
    Counter,
    /// The energy so far, up to the last multiple of these seconds, as NVIDIA's counters tick.
    TickingCounter(f64),
    /// The power at the moment.
    Power,
}

impl Replay {
    /// Without any component.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a component that draws each power for its duration, again and again.
    #[must_use]
    pub fn component(
        mut self,
        kind: Kind,
        name: impl Into<String>,
        script: impl IntoIterator<Item = (Duration, Power)>,
    ) -> Self {
        let watts = script.into_iter().map(|(time, power)| (time.as_secs_f64(), power.watts())).collect();
        self.components.push(Scripted { kind, name: name.into(), watts, sensor: Sensor::default() });
        self
    }

    /// Gives the component that was added last another sensor than an exact counter.
    #[must_use]
    pub fn sensor(mut self, sensor: Sensor) -> Self {
        if let Some(last) = self.components.last_mut() {
            last.sensor = sensor;
        }
        self
    }

    /// Lets the script run on a virtual clock, which only its holder moves, instead of the system's.
    #[must_use]
    pub fn on_clock(mut self, clock: VirtualClock) -> Self {
        self.clock = Some(clock);
        self
    }

    /// Reads a script from a JSON file.
    ///
    /// # Errors
    /// [`ReplayError`] with the path when the file cannot be read or is no script.
    pub fn from_file(path: &Path) -> Result<Self, ReplayError> {
        let json = std::fs::read_to_string(path)
            .map_err(|source| ReplayError::File { path: path.to_owned(), source })?;
        let replay: Self = serde_json::from_str(&json)
            .map_err(|source| ReplayError::Json { path: path.to_owned(), source })?;
        let plays = |scripted: &Scripted| {
            scripted.watts.iter().all(|(seconds, watts)| *seconds >= 0.0 && *watts >= 0.0)
                && scripted.watts.iter().map(|(seconds, _)| seconds).sum::<f64>() > 0.0
        };
        match replay.components.iter().find(|scripted| !plays(scripted)) {
            Some(scripted) => Err(ReplayError::Empty { path: path.to_owned(), name: scripted.name.clone() }),
            None => Ok(replay),
        }
    }

    /// The virtual clock that the script runs on, if any.
    #[must_use]
    pub fn clock(&self) -> Option<VirtualClock> {
        self.clock.clone()
    }
}

impl Source for Replay {
    fn components(&self) -> Vec<Component> {
        let is_board = |scripted: &&Scripted| scripted.kind == Kind::Gpu;
        let boards_before = |index| self.components[..index].iter().filter(is_board).count();
        let describe = |(index, scripted): (usize, &Scripted)| Component {
            kind: scripted.kind,
            id: format!("replay-{index}"),
            name: scripted.name.clone(),
            method: if scripted.sensor == Sensor::Power { Method::Integrated } else { Method::Counter },
            board: is_board(&scripted).then(|| Board {
                uuid: format!("GPU-replay-{index}"),
                pci: format!("0000:{index:02x}:00.0"),
                model: scripted.name.clone(),
                cuda: Some(boards_before(index)),
                rocm: None,
            }),
            limit: None,
            share: 1.0,
            tolerance: Tolerance::default(),
            note: Some("replayed from a script: no hardware was read".to_owned()),
        };
        self.components.iter().enumerate().map(describe).collect()
    }

    fn cadence(&self, _index: usize, _cost: Duration) -> Duration {
        CADENCE
    }

    fn ticks(&self, index: usize) -> bool {
        self.components
            .get(index)
            .is_some_and(|scripted| matches!(scripted.sensor, Sensor::TickingCounter(_)))
    }

    fn power(&mut self, index: usize) -> Option<Power> {
        // The power of the moment that was read last: a script has no present.
        Some(self.components.get(index)?.power(self.read.as_secs_f64()))
    }

    fn is_scripted(&self) -> bool {
        true
    }

    fn read(&mut self, index: usize, now: Duration) -> Result<Reading, Unreadable> {
        self.read = now;
        match self.components.get(index) {
            Some(scripted) => Ok(match scripted.sensor {
                Sensor::TickingCounter(tick) if tick > 0.0 => {
                    Reading::Counter(scripted.energy((now.as_secs_f64() / tick).floor() * tick))
                }
                Sensor::Counter | Sensor::TickingCounter(_) => {
                    Reading::Counter(scripted.energy(now.as_secs_f64()))
                }
                Sensor::Power => Reading::Instant(scripted.power(now.as_secs_f64())),
            }),
            None => Err(Unreadable::Failed(format!("the script has no component {index}"))),
        }
    }
}

impl Scripted {
    fn power(&self, now: f64) -> Power {
        let period: f64 = self.watts.iter().map(|(seconds, _)| seconds).sum();
        let mut left = if period > 0.0 { now % period } else { 0.0 };
        for (seconds, watts) in &self.watts {
            if left < *seconds {
                return Power::from_watts(*watts);
            }
            left -= seconds;
        }
        self.watts.last().map_or(Power::ZERO, |(_, watts)| Power::from_watts(*watts))
    }

    /// The integral of the script from its beginning.
    fn energy(&self, now: f64) -> Energy {
        let period: f64 = self.watts.iter().map(|(seconds, _)| seconds).sum();
        if period <= 0.0 {
            return Energy::ZERO;
        }
        let each: f64 = self.watts.iter().map(|(seconds, watts)| seconds * watts).sum();
        let rounds = (now / period).floor();
        let mut left = now - rounds * period;
        let mut joules = rounds * each;
        for (seconds, watts) in &self.watts {
            joules += watts * seconds.min(left);
            left = (left - seconds).max(0.0);
        }
        Energy::from_joules(joules)
    }
}

/// Why a file is no script.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// It cannot be read.
    #[error("cannot read the script {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// It is not the JSON of a script.
    #[error("{} is no script of powers: {source}", path.display())]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A component lasts no time or has a negative figure.
    #[error("the script {} gives `{name}` no power for any time: `watts` takes [seconds, watts] pairs", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
        /// The component.
        name: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counter_is_the_script_s_integral() {
        let seconds = Duration::from_secs_f64;
        let watts = Power::from_watts;
        let mut replay = Replay::new().component(
            Kind::Gpu,
            "board",
            [(seconds(0.7), watts(100.0)), (seconds(0.33), watts(400.0))],
        );
        // Worked out by hand: a round of 1.03 s is 70 J + 132 J.
        for (now, joules) in
            [(0.0, 0.0), (0.35, 35.0), (0.7, 70.0), (0.8, 110.0), (1.03, 202.0), (10.65, 2_055.0)]
        {
            let Ok(Reading::Counter(energy)) = replay.read(0, seconds(now)) else { panic!("no counter") };
            assert!((energy.joules() - joules).abs() < 1e-6, "{now} s: {energy:?}, not {joules} J");
        }
    }

    #[test]
    fn a_bad_script_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("script.json");
        let read = |json: &str| {
            std::fs::write(&path, json).unwrap();
            Replay::from_file(&path)
        };
        let component =
            |watts: &str| format!(r#"{{"components": [{{"kind": "cpu", "name": "x", "watts": {watts}}}]}}"#);
        assert!(read(&component("[[1.0, 5.0]]")).is_ok());
        assert!(matches!(read(&component("[]")), Err(ReplayError::Empty { .. })));
        assert!(matches!(read(&component("[[1.0, -5.0]]")), Err(ReplayError::Empty { .. })));
        assert!(matches!(read("{}"), Err(ReplayError::Json { .. })));
        let missing = Replay::from_file(&dir.path().join("none.json")).unwrap_err();
        assert!(missing.to_string().contains("none.json"));
    }
}
