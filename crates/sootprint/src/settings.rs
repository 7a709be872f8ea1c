//! What a run is told from outside: arguments over environment over the settings files.

mod error;
mod file;
mod machine;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use sootprint_core::{Answer, CarbonIntensity, Origin, Place, Pue, PueOrigin, Series};
use sootprint_power::{Replay, VirtualClock};

use crate::launch::Launch;

pub use error::{Setting, SettingError};
pub use file::SettingsFile;
pub(crate) use machine::Machine;

/// Tells the children of a measuring command where its run is recorded.
const RUN_DIR: &str = "SOOTPRINT_RUN_DIR";

/// What the caller says; the environment and the settings files fill what is left open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    pub(crate) place: Option<Place>,
    pub(crate) intensity: Option<CarbonIntensity>,
    pub(crate) series: Option<Series>,
    pub(crate) pue: Option<Pue>,
    pub(crate) replay: Option<Replay>,
    pub(crate) nvml: Option<OsString>,
    pub(crate) clock: Option<VirtualClock>,
    /// How long the hardware is measured at rest before the run begins.
    pub(crate) baseline: Option<Duration>,
    /// The year that the figures are for, when it is not this one.
    pub(crate) year: Option<u16>,
    /// The rank of this process and the number of ranks.
    pub(crate) rank: Option<(u32, u32)>,
}

/// All that a run needs to know, and the settings that could not be taken.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `SOOTPRINT=off`: nothing is read, written or started.
    pub(crate) is_off: bool,
    pub(crate) grid: Answer,
    /// The user's own figures for the hours; `grid` stands where there are none.
    pub(crate) series: Option<Series>,
    pub(crate) pue: Pue,
    pub(crate) replay: Option<Replay>,
    /// The path of the NVML library when it is not the system's.
    pub(crate) nvml: Option<OsString>,
    pub(crate) clock: Option<VirtualClock>,
    pub(crate) baseline: Option<Duration>,
    /// The year that the figures are for.
    pub(crate) year: u16,
    /// Which of the run's processes this is.
    pub(crate) launch: Launch,
    /// The folder of the run of `sootprint run`, if this process is inside one and measures what it measures.
    pub(crate) outer: Option<PathBuf>,
    /// Whether the machine's cloud may be asked where it is: nobody said it, and nobody forbade it.
    pub(crate) asks_metadata: bool,
    /// Each was left out; a run that was started with `try_start` does not begin with one.
    pub(crate) problems: Vec<SettingError>,
}

impl Settings {
    /// With the variables, the files and the clock of this machine.
    pub(crate) fn from_environment(arguments: Arguments) -> Self {
        Self::resolve(arguments, &Machine::here())
    }

    /// Whether time is what a script says.
    pub(crate) fn is_virtual(&self) -> bool {
        self.clock.is_some() || self.replay.as_ref().is_some_and(|replay| replay.clock().is_some())
    }

    pub(crate) fn resolve(arguments: Arguments, machine: &Machine) -> Self {
        let mut problems = Vec::new();
        let year = arguments.year.unwrap_or(machine.year);
        let environment = Layer::of_environment(machine, &mut problems);
        let replay = machine.path("SOOTPRINT_REPLAY").map(|path| {
            let setting = Setting::Variable("SOOTPRINT_REPLAY");
            Replay::from_file(&path).map_err(|source| SettingError::Replay { setting, source })
        });
        // A script of the caller's own is not what the outer run measures.
        let is_scripted = arguments.replay.is_some() || arguments.clock.is_some();
        let outer = machine.path(RUN_DIR).filter(|_| !is_scripted);
        let replay = arguments.replay.clone().or_else(|| taken(replay, &mut problems));
        let clock = arguments.clock.clone();
        let launch = Launch::of_environment(&|name| machine.text(name));
        let launch = arguments.rank.map_or(launch.clone(), |(rank, ranks)| launch.with_rank(rank, ranks));
        let mut layers = vec![Layer::of_arguments(arguments), environment];
        layers.extend(machine.files.iter().filter_map(|file| file.read(&mut problems)));

        let (grid, series) = grid(&layers, machine.time_zone.as_deref(), year);
        let place = layers.iter().find_map(|layer| layer.place);
        let pue = layers.iter().find_map(|layer| layer.pue).or_else(|| place?.pue(year));
        let metadata = layers.iter().find_map(|layer| layer.metadata);
        Self {
            is_off: machine.text("SOOTPRINT").is_some_and(|value| value.eq_ignore_ascii_case("off")),
            asks_metadata: metadata.unwrap_or(true)
                && series.is_none()
                && matches!(grid.origin, Origin::TimeZone | Origin::Unknown),
            grid,
            series,
            pue: pue.unwrap_or(Pue::ASSUMED),
            replay,
            nvml: layers.iter().find_map(|layer| layer.nvml.clone()),
            clock,
            baseline: layers.iter().find_map(|layer| layer.baseline),
            year,
            launch,
            outer,
            problems,
        }
    }
}

