//! The grid of Great Britain.

use std::time::{Duration, Instant};

use jiff::{RoundMode, SignedDuration, Timestamp, TimestampRound, Unit};
use serde::Deserialize;
use sootprint_core::{Basis, CarbonIntensity, Period, Place, Provider, ProviderError, Series};

use crate::http::Asked;

const ENDPOINT: &str = "https://api.carbonintensity.org.uk";

const NAME: &str = "the Carbon Intensity API of Great Britain";

/// The publication with the name that its licence asks for.
const SOURCE: &str = "NESO Carbon Intensity API, Great Britain (CC BY 4.0)";

/// The only country that it knows.
const COUNTRY: &str = "GB";

/// All of an answer comes within this time, or none of it counts.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The API refuses more than 14 days in one request.
const LONGEST_REQUEST: SignedDuration = SignedDuration::from_hours(13 * 24);

/// The intensity of Great Britain's grid by half-hours, from the National Energy System Operator.
///
/// It counts what power stations emit from their stacks, with imports and the losses of the network, in grams of
/// CO2 per kilowatt-hour: [`Basis::DirectConsumption`], to which the core's upper bound adds the rest of a life cycle.
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
/// use sootprint_core::{Provider, ProviderError};
/// use sootprint_live::UkCarbonIntensity;
///
/// let provider = UkCarbonIntensity::new();
/// let (from, to) = ("2026-10-03T00:00:00Z".parse()?, "2026-10-03T01:00:00Z".parse()?);
/// assert!(matches!(provider.hours("FR".parse()?, from, to), Err(ProviderError::DoesNotCover { .. })));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone)]
pub struct UkCarbonIntensity {
    endpoint: String,
    time_limit: Duration,
}

impl UkCarbonIntensity {
    /// The public API, with ten seconds for the whole answer.
    #[must_use]
    pub fn new() -> Self {
        Self { endpoint: ENDPOINT.to_owned(), time_limit: TIME_LIMIT }
    }

    /// Another address that speaks as the public API does, as in `http://127.0.0.1:8080`.
    #[must_use]
    pub fn endpoint(mut self, url: impl Into<String>) -> Self {
        url.into().trim_end_matches('/').clone_into(&mut self.endpoint);
        self
    }

    /// The most time that a finish waits for the whole answer.
    #[must_use]
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The half-hours that begin between two moments, in one request.
    fn request(&self, from: Timestamp, to: Timestamp, limit: Duration) -> Result<Vec<Period>, ProviderError> {
        let minute = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%MZ").to_string();
        let url = format!("{}/intensity/{}/{}", self.endpoint, minute(from), minute(to));
        let asked = Asked { name: NAME, variable: None, time_limit: self.time_limit };
        let body = asked.get(&url, None, limit)?;
        let Reply { data } =
            serde_json::from_str(&body).map_err(|error| asked.nonsense(error.to_string()))?;
        // An answer begins with the half-hour before the one that was asked for.
        let asked = data.into_iter().filter(|it| (from..to).contains(&it.from));
        Ok(asked.filter_map(HalfHour::period).collect())
    }
}

impl Default for UkCarbonIntensity {
    fn default() -> Self {
        Self::new()
    }
}

impl Provider for UkCarbonIntensity {
    fn hours(&self, place: Place, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError> {
        if place.country() != COUNTRY {
            return Err(ProviderError::DoesNotCover { provider: NAME.to_owned(), zone: place.code() });
        }
        let begun = Instant::now();
        let (mut reached, end) = (half_hour(from, RoundMode::Floor), half_hour(to, RoundMode::Ceil));
        let mut periods = Vec::new();
        while reached < end {
            let next = reached.checked_add(LONGEST_REQUEST).unwrap_or(end).min(end);
            let left = self.time_limit.saturating_sub(begun.elapsed());
            periods.extend(self.request(reached, next, left)?);
            reached = next;
        }
        Series::new(SOURCE, Basis::DirectConsumption, periods)
    }
}

/// The API's body. What else it says is of no use here.
#[derive(Deserialize)]
struct Reply {
    data: Vec<HalfHour>,
}

#[derive(Deserialize)]
struct HalfHour {
    from: Timestamp,
    to: Timestamp,
    intensity: Intensity,
}

/// In grams of CO2 per kilowatt-hour.
#[derive(Deserialize)]
struct Intensity {
    forecast: Option<f64>,
    actual: Option<f64>,
}

impl HalfHour {
    /// The actual figure, else the forecast; none when the API has neither.
    fn period(self) -> Option<Period> {
        let Self { from: start, to: end, intensity: Intensity { forecast, actual } } = self;
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(actual.or(forecast)?);
        Some(Period { start, end, intensity, is_forecast: actual.is_none() })
    }
}

/// The beginning of the half-hour that a moment lies in, or its end.
fn half_hour(moment: Timestamp, mode: RoundMode) -> Timestamp {
    let rounding = TimestampRound::new().smallest(Unit::Minute).increment(30).mode(mode);
    // Only the edge of jiff's calendar has no half-hour beside it.
    moment.round(rounding).unwrap_or(moment)
}
