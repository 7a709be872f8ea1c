//! The carbon intensity of a place's electricity: value, bounds, source, year and basis.

mod cloud_regions;
mod countries;
mod intensity_series;
mod place_names;
mod series_csv;
mod subdivisions;
mod time_zones;
mod weighting;
mod zone;

use serde::{Deserialize, Serialize};

use crate::units::CarbonIntensity;

pub use intensity_series::{IntensityPeriod, IntensitySeries, ProviderError};
pub(crate) use place_names::{find_zones, suggest_names};
pub use series_csv::{SeriesContentError, SeriesError};
pub(crate) use time_zones::country_for_time_zone;
pub use weighting::{energy_at, energy_weighted, timestamp_at};
pub(crate) use zone::GridZone;

/// The figure for electricity from anywhere: the world's mean of the embedded table.
const WORLD_CODE: &str = "WLD";

/// The cleanest and the dirtiest national grid that a run at an unknown place may hang on.
///
/// Of the embedded table's countries with a grid of some size; the world's mean lies between them.
const NATIONAL_RANGE: (f64, f64) = (36.0, 802.0);

/// How far two careful transcriptions of one national figure lie apart at worst.
///
/// The embedded table against Ember's own release: of 207 countries 197 agree within 2 %, the worst differs by
/// 14.8 %. How much the grid varies from hour to hour is not in it.
const TABLE_TOLERANCE: f64 = 0.15;

/// What building and running the plants adds at most to a figure that counts the stack only, in g/kWh.
///
/// The medians of wind, nuclear, water and sun are 11 to 48 g/kWh over the plant's life in the IPCC's fifth report
/// (working group III, annex III); a grid is a mixture of them and of fuels.
const UPSTREAM_MARGIN: f64 = 30.0;

/// Above this no grid emits; a figure beyond it is a mistake of units.
const MAX_PLAUSIBLE_INTENSITY: f64 = 3_000.0;

/// The carbon intensity that a run's emissions were computed with, and where it comes from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridIntensity {
    /// The best estimate, energy-weighted over `hours` when there are any.
    ///
    /// Each epoch's grams are its energy at this figure too, so that epochs and total agree; an epoch in a clean
    /// hour emitted less than that.
    #[serde(rename = "g_per_kwh")]
    pub intensity: CarbonIntensity,
    /// The lower bound.
    pub low: CarbonIntensity,
    /// The upper bound.
    pub high: CarbonIntensity,
    /// The place for people; none when unknown.
    pub place: Option<String>,
    /// The code of the grid: a country's, as in `FR`, or that of a part of one, as in `US-VA` or `EGRID-SRVC`.
    pub zone: Option<String>,
    /// Who named the place, or the intensity.
    pub origin: LocationSource,
    /// What kind of figure it is.
    pub method: IntensityKind,
    /// The publication; of a cloud's region also whether the figure is its own or its grid's.
    pub source: String,
    /// The year that the figure is for; none for a user's own and for a live one.
    pub year: Option<u16>,
    /// What is counted in the figure.
    pub basis: EmissionScope,
    /// The cloud provider, when the place is one of its regions.
    pub provider: Option<String>,
    /// The provider's region.
    pub region: Option<String>,
    /// The run from its start to its end, where there is a series.
    pub hours: Vec<IntensityInterval>,
}

/// A part of the run, up to the start of the next part or the end of the run. A series may be finer than an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntensityInterval {
    /// RFC 3339, in UTC.
    pub start: String,
    /// The intensity in this part.
    #[serde(rename = "g_per_kwh")]
    pub intensity: CarbonIntensity,
    /// What kind of figure it is.
    pub method: IntensityKind,
}

/// Who said where the run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LocationSource {
    /// The call or the command line.
    Argument,
    /// A `SOOTPRINT_*` variable.
    Environment,
    /// A `sootprint.toml`: the project's, the user's or the site's.
    Settings,
    /// The cloud that the machine is in.
    CloudMetadata,
    /// Nobody; the machine's time zone lets it be guessed.
    TimeZone,
    /// Nobody.
    Unknown,
}

impl LocationSource {
    /// The word that the footprint's JSON uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Environment => "environment",
            Self::Settings => "settings",
            Self::CloudMetadata => "cloud-metadata",
            Self::TimeZone => "time-zone",
            Self::Unknown => "unknown",
        }
    }
}

/// What kind of figure an intensity is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IntensityKind {
    /// A yearly mean from the embedded tables.
    Table,
    /// One number that the user gave.
    #[serde(rename = "given")]
    UserProvided,
    /// The user's own figure for the hour.
    #[serde(rename = "series")]
    UserSeries,
    /// A live provider's answer for the hour.
    Live,
    /// A live provider's forecast for the hour, which stands until the provider knows better.
    Forecast,
}