/// What is said outside of a run and is for those who publish and ask: the variable first, then the settings files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Preferences {
    /// The repository to publish to where none is named, `owner/name`. `SOOTPRINT_REPOSITORY`, or the key `repository`.
    /// It alone publishes nothing.
    pub repository: Option<String>,
    /// Who is asked for the intensity of the hours. `SOOTPRINT_LIVE`, or the key `provider`.
    pub provider: Option<String>,
}

impl Preferences {
    /// Those of this process on this machine.
    ///
    /// # Errors
    /// The first setting that cannot be taken, whichever it is: a file with a mistake is not to be half obeyed.
    pub fn here() -> Result<Self, SettingError> {
        Self::of(&Machine::here())
    }

    fn of(machine: &Machine) -> Result<Self, SettingError> {
        let mut problems = Vec::new();
        let mut layers = vec![Layer::of_environment(machine, &mut problems)];
        layers.extend(machine.files.iter().filter_map(|file| file.read(&mut problems)));
        if !problems.is_empty() {
            return Err(problems.swap_remove(0));
        }
        Ok(Self {
            repository: layers.iter().find_map(|layer| layer.preferences.repository.clone()),
            provider: layers.iter().find_map(|layer| layer.preferences.provider.clone()),
        })
    }
}

/// The first layer that says anything of the electricity decides. In a layer a series goes first, with its figure or its
/// place where the series has none; then a figure; then a place. Where nobody says anything the time zone is a guess.
fn grid(layers: &[Layer], time_zone: Option<&str>, year: u16) -> (Answer, Option<Series>) {
    let said = |layer: &&Layer| layer.series.is_some() || layer.intensity.is_some() || layer.place.is_some();
    let first = layers.iter().find(said);
    let series = first.and_then(|layer| Some(layer.series.clone()?.given_by(layer.origin)));
    let named = layers.iter().find_map(|layer| layer.place);
    let figure = layers.iter().find_map(|layer| match (layer.intensity, layer.place) {
        (Some(given), _) => Some(Answer::given(given, named, layer.origin)),
        (None, Some(place)) => Some(place.intensity(layer.origin, year)),
        (None, None) => None,
    });
    let guess = || Some(Place::from_time_zone(time_zone?)?.intensity(Origin::TimeZone, year));
    (figure.or_else(guess).unwrap_or_else(|| Answer::anywhere(year)), series)
}

/// What one of those who may say something says.
#[derive(Debug, Clone)]
struct Layer {
    origin: Origin,
    place: Option<Place>,
    intensity: Option<CarbonIntensity>,
    series: Option<Series>,
    pue: Option<Pue>,
    nvml: Option<OsString>,
    baseline: Option<Duration>,
    /// Whether the machine's cloud may be asked where it is.
    metadata: Option<bool>,
    preferences: Preferences,
}

impl Layer {
    const fn empty(origin: Origin) -> Self {
        Self {
            origin,
            place: None,
            intensity: None,
            series: None,
            pue: None,
            nvml: None,
            baseline: None,
            metadata: None,
            preferences: Preferences { repository: None, provider: None },
        }
    }

