//! The carbon intensity of a grid's electricity: the value, its bounds, its source and what it counts.

use serde::{Deserialize, Serialize};

use crate::units::CarbonIntensity;

/// Largest accepted intensity, in g/kWh. No grid emits more; a larger number is in another unit.
const MAX_PLAUSIBLE_INTENSITY: f64 = 3_000.0;

/// Relative tolerance of a published figure: the largest difference between two careful transcriptions of one national
/// figure.
///
/// Of 207 countries in the embedded table, 197 agree with Ember's own release within 2 %; the largest difference is
/// 14.8 %. Hourly variation of the grid is not included.
const TABLE_TOLERANCE: f64 = 0.15;

/// Upper bound, in g/kWh, of what building and supplying power plants adds to a figure of direct emissions.
///
/// The medians of wind, nuclear, hydro and solar power are 11 to 48 g/kWh over the plant's life in the IPCC's fifth
/// assessment report (working group III, annex III); a grid is a mixture of these and of fuels.
const UPSTREAM_MARGIN: f64 = 30.0;

/// The carbon intensity from which a run's emissions are computed, with its bounds and its source.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridIntensity {
    /// The best estimate. If `hours` is not empty, it is the energy-weighted mean of their intensities.
    ///
    /// The emissions of each epoch are computed with this value too, so that the epochs add up to the total. An epoch
    /// in a clean hour therefore emitted less than its figure states.
    #[serde(rename = "g_per_kwh")]
    pub intensity: CarbonIntensity,
    /// The lower bound of the intensity.
    pub low: CarbonIntensity,
    /// The upper bound of the intensity.
    pub high: CarbonIntensity,
    /// The display name of the place. `None` if the location is unknown.
    pub place: Option<String>,
    /// The code of the grid: the code of a country, as in `FR`, or of a part of a country, as in `US-VA` or
    /// `EGRID-SRVC`. `None` if the location is unknown or if there are several `places`.
    pub zone: Option<String>,
    /// Where the place, or the intensity itself, was configured.
    pub origin: LocationSource,
    /// How the intensity was obtained. [`IntensityKind::Live`] includes forecasts; `hours` shows which they are.
    pub method: IntensityKind,
    /// The publication that contains the figure. For a cloud region, the text also states whether the figure is that
    /// of the region or of its grid.
    pub source: String,
    /// The year of the figure. `None` for user-provided and live figures.
    pub year: Option<u16>,
    /// Which emissions the figure counts.
    pub basis: EmissionScope,
    /// The cloud provider. `None` if the place is not a cloud region.
    pub provider: Option<String>,
    /// The provider's name for the region. `None` if the place is not a cloud region.
    pub region: Option<String>,
    /// The places of a run whose ranks or attempts were in several. Empty if there is only one place.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<GridPlace>,
    /// The intensity over time, from the start to the end of the run. Empty if neither a user's series nor a live
    /// provider supplied figures.
    pub hours: Vec<IntensityInterval>,
}

/// One of several places of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct GridPlace {
    /// The display name of the place. `None` if the location is unknown.
    pub place: Option<String>,
    /// The code of the grid. `None` if the location is unknown.
    pub zone: Option<String>,
    /// The fraction of the facility's energy that was used there, from 0 to 1.
    pub share: f64,
    /// The carbon intensity there.
    #[serde(rename = "g_per_kwh")]
    pub intensity: CarbonIntensity,
}

/// An interval of a run in which the intensity is constant. The interval ends where the next one starts, or with the
/// run, and may be shorter than an hour.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntensityInterval {
    /// The start time in UTC, in RFC 3339 format.
    pub start: String,
    /// The intensity in this interval.
    #[serde(rename = "g_per_kwh")]
    pub intensity: CarbonIntensity,
    /// How the intensity was obtained, for example as a yearly average or as a forecast.
    pub method: IntensityKind,
}

/// Where a run's location comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum LocationSource {
    /// An argument in code or on the command line.
    Argument,
    /// An environment variable: `SOOTPRINT_*`, or `ELECTRICITYMAPS_ZONE`.
    Environment,
    /// A `sootprint.toml` of the project or the user, or `/etc/sootprint.toml`.
    Settings,
    /// The metadata service of the machine's cloud.
    CloudMetadata,
    /// A guess from the machine's time zone.
    TimeZone,
    /// No location is configured and none can be guessed.
    Unknown,
}

impl LocationSource {
    /// The value in `footprint.json`.
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

/// How a carbon intensity was obtained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IntensityKind {
    /// A yearly average from the embedded tables.
    Table,
    /// A single number set by the user.
    #[serde(rename = "given")]
    UserProvided,
    /// A figure from the user's own series.
    #[serde(rename = "series")]
    UserSeries,
    /// A measured figure from a live provider.
    Live,
    /// A forecast or an estimate from a live provider, used until the provider has the measured figure.
    Forecast,
}

impl IntensityKind {
    /// A phrase for reports, for example `yearly average` or `given by the user`.
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

/// Which emissions an intensity counts. A mean of figures with different scopes has the scope [`Self::Unknown`].
///
/// `LifecycleConsumption` is the scope of Electricity Maps, a provider of live intensities.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EmissionScope {
    /// The life cycle (fuel supply, plant and combustion) of the electricity that the zone generates.
    LifecycleGeneration,
    /// The life cycle of the electricity that the zone consumes, including imports.
    LifecycleConsumption,
    /// Direct emissions (combustion only) of the electricity that the zone generates.
    DirectGeneration,
    /// Direct emissions of the electricity that the zone consumes, including imports.
    DirectConsumption,
    /// The publication does not state the scope, or the figure is a mean of figures with different scopes, for
    /// example because a live provider covers only a part of the run.
    Unknown,
}

