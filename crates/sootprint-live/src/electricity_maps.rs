//! Electricity Maps: most grids of the world.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sootprint_core::{
    CarbonIntensity, EmissionScope, IntensityPeriod, IntensityProvider, IntensitySeries, LocationSource,
    Place, ProviderError,
};

use crate::http::ApiClient;

const ENDPOINT: &str = "https://api.electricitymaps.com";

const PROVIDER_NAME: &str = "Electricity Maps";

const SOURCE: &str = "Electricity Maps, hourly, life-cycle emissions of the electricity consumed";

/// The variable of the token, as in the provider's own clients.
const TOKEN_VARIABLE: &str = "ELECTRICITYMAPS_TOKEN";

/// The variable of a zone, named as in Electricity Maps.
const ZONE_VARIABLE: &str = "ELECTRICITYMAPS_ZONE";

/// The time limit for all requests of one query.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time span of one request for past hours.
const MAX_REQUEST_SPAN: SignedDuration = SignedDuration::from_hours(10 * 24);

/// The API's values are hourly.
const PERIOD_LENGTH: SignedDuration = SignedDuration::from_hours(1);

/// Without a matching zone, the API guesses one from the caller's IP address, unless these parameters forbid it. The
/// first is the name in version 3, the second the newer name.
const NO_CALLER_LOOKUP: &str = "shouldUseFallbackCallerLookup=false&disableCallerLookup=true";

/// Hourly carbon intensity of most of the world's grids, from Electricity Maps.
///
/// The values count the life-cycle emissions of the electricity that a zone consumes, imports included, in grams of
/// CO2e per kilowatt-hour: [`EmissionScope::LifecycleConsumption`]. Estimated hours are marked as forecasts.
///
/// A query requests the history of the last day. It requests earlier hours from the API's `past-range` endpoint if the
/// token allows that; otherwise those hours are a gap. Cloud regions are requested by name. A response about another
/// zone is an error.
///
/// The free plan is for personal and non-commercial use, usually for one zone. The token is sent in a request header and
/// never logged.
///
/// # Limits
/// Electricity Maps divides the United States by balancing authority, not by state: set the zone of the balancing
/// authority with [`zone`](Self::zone) or `ELECTRICITYMAPS_ZONE`, as in `US-MIDA-PJM`.
///
/// ```
/// use sootprint::{IntensityProvider, ProviderError};
/// use sootprint_live::ElectricityMaps;
///
/// let provider = ElectricityMaps::new("a token");
/// let (from, to) = ("2026-10-03T00:00:00Z".parse()?, "2026-10-03T01:00:00Z".parse()?);
/// assert!(matches!(provider.intensity_between("US-VA".parse()?, from, to), Err(ProviderError::ZoneNotCovered { .. })));
/// assert!(!format!("{provider:?}").contains("a token"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ElectricityMaps {
    token: String,
    zone: Option<(String, LocationSource)>,
    endpoint: String,
    timeout: Duration,
}

impl ElectricityMaps {
    /// Creates a provider that queries the public API with this token, with a timeout of ten seconds per query.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        let token = token.into().trim().to_owned();
        Self { token, zone: None, endpoint: ENDPOINT.to_owned(), timeout: DEFAULT_TIMEOUT }
    }

    /// Creates a provider with the token in `ELECTRICITYMAPS_TOKEN` and the zone in `ELECTRICITYMAPS_ZONE`. `None` if
    /// there is no token.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        let zone = variable(ZONE_VARIABLE).map(|zone| (zone, LocationSource::Environment));
        Some(Self { zone, ..Self::new(variable(TOKEN_VARIABLE)?) })
    }

    /// Sets the zone, as named by Electricity Maps. The provider is queried for it instead of the place of the run, and a
    /// run without a place is in the zone's country.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some((zone.into(), LocationSource::Argument));
        self
    }

    /// The configured zone, if there is one.
    #[must_use]
    pub fn configured_zone(&self) -> Option<&str> {
        self.zone.as_ref().map(|(zone, _)| zone.as_str())
    }

    /// Sets the address of another server with the same API, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        url.into().trim_end_matches('/').clone_into(&mut self.endpoint);
        self
    }

    /// Sets the time limit of a query. `Run::finish` waits at most this long for the provider.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The query for a place, and the zone that the response must be about.
    fn history_query(&self, place: Place) -> Result<HistoryQuery, ProviderError> {
        let zone = |zone: String| HistoryQuery {
            query: format!("zone={}", percent_encode(&zone)),
            zone,
            is_cloud_region: false,
        };
        if let Some((configured, _)) = &self.zone {
            return Ok(zone(configured.clone()));
        }
        // The API accepts the regions of the three large clouds.
        if let Some((provider @ ("aws" | "gcp" | "azure"), region)) = place.cloud_region() {
            let query = format!("dataCenterProvider={provider}&dataCenterRegion={}", percent_encode(region));
            return Ok(HistoryQuery { query, zone: place.country_code().to_owned(), is_cloud_region: true });
        }
        let grid = place.grid_code();
        // There is a zone for each country, and for the provinces or states of these two.
        let is_known = grid == place.country_code() || ["CA", "AU"].contains(&place.country_code());
        if is_known && grid.len() != 3 {
            Ok(zone(grid.to_owned()))
        } else {
            Err(ProviderError::ZoneNotCovered { provider: PROVIDER_NAME.to_owned(), zone: place.code() })
        }
    }

    fn fetch_periods(
        &self,
        path: &str,
        history_query: &HistoryQuery,
        timeout: Duration,
    ) -> Result<Vec<IntensityPeriod>, ProviderError> {
        let client = self.api_client();
        let HistoryQuery { query, .. } = history_query;
        let url = format!("{}/v3/carbon-intensity/{path}{query}&{NO_CALLER_LOOKUP}", self.endpoint);
        let body = client.get(&url, Some(("auth-token", &self.token)), timeout)?;
        let response: HistoryResponse =
            serde_json::from_str(&body).map_err(|error| client.invalid_data_error(error.to_string()))?;
        let zones = response.hours.iter().filter_map(|hour| hour.zone.as_deref());
        if let Some(other) = zones.chain([response.zone.as_str()]).find(|zone| !history_query.covers(zone)) {
            return Err(ProviderError::ZoneMismatch {
                provider: PROVIDER_NAME.to_owned(),
                requested: history_query.zone.clone(),
                returned: other.to_owned(),
            });
        }
        if let Some(other) = response.hours.iter().find_map(HistoryHour::unexpected_factor_type) {
            return Err(client
                .invalid_data_error(format!("emission factors of type `{other}` instead of `lifecycle`")));
        }
        Ok(response.hours.iter().filter_map(HistoryHour::to_period).collect())
    }

    /// The hours between two times, in as many requests as the API requires.
    fn fetch_past(
        &self,
        history_query: &HistoryQuery,
        from: Timestamp,
        to: Timestamp,
        started_at: Instant,
    ) -> Result<Vec<IntensityPeriod>, ProviderError> {
        let mut periods = Vec::new();
        let mut chunk_start = from;
        while chunk_start < to {
            let chunk_end = chunk_start.checked_add(MAX_REQUEST_SPAN).unwrap_or(to).min(to);
            let format_time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let path =
                format!("past-range?start={}&end={}&", format_time(chunk_start), format_time(chunk_end));
            periods.extend(self.fetch_periods(&path, history_query, self.remaining_time(started_at))?);
            chunk_start = chunk_end;
        }
        Ok(periods)
    }

    fn remaining_time(&self, started_at: Instant) -> Duration {
        self.timeout.saturating_sub(started_at.elapsed())
    }

    const fn api_client(&self) -> ApiClient {
        ApiClient { provider: PROVIDER_NAME, token_variable: Some(TOKEN_VARIABLE), timeout: self.timeout }
    }
}