    fn of_arguments(arguments: Arguments) -> Self {
        let Arguments { place, intensity, series, pue, nvml, baseline, .. } = arguments;
        Self { place, intensity, series, pue, nvml, baseline, ..Self::empty(Origin::Argument) }
    }

    fn of_environment(machine: &Machine, problems: &mut Vec<SettingError>) -> Self {
        let variable = |name| machine.text(name).map(|value| (Setting::Variable(name), value));
        let place = variable("SOOTPRINT_PLACE").map(|(setting, name)| place(setting, &name));
        let intensity = variable("SOOTPRINT_INTENSITY").map(|(setting, value)| {
            let grams = number(&setting, &value)?;
            intensity(setting, grams)
        });
        let pue = variable("SOOTPRINT_PUE").map(|(setting, value)| {
            let factor = number(&setting, &value)?;
            pue(setting, factor, PueOrigin::Environment)
        });
        let baseline = variable("SOOTPRINT_BASELINE").map(|(setting, value)| {
            let seconds = number(&setting, &value)?;
            baseline(setting, seconds)
        });
        let path = machine.path("SOOTPRINT_SERIES");
        let series = path.map(|path| series(Setting::Variable("SOOTPRINT_SERIES"), path));
        let metadata = machine.text("SOOTPRINT_METADATA");
        let named = machine.text("SOOTPRINT_REPOSITORY");
        let named = named.map(|name| repository(Setting::Variable("SOOTPRINT_REPOSITORY"), &name));
        let preferences =
            Preferences { repository: taken(named, problems), provider: machine.text("SOOTPRINT_LIVE") };
        Self {
            place: taken(place, problems),
            intensity: taken(intensity, problems),
            series: taken(series, problems),
            pue: taken(pue, problems),
            nvml: machine.variable("SOOTPRINT_NVML"),
            baseline: taken(baseline, problems),
            metadata: metadata.map(|value| !value.eq_ignore_ascii_case("off")),
            preferences,
            origin: Origin::Environment,
        }
    }
}

fn repository(setting: Setting, name: &str) -> Result<String, SettingError> {
    let is_part = |part: &str| !part.is_empty() && !part.contains(['/', ' ']);
    match name.split_once('/') {
        Some((owner, rest)) if is_part(owner) && is_part(rest) => Ok(name.to_owned()),
        _ => Err(SettingError::Kind { setting, expected: "a repository, as in `owner/name`" }),
    }
}

fn place(setting: Setting, name: &str) -> Result<Place, SettingError> {
    name.parse().map_err(|source| SettingError::Place { setting, source })
}

fn intensity(setting: Setting, grams: f64) -> Result<CarbonIntensity, SettingError> {
    CarbonIntensity::given(grams).map_err(|source| SettingError::Intensity { setting, source })
}

fn series(setting: Setting, path: PathBuf) -> Result<Series, SettingError> {
    Series::from_csv_file(&path).map_err(|source| SettingError::Series { setting, source })
}

fn pue(setting: Setting, factor: f64, origin: PueOrigin) -> Result<Pue, SettingError> {
    Pue::new(factor).map(|pue| pue.said_by(origin)).map_err(|source| SettingError::Pue { setting, source })
}

fn baseline(setting: Setting, seconds: f64) -> Result<Duration, SettingError> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| SettingError::Number { setting, value: seconds.to_string() })
}

fn number(setting: &Setting, value: &str) -> Result<f64, SettingError> {
    let no_number = |_| SettingError::Number { setting: setting.clone(), value: value.to_owned() };
    value.trim().parse().map_err(no_number)
}

/// A setting that is there and right; what is wrong joins the problems.
fn taken<T>(value: Option<Result<T, SettingError>>, problems: &mut Vec<SettingError>) -> Option<T> {
    match value? {
        Ok(value) => Some(value),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

#[cfg(test)]
mod tests;
