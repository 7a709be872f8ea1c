//! Most grids of the world, from Electricity Maps.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sootprint_core::{
    CarbonIntensity, EmissionScope, IntensityPeriod, IntensityProvider, IntensitySeries, Place, ProviderError,
};

use crate::http::ApiClient;

const ENDPOINT: &str = "https://api.electricitymaps.com";

const PROVIDER_NAME: &str = "Electricity Maps";

const SOURCE: &str = "Electricity Maps, hourly, lifecycle of what is consumed";

/// The variable of the token, as its own clients call it.
const TOKEN_VARIABLE: &str = "ELECTRICITYMAPS_TOKEN";

/// The variable of a zone that is named as Electricity Maps names it.
const ZONE_VARIABLE: &str = "ELECTRICITYMAPS_ZONE";

/// All of an answer comes within this time, or none of it counts.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The API gives this much of its past in one request.
const MAX_REQUEST_SPAN: SignedDuration = SignedDuration::from_hours(10 * 24);

/// Its figures are by the hour.
const PERIOD_LENGTH: SignedDuration = SignedDuration::from_hours(1);

/// Where the API finds no zone it answers about where the caller's address seems to be, unless this forbids it; the first
/// is the word of version 3, the second the newer one.
const NO_CALLER_LOOKUP: &str = "shouldUseFallbackCallerLookup=false&disableCallerLookup=true";

/// The intensity of most of the world's grids by the hour, from Electricity Maps.
///
/// It counts the life cycle of what a zone consumes, imports included, in grams of CO2e per kilowatt-hour:
/// [`EmissionScope::LifecycleConsumption`]. An hour that is only estimated is marked as a forecast.
///
/// It asks for the last day's history, and for what lies before it from the past, where the token allows that; where it
/// does not, those hours are a gap. A region of a cloud is asked about by its name. Only a grid's own answer counts: an
/// answer about another zone is an error.
///
/// The free plan is for personal and non-commercial use, and mostly for one zone. The token goes into the request's head
/// and nowhere else.
///
/// # Limits
/// Electricity Maps divides the United States by those who balance the grid, not by states: name its zone with
/// [`zone`](Self::zone) or `ELECTRICITYMAPS_ZONE`, as in `US-MIDA-PJM`.
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
    zone: Option<String>,
    endpoint: String,
    timeout: Duration,
}

impl ElectricityMaps {
    /// The public API with this token, with ten seconds for the whole answer.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        let token = token.into().trim().to_owned();
        Self { token, zone: None, endpoint: ENDPOINT.to_owned(), timeout: DEFAULT_TIMEOUT }
    }

    /// With the token in `ELECTRICITYMAPS_TOKEN` and the zone in `ELECTRICITYMAPS_ZONE`; none without a token.
    #[must_use]
    pub fn from_env() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Some(Self { zone: variable(ZONE_VARIABLE), ..Self::new(variable(TOKEN_VARIABLE)?) })
    }

    /// The zone as Electricity Maps names it, whatever the run's place is.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// The zone that was named, if one was.
    #[must_use]
    pub fn configured_zone(&self) -> Option<&str> {
        self.zone.as_deref()
    }

    /// Another address that speaks as the public API does, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        url.into().trim_end_matches('/').clone_into(&mut self.endpoint);
        self
    }

    /// The most time that a finish waits for the whole answer.
    #[must_use]
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// What to ask about, and which zones an answer may be about.
    fn history_query(&self, place: Place) -> Result<HistoryQuery, ProviderError> {
        let zone = |zone: String| HistoryQuery {
            query: format!("zone={}", percent_encode(&zone)),
            zone,
            is_cloud_region: false,
        };
        if let Some(named) = &self.zone {
            return Ok(zone(named.clone()));
        }
        // It knows the regions of the three large clouds.
        if let Some((provider @ ("aws" | "gcp" | "azure"), region)) = place.cloud_region() {
            let query = format!("dataCenterProvider={provider}&dataCenterRegion={}", percent_encode(region));
            return Ok(HistoryQuery { query, zone: place.country_code().to_owned(), is_cloud_region: true });
        }
        let grid = place.grid_code();
        // It has a zone for each country, and for the provinces and states of these two.
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
            let (asked, answered) = (history_query.zone.clone(), other.to_owned());
            return Err(ProviderError::ZoneMismatch {
                provider: PROVIDER_NAME.to_owned(),
                requested: asked,
                returned: answered,
            });
        }
        if let Some(other) = response.hours.iter().find_map(HistoryHour::unexpected_factor_type) {
            return Err(
                client.invalid_data_error(format!("figures of the kind `{other}` instead of `lifecycle`"))
            );
        }
        Ok(response.hours.iter().filter_map(HistoryHour::to_period).collect())
    }

    /// The hours between two moments, in as many requests as the API wants.
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
            let minute = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let path = format!("past-range?start={}&end={}&", minute(chunk_start), minute(chunk_end));
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

impl IntensityProvider for ElectricityMaps {
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
            // The hour that the run began in began before it.
            let first = from.checked_sub(PERIOD_LENGTH).unwrap_or(from);
            // A plan that does not give the past gives the last day: better than nothing, and the rest is a gap.
            match self.fetch_past(&history_query, first, known, started_at) {
                Ok(past) => periods.extend(past),
                Err(ProviderError::Unauthorised { .. } | ProviderError::RequestRejected { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        periods.retain(|period| period.end > from && period.start < to);
        periods.sort_by_key(|period| period.start);
        // The past and the history may meet in an hour.
        periods.dedup_by_key(|period| period.start);
        IntensitySeries::new(SOURCE, EmissionScope::LifecycleConsumption, periods).map_err(
            |error| match error {
                ProviderError::InvalidData { reason: what, .. } => self.api_client().invalid_data_error(what),
                error => error,
            },
        )
    }
}

impl fmt::Debug for ElectricityMaps {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ElectricityMaps");
        debug.field("zone", &self.zone).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

struct HistoryQuery {
    query: String,
    zone: String,
    /// A region of a cloud is in some zone of the country.
    is_cloud_region: bool,
}

impl HistoryQuery {
    fn covers(&self, zone: &str) -> bool {
        let is_part = || zone.strip_prefix(&self.zone).is_some_and(|rest| rest.starts_with('-'));
        zone == self.zone || self.is_cloud_region && is_part()
    }
}

/// The API's body. What else it says is of no use here.
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
    /// None where the API has no figure, and at the end of the calendar.
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

/// As a part of a query. Names of zones and regions have nothing to be escaped; a user's may have.
fn percent_encode(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(letter).collect()
}
