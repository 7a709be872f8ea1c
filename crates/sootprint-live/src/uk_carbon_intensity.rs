//! The grid of Great Britain, from its system operator.

use std::time::{Duration, Instant};

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde::Deserialize;
use sootprint_core::{
    CarbonIntensity, EmissionScope, IntensityPeriod, IntensityProvider, IntensitySeries, Place, ProviderError,
};

use crate::http::ApiClient;

const ENDPOINT: &str = "https://api.carbonintensity.org.uk";

const PROVIDER_NAME: &str = "the Carbon Intensity API of Great Britain";

/// The attribution that the licence requires.
const SOURCE: &str = "NESO Carbon Intensity API, Great Britain (CC BY 4.0)";

/// The only country of the API.
const COUNTRY_CODE: &str = "GB";

/// The time limit for all requests of one query.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The longest time span of one request. The API refuses more than 14 days.
const MAX_REQUEST_SPAN: SignedDuration = SignedDuration::from_hours(13 * 24);

/// Half-hourly carbon intensity of Great Britain's grid, from the National Energy System Operator.
///
/// The values count the direct emissions of power stations, including imports and grid losses, in grams of CO2 per
/// kilowatt-hour: [`EmissionScope::DirectConsumption`]. The upper bound in a footprint therefore adds a margin for the
/// rest of the life cycle. For the most recent half-hours there is only a forecast, which is marked as a forecast.
///
/// No token is needed. Each request contains the start and the end of the requested time, rounded to half-hours; a
/// run of more than thirteen days takes several requests. Requests use the proxy in `HTTPS_PROXY`.
///
/// The API is described at <https://carbon-intensity.github.io/api-definitions/>.
///
/// # Limits
/// The value is the mean of Great Britain, although its north is much cleaner than its south. Northern Ireland has the
/// same country code but belongs to the Irish grid, which this API does not cover: set its intensity explicitly.
///
/// ```
/// use sootprint::{IntensityProvider, ProviderError};
/// use sootprint_live::UkCarbonIntensity;
///
/// let provider = UkCarbonIntensity::new();
/// let (from, to) = ("2026-10-03T00:00:00Z".parse()?, "2026-10-03T01:00:00Z".parse()?);
/// assert!(matches!(provider.intensity_between("FR".parse()?, from, to), Err(ProviderError::ZoneNotCovered { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct UkCarbonIntensity {
    endpoint: String,
    timeout: Duration,
}

impl UkCarbonIntensity {
    /// Creates a provider that queries the public API, with a timeout of ten seconds per query.
    #[must_use]
    pub fn new() -> Self {
        Self { endpoint: ENDPOINT.to_owned(), timeout: DEFAULT_TIMEOUT }
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

    /// The half-hours that begin between two times, in one request.
    fn fetch_periods(
        &self,
        from: Timestamp,
        to: Timestamp,
        timeout: Duration,
    ) -> Result<Vec<IntensityPeriod>, ProviderError> {
        let format_time = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%MZ").to_string();
        let url = format!("{}/intensity/{}/{}", self.endpoint, format_time(from), format_time(to));
        let client = ApiClient { provider: PROVIDER_NAME, token_variable: None, timeout: self.timeout };
        let body = client.get(&url, None, timeout)?;
        let UkIntensityResponse { data } =
            serde_json::from_str(&body).map_err(|error| client.invalid_data_error(error.to_string()))?;
        // A response begins with the half-hour before the first requested one.
        let requested = data.into_iter().filter(|half_hour| (from..to).contains(&half_hour.from));
        Ok(requested.filter_map(UkHalfHour::into_period).collect())
    }
}

impl Default for UkCarbonIntensity {
    fn default() -> Self {
        Self::new()
    }
}

impl IntensityProvider for UkCarbonIntensity {
    fn intensity_between(
        &self,
        place: Place,
        from: Timestamp,
        to: Timestamp,
    ) -> Result<IntensitySeries, ProviderError> {
        if place.country_code() != COUNTRY_CODE {
            return Err(ProviderError::ZoneNotCovered {
                provider: PROVIDER_NAME.to_owned(),
                zone: place.code(),
            });
        }
        let started_at = Instant::now();
        let (mut chunk_start, end) =
            (round_to_half_hour(from, RoundMode::Floor), round_to_half_hour(to, RoundMode::Ceil));
        let mut periods = Vec::new();
        while chunk_start < end {
            let chunk_end = chunk_start.checked_add(MAX_REQUEST_SPAN).unwrap_or(end).min(end);
            let remaining = self.timeout.saturating_sub(started_at.elapsed());
            periods.extend(self.fetch_periods(chunk_start, chunk_end, remaining)?);
            chunk_start = chunk_end;
        }
        IntensitySeries::new(SOURCE, EmissionScope::DirectConsumption, periods)
    }
}

/// The response; other fields are ignored.
#[derive(Deserialize)]
struct UkIntensityResponse {
    data: Vec<UkHalfHour>,
}

#[derive(Deserialize)]
struct UkHalfHour {
    from: Timestamp,
    to: Timestamp,
    intensity: UkIntensity,
}

/// Intensities in grams of CO2 per kilowatt-hour.
#[derive(Deserialize)]
struct UkIntensity {
    forecast: Option<f64>,
    actual: Option<f64>,
}

impl UkHalfHour {
    /// The actual value if there is one, otherwise the forecast; `None` if there is neither.
    fn into_period(self) -> Option<IntensityPeriod> {
        let Self { from: start, to: end, intensity: UkIntensity { forecast, actual } } = self;
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(actual.or(forecast)?);
        Some(IntensityPeriod { start, end, intensity, is_forecast: actual.is_none() })
    }
}

/// Rounds a time down or up to a half-hour.
fn round_to_half_hour(time: Timestamp, mode: RoundMode) -> Timestamp {
    let rounding = TimestampRound::new().smallest(Unit::Minute).increment(30).mode(mode);
    // Rounding fails only at the ends of jiff's calendar.
    time.round(rounding).unwrap_or(time)
}