impl IntensityKind {
    /// What it is, in a sentence for people: `yearly average`, `given by the user`.
    #[must_use]
    pub const fn description(self) -> &'static str {
        match self {
            Self::Table => "yearly average",
            Self::UserProvided => "given by the user",
            Self::UserSeries => "the user's own series, weighted by the energy of each interval",
            Self::Live => "live, weighted by the energy of each interval",
            Self::Forecast => "forecast, weighted by the energy of each interval",
        }
    }
}

/// What an intensity counts. Figures of different bases are never mixed in silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EmissionScope {
    /// Fuel, plant and stack of the power that the zone generates.
    LifecycleGeneration,
    /// Fuel, plant and stack of the power that the zone uses, imports included.
    LifecycleConsumption,
    /// The stack only, of the power that the zone generates.
    DirectGeneration,
    /// The stack only, of the power that the zone uses, imports included.
    DirectConsumption,
    /// Nobody says, or a live provider covers a part of the run only and figures of two bases are in one mean.
    Unknown,
}

impl EmissionScope {
    /// What is counted, for people: `life cycle of the electricity generated`. `None` when it is unknown.
    #[must_use]
    pub const fn description(self) -> Option<&'static str> {
        match self {
            Self::LifecycleGeneration => Some("life cycle of the electricity generated"),
            Self::LifecycleConsumption => Some("life cycle of the electricity consumed"),
            Self::DirectGeneration => Some("direct emissions of the electricity generated"),
            Self::DirectConsumption => Some("direct emissions of the electricity consumed"),
            Self::Unknown => None,
        }
    }
}

/// A number that cannot be a grid's intensity.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "{grams} g CO2e/kWh is no carbon intensity: give grams per kilowatt-hour, from 0 to {MAX_PLAUSIBLE_INTENSITY}"
)]
pub struct IntensityError {
    grams: f64,
}

impl CarbonIntensity {
    /// A user's number in grams per kilowatt-hour.
    ///
    /// # Errors
    /// [`IntensityError`] below 0, above 3,000 and for what is no number.
    pub fn try_from_grams_per_kilowatt_hour(grams: f64) -> Result<Self, IntensityError> {
        if (0.0..=MAX_PLAUSIBLE_INTENSITY).contains(&grams) {
            Ok(Self::from_grams_per_kilowatt_hour(grams))
        } else {
            Err(IntensityError { grams })
        }
    }
}

impl GridIntensity {
    /// Where nobody says where the run is: the world's mean between the bounds of national grids.
    pub fn world_average(year: u16) -> Self {
        let grams = CarbonIntensity::from_grams_per_kilowatt_hour;
        let world = countries::find_by_code(WORLD_CODE).and_then(|world| world.published_intensity(year));
        Self {
            // The table without its world row would be a broken build; the test below holds the two together.
            intensity: world.as_ref().map_or(grams(NATIONAL_RANGE.1), |world| world.intensity),
            low: grams(NATIONAL_RANGE.0),
            high: grams(NATIONAL_RANGE.1),
            place: None,
            zone: None,
            origin: LocationSource::Unknown,
            method: IntensityKind::Table,
            year: world.as_ref().map(|world| world.year),
            source: world.map_or_else(String::new, |world| world.source),
            basis: EmissionScope::LifecycleGeneration,
            provider: None,
            region: None,
            hours: Vec::new(),
        }
    }
}

/// A published figure's bounds: the tolerance of the tables, and what a life cycle adds to a stack, or to a figure of
/// which nobody says what it counts.
pub(crate) fn table_bounds(
    best: CarbonIntensity,
    basis: EmissionScope,
) -> (CarbonIntensity, CarbonIntensity) {
    let upstream_margin = match basis {
        EmissionScope::DirectGeneration | EmissionScope::DirectConsumption | EmissionScope::Unknown => {
            UPSTREAM_MARGIN
        }
        EmissionScope::LifecycleGeneration | EmissionScope::LifecycleConsumption => 0.0,
    };
    let high =
        best * (1.0 + TABLE_TOLERANCE) + CarbonIntensity::from_grams_per_kilowatt_hour(upstream_margin);
    (best * (1.0 - TABLE_TOLERANCE), high)
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "figures are copied, not computed")]
mod tests {
    use super::*;

    #[test]
    fn unknown_place_uses_world_average() {
        let grid = GridIntensity::world_average(2026);
        assert_eq!(grid.intensity.grams_per_kilowatt_hour(), 473.0);
        assert_eq!((grid.place, grid.zone, grid.origin), (None, None, LocationSource::Unknown));
        assert!(grid.low < grid.intensity && grid.intensity < grid.high);
    }

    #[test]
    fn implausible_intensity_is_rejected() {
        assert_eq!(
            CarbonIntensity::try_from_grams_per_kilowatt_hour(56.0).unwrap().grams_per_kilowatt_hour(),
            56.0
        );
        for absurd in [-1.0, 3_000.1, f64::NAN, f64::INFINITY] {
            let error = CarbonIntensity::try_from_grams_per_kilowatt_hour(absurd).unwrap_err().to_string();
            assert!(error.contains("grams per kilowatt-hour"), "{error}");
        }
    }
}
