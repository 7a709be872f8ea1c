//! The settings of one run.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use sootprint_core::{CarbonIntensity, GridIntensity, IntensitySeries, LocationSource, Place, Pue};
use sootprint_power::{NvmlHelperCommand, Replay, VirtualClock};

use super::error::{SettingError, SettingSource};
use super::layer::SettingsLayer;
use super::parse::ok_or_record;
use super::process_env::ProcessEnv;
use crate::distributed::RankInfo;

/// Set by `sootprint run` for its children: the folder in which the run is recorded.
const RUN_DIR_VARIABLE: &str = "SOOTPRINT_RUN_DIR";

/// Settings given by the caller. The environment and the settings files provide what is `None`.
#[derive(Debug, Clone, Default)]
pub(crate) struct RunArguments {
    pub(crate) place: Option<Place>,
    pub(crate) intensity: Option<CarbonIntensity>,
    pub(crate) series: Option<IntensitySeries>,
    pub(crate) pue: Option<Pue>,
    pub(crate) replay: Option<Replay>,
    pub(crate) nvml: Option<OsString>,
    pub(crate) nvml_helper: Option<NvmlHelperCommand>,
    pub(crate) clock: Option<VirtualClock>,
    /// How long the hardware is measured at rest before the run starts.
    pub(crate) baseline: Option<Duration>,
    /// The year of the carbon intensity; the current year if `None`.
    pub(crate) year: Option<u16>,
    /// The rank of this process and the number of ranks.
    pub(crate) rank: Option<(u32, u32)>,
    /// The place that the intensity provider is configured for.
    pub(crate) provider_place: Option<(Place, LocationSource)>,
}

impl RunArguments {
    fn into_layer(self) -> SettingsLayer {
        let Self { place, intensity, series, pue, nvml, baseline, .. } = self;
        SettingsLayer {
            place,
            intensity,
            series,
            pue,
            nvml,
            baseline,
            ..SettingsLayer::empty(LocationSource::Argument)
        }
    }
}

/// The resolved settings of a run, and the errors of invalid ones.
#[derive(Debug)]
pub(crate) struct RunSettings {
    /// `SOOTPRINT=off`: no hardware is read, no file is written and no thread is started.
    pub(crate) is_disabled: bool,
    /// The configured place, or the guess from the time zone.
    pub(crate) place: Option<Place>,
    pub(crate) grid: GridIntensity,
    /// The user's own hourly intensities; `grid` applies to hours that it does not cover.
    pub(crate) series: Option<IntensitySeries>,
    pub(crate) pue: Pue,
    pub(crate) replay: Option<Replay>,
    /// The path of the NVML library, if it is not the system's.
    pub(crate) nvml: Option<OsString>,
    /// The process that reads NVML instead of this one.
    pub(crate) nvml_helper: Option<NvmlHelperCommand>,
    pub(crate) clock: Option<VirtualClock>,
    pub(crate) baseline: Option<Duration>,
    /// The year of the carbon intensity.
    pub(crate) year: u16,
    /// The position of this process among the run's ranks.
    pub(crate) launch: RankInfo,
    /// The folder of the enclosing `sootprint run`, if this process runs inside one and reads the same hardware.
    pub(crate) parent_run_dir: Option<PathBuf>,
    /// Whether the cloud's metadata service may be queried: the location is not configured, and the query is not
    /// disabled.
    pub(crate) query_cloud_metadata: bool,
    /// Invalid settings, which are ignored by `start` and returned by `try_start`.
    pub(crate) errors: Vec<SettingError>,
}

impl RunSettings {
    /// Resolves the settings with the environment, the files and the clock of this machine.
    pub(crate) fn from_environment(arguments: RunArguments) -> Self {
        Self::resolve(arguments, &ProcessEnv::current())
    }

    /// Whether the run uses a virtual clock.
    pub(crate) fn uses_virtual_time(&self) -> bool {
        self.clock.is_some() || self.replay.as_ref().is_some_and(|replay| replay.clock().is_some())
    }

    pub(crate) fn resolve(arguments: RunArguments, env: &ProcessEnv) -> Self {
        let mut errors = Vec::new();
        let year = arguments.year.unwrap_or(env.year);
        let configured = SettingsLayer::list_configured(env, &mut errors);
        let replay = env.path("SOOTPRINT_REPLAY").map(|path| {
            let setting = SettingSource::Variable("SOOTPRINT_REPLAY");
            Replay::from_file(&path).map_err(|source| SettingError::Replay { setting, source })
        });
        // The caller's own script is not the hardware that the enclosing run measures.
        let is_scripted = arguments.replay.is_some() || arguments.clock.is_some();
        let parent_run_dir = env.path(RUN_DIR_VARIABLE).filter(|_| !is_scripted);
        let replay = arguments.replay.clone().or_else(|| ok_or_record(replay, &mut errors));
        let (clock, nvml_helper) = (arguments.clock.clone(), arguments.nvml_helper.clone());
        let launch = RankInfo::from_env(&|name| env.text(name));
        let launch = arguments.rank.map_or(launch.clone(), |(rank, ranks)| launch.with_rank(rank, ranks));
        let provider_layer = arguments
            .provider_place
            .map(|(place, origin)| SettingsLayer { place: Some(place), ..SettingsLayer::empty(origin) });
        let mut layers = vec![arguments.into_layer()];
        layers.extend(configured);
        layers.extend(provider_layer);

        let (grid, series) = resolve_grid(&layers, env.time_zone.as_deref(), year);
        let place = layers.iter().find_map(|layer| layer.place);
        let pue = layers.iter().find_map(|layer| layer.pue).or_else(|| place?.pue(year));
        let query_cloud_metadata = layers.iter().find_map(|layer| layer.query_cloud_metadata);
        Self {
            is_disabled: env.text("SOOTPRINT").is_some_and(|value| value.eq_ignore_ascii_case("off")),
            query_cloud_metadata: query_cloud_metadata.unwrap_or(true)
                && series.is_none()
                && matches!(grid.origin, LocationSource::TimeZone | LocationSource::Unknown),
            place: place.or_else(|| Place::from_time_zone(env.time_zone.as_deref()?)),
            grid,
            series,
            pue: pue.unwrap_or(Pue::ASSUMED),
            replay,
            nvml_helper,
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

/// The intensity of the first layer that sets a series, an intensity or a place. Within a layer, a series takes
/// precedence, and the intensity or the place applies to the hours that it does not cover; then the intensity; then the
/// place. A place in an argument therefore overrides an intensity in the environment. If no layer sets any
/// of them, the location is guessed from the time zone.
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