/// The place of a zone, or its country if there is no figure for the zone alone.
fn zone_place(zone: &str) -> Option<Place> {
    let zone = zone.trim();
    let country = zone.split('-').next()?;
    zone.parse().or_else(|_| country.parse()).ok()
}

impl IntensityProvider for ElectricityMaps {
    fn configured_place(&self) -> Option<(Place, LocationSource)> {
        let (zone, origin) = self.zone.as_ref()?;
        Some((zone_place(zone)?, *origin))
    }

    fn intensity_between(
        &self,
        place: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError> {
        let started_at = Instant::now();
        let history_query = self.history_query(place)?;
        let mut periods = self.fetch_periods("history?", &history_query, self.remaining_time(started_at))?;
        let known = periods.iter().map(|period| period.start).min().unwrap_or(to).min(to);
        if from < known {
            // The run began within an hour that started earlier.
            let first = from.checked_sub(PERIOD_LENGTH).unwrap_or(from);
            // A plan without past hours still includes the last day; the rest is a gap.
            match self.fetch_past(&history_query, first, known, started_at) {
                Ok(past) => periods.extend(past),
                Err(ProviderError::Unauthorised { .. } | ProviderError::RequestRejected { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        periods.retain(|period| period.end > from && period.start < to);
        periods.sort_by_key(|period| period.start);
        // The past range and the history may overlap by an hour.
        periods.dedup_by_key(|period| period.start);
        IntensitySeries::new(SOURCE, EmissionScope::LifecycleConsumption, periods).map_err(
            |error| match error {
                ProviderError::InvalidData { reason, .. } => self.api_client().invalid_data_error(reason),
                error => error,
            },
        )
    }
}

impl fmt::Debug for ElectricityMaps {
    /// Writes the settings without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ElectricityMaps");
        debug.field("zone", &self.zone).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

struct HistoryQuery {
    query: String,
    zone: String,
    /// A cloud region may be in any zone of its country.
    is_cloud_region: bool,
}

impl HistoryQuery {
    fn covers(&self, zone: &str) -> bool {
        let is_part = || zone.strip_prefix(&self.zone).is_some_and(|rest| rest.starts_with('-'));
        zone == self.zone || self.is_cloud_region && is_part()
    }
}

/// The response; other fields are ignored.
#[derive(Deserialize)]
struct HistoryResponse {
    zone: String,
    #[serde(alias = "history", alias = "data")]
    hours: Vec<HistoryHour>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HistoryHour {
    zone: Option<String>,
    datetime: Timestamp,
    carbon_intensity: Option<f64>,
    is_estimated: Option<bool>,
    emission_factor_type: Option<String>,
}

impl HistoryHour {
    /// `None` if the API has no value, or the end of the hour is out of range.
    fn to_period(&self) -> Option<IntensityPeriod> {
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(self.carbon_intensity?);
        let end = self.datetime.checked_add(PERIOD_LENGTH).ok()?;
        Some(IntensityPeriod {
            start: self.datetime,
            end,
            intensity,
            is_forecast: self.is_estimated.unwrap_or(false),
        })
    }

    fn unexpected_factor_type(&self) -> Option<&str> {
        self.emission_factor_type.as_deref().filter(|kind| *kind != "lifecycle")
    }
}

/// Encodes a query value. Known zones and regions need no escaping; a configured zone may.
fn percent_encode(text: &str) -> String {
    let encode = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(encode).collect()
}
