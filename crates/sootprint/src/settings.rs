//! What a run is told from outside: arguments over environment over the settings files.

mod error;
mod file;
mod process_env;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use sootprint_core::{
    CarbonIntensity, GridIntensity, IntensitySeries, LocationSource, Place, Pue, PueOrigin,
};
use sootprint_power::{Replay, VirtualClock};

use crate::distributed::RankInfo;

pub use error::{SettingError, SettingSource};
pub use file::SettingsFile;
pub(crate) use process_env::ProcessEnv;

/// Tells the children of a measuring command where its run is recorded.
const RUN_DIR_VARIABLE: &str = "SOOTPRINT_RUN_DIR";

/// What the caller says; the environment and the settings files fill what is left open.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunArguments {
    pub(crate) place: Option<Place>,
    pub(crate) intensity: Option<CarbonIntensity>,
    pub(crate) series: Option<IntensitySeries>,
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
pub(crate) struct RunSettings {
    /// `SOOTPRINT=off`: nothing is read, written or started.
    pub(crate) is_disabled: bool,
    pub(crate) grid: GridIntensity,
    /// The configured place, or the guess from the time zone.
    pub(crate) place: Option<Place>,
    /// The user's own figures for the hours; `grid` stands where there are none.
    pub(crate) series: Option<IntensitySeries>,
    pub(crate) pue: Pue,
    pub(crate) replay: Option<Replay>,
    /// The path of the NVML library when it is not the system's.
    pub(crate) nvml: Option<OsString>,
    pub(crate) clock: Option<VirtualClock>,
    pub(crate) baseline: Option<Duration>,
    /// The year that the figures are for.
    pub(crate) year: u16,
    /// Which of the run's processes this is.
    pub(crate) launch: RankInfo,
    /// The folder of the run of `sootprint run`, if this process is inside one and measures what it measures.
    pub(crate) parent_run_dir: Option<PathBuf>,
    /// Whether the machine's cloud may be asked where it is: nobody said it, and nobody forbade it.
    pub(crate) query_cloud_metadata: bool,
    /// Each was left out; a run that was started with `try_start` does not begin with one.
    pub(crate) errors: Vec<SettingError>,
}

impl RunSettings {
    /// With the variables, the files and the clock of this machine.
    pub(crate) fn from_environment(arguments: RunArguments) -> Self {
        Self::resolve(arguments, &ProcessEnv::current())
    }

    /// Whether time is what a script says.
    pub(crate) fn uses_virtual_time(&self) -> bool {
        self.clock.is_some() || self.replay.as_ref().is_some_and(|replay| replay.clock().is_some())
    }

    pub(crate) fn resolve(arguments: RunArguments, env: &ProcessEnv) -> Self {
        let mut errors = Vec::new();
        let year = arguments.year.unwrap_or(env.year);
        let environment = SettingsLayer::from_env(env, &mut errors);
        let replay = env.path("SOOTPRINT_REPLAY").map(|path| {
            let setting = SettingSource::Variable("SOOTPRINT_REPLAY");
            Replay::from_file(&path).map_err(|source| SettingError::Replay { setting, source })
        });
        // A script of the caller's own is not what the outer run measures.
        let is_scripted = arguments.replay.is_some() || arguments.clock.is_some();
        let parent_run_dir = env.path(RUN_DIR_VARIABLE).filter(|_| !is_scripted);
        let replay = arguments.replay.clone().or_else(|| ok_or_record(replay, &mut errors));
        let clock = arguments.clock.clone();
        let launch = RankInfo::from_env(&|name| env.text(name));
        let launch = arguments.rank.map_or(launch.clone(), |(rank, ranks)| launch.with_rank(rank, ranks));
        let mut layers = vec![SettingsLayer::from_arguments(arguments), environment];
        layers.extend(env.files.iter().filter_map(|file| file.read_layer(&mut errors)));

        let (grid, series) = resolve_grid(&layers, env.time_zone.as_deref(), year);
        let place = layers.iter().find_map(|layer| layer.place);
        let pue = layers.iter().find_map(|layer| layer.pue).or_else(|| place?.pue(year));
        let query_cloud_metadata = layers.iter().find_map(|layer| layer.query_cloud_metadata);
        Self {
            is_disabled: env.text("SOOTPRINT").is_some_and(|value| value.eq_ignore_ascii_case("off")),
            query_cloud_metadata: query_cloud_metadata.unwrap_or(true)
                && series.is_none()
                && matches!(grid.origin, LocationSource::TimeZone | LocationSource::Unknown),
            grid,
            place: place.or_else(|| Place::from_time_zone(env.time_zone.as_deref()?)),
            series,
            pue: pue.unwrap_or(Pue::ASSUMED),
            replay,
            nvml: layers.iter().find_map(|layer| layer.nvml.clone()),
            clock,
            baseline: layers.iter().find_map(|layer| layer.baseline),
            year,
            launch,
            parent_run_dir,
            errors,
        }
    }
}

