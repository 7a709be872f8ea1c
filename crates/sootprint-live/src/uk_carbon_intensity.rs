//! The grid of Great Britain.

use std::time::{Duration, Instant};

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde::Deserialize;
use sootprint_core::{
    CarbonIntensity, EmissionScope, IntensityPeriod, IntensityProvider, IntensitySeries, Place, ProviderError,
};

use crate::http::ApiClient;

const ENDPOINT: &str = "https://api.carbonintensity.org.uk";

const PROVIDER_NAME: &str = "the Carbon Intensity API of Great Britain";

/// The publication with the name that its licence asks for.
const SOURCE: &str = "NESO Carbon Intensity API, Great Britain (CC BY 4.0)";

/// The only country that it knows.
const COUNTRY_CODE: &str = "GB";

/// All of an answer comes within this time, or none of it counts.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(10);

/// The API refuses more than 14 days in one request.
const MAX_REQUEST_SPAN: SignedDuration = SignedDuration::from_hours(13 * 24);

/// The intensity of Great Britain's grid by half-hours, from the National Energy System Operator.
///
/// It counts what power stations emit from their stacks, with imports and the losses of the network, in grams of
/// CO2 per kilowatt-hour: [`EmissionScope::DirectConsumption`], to which the core's upper bound adds the rest of a life cycle.
/// A half-hour that is not over yet, or only just, is known by its forecast and marked so.
///
/// No token is needed. Each request names a beginning and an end to the half-hour, and a run of more than thirteen
/// days takes several. It goes through the proxy that `HTTPS_PROXY` names.
///
/// The API is described at <https://carbon-intensity.github.io/api-definitions/>.
///
/// # Limits
/// The figure is the mean of all of Great Britain, whose north is much cleaner than its south. Northern Ireland has the
/// same country's code and hangs on the Irish grid, of which this API knows nothing: give its intensity yourself.
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
    /// The public API, with ten seconds for the whole answer.
    #[must_use]
    pub fn new() -> Self {
        Self { endpoint: ENDPOINT.to_owned(), timeout: DEFAULT_TIMEOUT }
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

    /// The half-hours that begin between two moments, in one request.
    fn fetch_periods(
        &self,
        from: Timestamp,
        to: Timestamp,
        timeout: Duration,
    ) -> Result<Vec<IntensityPeriod>, ProviderError> {
        let minute = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%MZ").to_string();
        let url = format!("{}/intensity/{}/{}", self.endpoint, minute(from), minute(to));
        let client = ApiClient { provider: PROVIDER_NAME, token_variable: None, timeout: self.timeout };
        let body = client.get(&url, None, timeout)?;
        let UkIntensityResponse { data } =
            serde_json::from_str(&body).map_err(|error| client.invalid_data_error(error.to_string()))?;
        // An answer begins with the half-hour before the one that was asked for.
        let requested = data.into_iter().filter(|it| (from..to).contains(&it.from));
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

/// The API's body. What else it says is of no use here.
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

/// In grams of CO2 per kilowatt-hour.
#[derive(Deserialize)]
struct UkIntensity {
    forecast: Option<f64>,
    actual: Option<f64>,
}

impl UkHalfHour {
    /// The actual figure, else the forecast; none when the API has neither.
    fn into_period(self) -> Option<IntensityPeriod> {
        let Self { from: start, to: end, intensity: UkIntensity { forecast, actual } } = self;
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(actual.or(forecast)?);
        Some(IntensityPeriod { start, end, intensity, is_forecast: actual.is_none() })
    }
}

/// The beginning of the half-hour that a moment lies in, or its end.
fn round_to_half_hour(moment: Timestamp, mode: RoundMode) -> Timestamp {
    let rounding = TimestampRound::new().smallest(Unit::Minute).increment(30).mode(mode);
    // Only the edge of jiff's calendar has no half-hour beside it.
    moment.round(rounding).unwrap_or(moment)
}