impl EmissionScope {
    /// A phrase for reports, for example `life-cycle emissions of the electricity generated`. `None` for an unknown scope.
    #[must_use]
    pub const fn description(self) -> Option<&'static str> {
        match self {
            Self::LifecycleGeneration => Some("life-cycle emissions of the electricity generated"),
            Self::LifecycleConsumption => {
                Some("life-cycle emissions of the zone's electricity, including imports")
            }
            Self::DirectGeneration => Some("direct emissions of the electricity generated"),
            Self::DirectConsumption => Some("direct emissions of the zone's electricity, including imports"),
            Self::Unknown => None,
        }
    }
}

impl CarbonIntensity {
    /// Creates an intensity from the grams of CO2e per kilowatt-hour that a user specified, and checks their range.
    ///
    /// # Errors
    /// [`IntensityError`] if the number is below 0, above 3,000 or NaN.
    pub fn try_from_grams_per_kilowatt_hour(grams: f64) -> Result<Self, IntensityError> {
        if (0.0..=MAX_PLAUSIBLE_INTENSITY).contains(&grams) {
            Ok(Self::from_grams_per_kilowatt_hour(grams))
        } else {
            Err(IntensityError { grams })
        }
    }
}

/// A number that cannot be the intensity of a grid.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("invalid carbon intensity {grams} g CO2e/kWh: must be between 0 and {MAX_PLAUSIBLE_INTENSITY}")]
pub struct IntensityError {
    grams: f64,
}

/// A yearly average and its source, as published for one zone.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PublishedIntensity {
    pub(crate) intensity: CarbonIntensity,
    pub(crate) year: u16,
    pub(crate) basis: EmissionScope,
    pub(crate) source: String,
    /// A further uncertainty of the source, in g/kWh in both directions.
    pub(crate) margin: f64,
}

/// The bounds of a published figure for a run that is `years_apart` from it: the tolerance of the tables, the change
/// between the years, and the upstream margin unless the figure is known to count the whole life cycle.
pub(crate) fn table_bounds(
    best: CarbonIntensity,
    basis: EmissionScope,
    years_apart: u16,
) -> (CarbonIntensity, CarbonIntensity) {
    let grams = CarbonIntensity::from_grams_per_kilowatt_hour;
    let upstream_margin = match basis {
        EmissionScope::DirectGeneration | EmissionScope::DirectConsumption | EmissionScope::Unknown => {
            UPSTREAM_MARGIN
        }
        EmissionScope::LifecycleGeneration | EmissionScope::LifecycleConsumption => 0.0,
    };
    let drift = drift_margin(best.grams_per_kilowatt_hour(), years_apart);
    let low = (best * (1.0 - TABLE_TOLERANCE)).grams_per_kilowatt_hour() - drift;
    (grams(low.max(0.0)), best * (1.0 + TABLE_TOLERANCE) + grams(upstream_margin + drift))
}

/// How far a figure of `grams` may be from that of another year. From the history of the tables: within five years,
/// 87 to 91 % of the countries changed by less.
fn drift_margin(grams: f64, years_apart: u16) -> f64 {
    const MIN_GRAMS: f64 = 10.0;

    if years_apart == 0 { 0.0 } else { MIN_GRAMS.max((0.10 + 0.05 * f64::from(years_apart)) * grams) }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "figures are copied, not computed")]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn implausible_intensity_is_rejected() {
        assert_eq!(
            CarbonIntensity::try_from_grams_per_kilowatt_hour(56.0).unwrap().grams_per_kilowatt_hour(),
            56.0
        );
        for absurd in [-1.0, 3_000.1, f64::NAN, f64::INFINITY] {
            let error = CarbonIntensity::try_from_grams_per_kilowatt_hour(absurd).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("invalid carbon intensity {absurd} g CO2e/kWh: must be between 0 and 3000")
            );
        }
    }

    #[test]
    fn location_source_names_match_json() {
        let sources = [
            LocationSource::Argument,
            LocationSource::Environment,
            LocationSource::Settings,
            LocationSource::CloudMetadata,
            LocationSource::TimeZone,
            LocationSource::Unknown,
        ];
        for source in sources {
            assert_eq!(serde_json::to_value(source).unwrap(), source.as_str());
        }
        assert_eq!(sources.map(LocationSource::as_str).into_iter().collect::<BTreeSet<_>>().len(), 6);
    }

    #[test]
    fn intensity_kind_descriptions_differ() {
        let kinds = [
            IntensityKind::Table,
            IntensityKind::UserProvided,
            IntensityKind::UserSeries,
            IntensityKind::Live,
            IntensityKind::Forecast,
        ];
        assert_eq!(kinds.map(IntensityKind::description).into_iter().collect::<BTreeSet<_>>().len(), 5);
    }

    #[test]
    fn emission_scope_descriptions_differ() {
        let scopes = [
            EmissionScope::LifecycleGeneration,
            EmissionScope::LifecycleConsumption,
            EmissionScope::DirectGeneration,
            EmissionScope::DirectConsumption,
            EmissionScope::Unknown,
        ];
        assert_eq!(scopes.map(EmissionScope::description).into_iter().collect::<BTreeSet<_>>().len(), 5);
    }
}