/// What is said outside of a run and is for those who publish and ask: the variable first, then the settings files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserDefaults {
    /// The repository to publish to where none is named, `owner/name`. `SOOTPRINT_REPOSITORY`, or the key `repository`.
    /// It alone publishes nothing.
    pub repository: Option<String>,
    /// Who is asked for the intensity of the hours. `SOOTPRINT_LIVE`, or the key `provider`.
    pub provider: Option<String>,
}

impl UserDefaults {
    /// Those of this process on this machine.
    ///
    /// # Errors
    /// The first setting that cannot be taken, whichever it is: a file with a mistake is not to be half obeyed.
    pub fn load() -> Result<Self, SettingError> {
        Self::from_env(&ProcessEnv::current())
    }

    fn from_env(env: &ProcessEnv) -> Result<Self, SettingError> {
        let mut errors = Vec::new();
        let mut layers = vec![SettingsLayer::from_env(env, &mut errors)];
        layers.extend(env.files.iter().filter_map(|file| file.read_layer(&mut errors)));
        if !errors.is_empty() {
            return Err(errors.swap_remove(0));
        }
        Ok(Self {
            repository: layers.iter().find_map(|layer| layer.defaults.repository.clone()),
            provider: layers.iter().find_map(|layer| layer.defaults.provider.clone()),
        })
    }
}

/// The first layer that says anything of the electricity decides. In a layer a series goes first, with its figure or its
/// place where the series has none; then a figure; then a place. Where nobody says anything the time zone is a guess.
fn resolve_grid(
    layers: &[SettingsLayer],
    time_zone: Option<&str>,
    year: u16,
) -> (GridIntensity, Option<IntensitySeries>) {
    let is_set =
        |layer: &&SettingsLayer| layer.series.is_some() || layer.intensity.is_some() || layer.place.is_some();
    let first = layers.iter().find(is_set);
    let series = first.and_then(|layer| Some(layer.series.clone()?.with_origin(layer.origin)));
    let named = layers.iter().find_map(|layer| layer.place);
    let figure = layers.iter().find_map(|layer| match (layer.intensity, layer.place) {
        (Some(given), _) => Some(GridIntensity::user_provided(given, named, layer.origin)),
        (None, Some(place)) => Some(place.intensity(layer.origin, year)),
        (None, None) => None,
    });
    let time_zone_guess =
        || Some(Place::from_time_zone(time_zone?)?.intensity(LocationSource::TimeZone, year));
    (figure.or_else(time_zone_guess).unwrap_or_else(|| GridIntensity::world_average(year)), series)
}

/// What one of those who may say something says.
#[derive(Debug, Clone)]
struct SettingsLayer {
    origin: LocationSource,
    place: Option<Place>,
    intensity: Option<CarbonIntensity>,
    series: Option<IntensitySeries>,
    pue: Option<Pue>,
    nvml: Option<OsString>,
    baseline: Option<Duration>,
    /// Whether the machine's cloud may be asked where it is.
    query_cloud_metadata: Option<bool>,
    defaults: UserDefaults,
}

impl SettingsLayer {
    const fn empty(origin: LocationSource) -> Self {
        Self {
            origin,
            place: None,
            intensity: None,
            series: None,
            pue: None,
            nvml: None,
            baseline: None,
            query_cloud_metadata: None,
            defaults: UserDefaults { repository: None, provider: None },
        }
    }

    fn from_arguments(arguments: RunArguments) -> Self {
        let RunArguments { place, intensity, series, pue, nvml, baseline, .. } = arguments;
        Self { place, intensity, series, pue, nvml, baseline, ..Self::empty(LocationSource::Argument) }
    }

    fn from_env(env: &ProcessEnv, errors: &mut Vec<SettingError>) -> Self {
        let variable = |name| env.text(name).map(|value| (SettingSource::Variable(name), value));
        let place = variable("SOOTPRINT_PLACE").map(|(setting, name)| parse_place(setting, &name));
        let intensity = variable("SOOTPRINT_INTENSITY").map(|(setting, value)| {
            let grams = parse_number(&setting, &value)?;
            parse_intensity(setting, grams)
        });
        let pue = variable("SOOTPRINT_PUE").map(|(setting, value)| {
            let factor = parse_number(&setting, &value)?;
            parse_pue(setting, factor, PueOrigin::Environment)
        });
        let baseline = variable("SOOTPRINT_BASELINE").map(|(setting, value)| {
            let seconds = parse_number(&setting, &value)?;
            parse_baseline(setting, seconds)
        });
        let path = env.path("SOOTPRINT_SERIES");
        let series = path.map(|path| load_series(SettingSource::Variable("SOOTPRINT_SERIES"), path));
        let cloud_metadata = env.text("SOOTPRINT_METADATA");
        let repository = env.text("SOOTPRINT_REPOSITORY");
        let repository =
            repository.map(|name| parse_repository(SettingSource::Variable("SOOTPRINT_REPOSITORY"), &name));
        let defaults = UserDefaults {
            repository: ok_or_record(repository, errors),
            provider: env.text("SOOTPRINT_LIVE"),
        };
        Self {
            place: ok_or_record(place, errors),
            intensity: ok_or_record(intensity, errors),
            series: ok_or_record(series, errors),
            pue: ok_or_record(pue, errors),
            nvml: env.variable("SOOTPRINT_NVML"),
            baseline: ok_or_record(baseline, errors),
            query_cloud_metadata: cloud_metadata.map(|value| !value.eq_ignore_ascii_case("off")),
            defaults,
            origin: LocationSource::Environment,
        }
    }
}

fn parse_repository(setting: SettingSource, name: &str) -> Result<String, SettingError> {
    let is_part = |part: &str| !part.is_empty() && !part.contains(['/', ' ']);
    match name.split_once('/') {
        Some((owner, rest)) if is_part(owner) && is_part(rest) => Ok(name.to_owned()),
        _ => Err(SettingError::WrongType { setting, expected: "a repository, as in `owner/name`" }),
    }
}

fn parse_place(setting: SettingSource, name: &str) -> Result<Place, SettingError> {
    name.parse().map_err(|source| SettingError::Place { setting, source })
}

fn parse_intensity(setting: SettingSource, grams: f64) -> Result<CarbonIntensity, SettingError> {
    CarbonIntensity::try_from_grams_per_kilowatt_hour(grams)
        .map_err(|source| SettingError::Intensity { setting, source })
}

fn load_series(setting: SettingSource, path: PathBuf) -> Result<IntensitySeries, SettingError> {
    IntensitySeries::from_csv_file(&path).map_err(|source| SettingError::Series { setting, source })
}

fn parse_pue(setting: SettingSource, factor: f64, origin: PueOrigin) -> Result<Pue, SettingError> {
    Pue::new(factor)
        .map(|pue| pue.with_origin(origin))
        .map_err(|source| SettingError::Pue { setting, source })
}

fn parse_baseline(setting: SettingSource, seconds: f64) -> Result<Duration, SettingError> {
    Duration::try_from_secs_f64(seconds)
        .map_err(|_| SettingError::Number { setting, value: seconds.to_string() })
}

fn parse_number(setting: &SettingSource, value: &str) -> Result<f64, SettingError> {
    let invalid_number = |_| SettingError::Number { setting: setting.clone(), value: value.to_owned() };
    value.trim().parse().map_err(invalid_number)
}

/// A setting that is there and right; what is wrong joins the problems.
fn ok_or_record<T>(value: Option<Result<T, SettingError>>, errors: &mut Vec<SettingError>) -> Option<T> {
    match value? {
        Ok(value) => Some(value),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}

#[cfg(test)]
mod tests;
