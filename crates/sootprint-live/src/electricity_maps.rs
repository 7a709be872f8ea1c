//! Most grids of the world, from Electricity Maps.

use std::fmt;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;
use sootprint_core::{Basis, CarbonIntensity, Period, Place, Provider, ProviderError, Series};

use crate::http::Asked;

const ENDPOINT: &str = "https://api.electricitymaps.com";

const NAME: &str = "Electricity Maps";

const SOURCE: &str = "Electricity Maps, hourly, lifecycle of what is consumed";

/// The variable of the token, as its own clients call it.
const TOKEN: &str = "ELECTRICITYMAPS_TOKEN";

/// The variable of a zone that is named as Electricity Maps names it.
const ZONE: &str = "ELECTRICITYMAPS_ZONE";

/// All of an answer comes within this time, or none of it counts.
const TIME_LIMIT: Duration = Duration::from_secs(10);

/// The API gives this much of its past in one request.
const LONGEST_REQUEST: SignedDuration = SignedDuration::from_hours(10 * 24);

/// Its figures are by the hour.
const HOUR: SignedDuration = SignedDuration::from_hours(1);

/// Where the API finds no zone it answers about where the caller's address seems to be, unless this forbids it; the first
/// is the word of version 3, the second the newer one.
const NO_CALLER_LOOKUP: &str = "shouldUseFallbackCallerLookup=false&disableCallerLookup=true";

/// The intensity of most of the world's grids by the hour, from Electricity Maps.
///
/// It counts the life cycle of what a zone consumes, imports included, in grams of CO2e per kilowatt-hour:
/// [`Basis::LifecycleConsumption`]. An hour that is only estimated is marked as a forecast.
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
/// use sootprint_core::{Provider, ProviderError};
/// use sootprint_live::ElectricityMaps;
///
/// let provider = ElectricityMaps::new("a token");
/// let (from, to) = ("2026-10-03T00:00:00Z".parse()?, "2026-10-03T01:00:00Z".parse()?);
/// assert!(matches!(provider.hours("US-VA".parse()?, from, to), Err(ProviderError::DoesNotCover { .. })));
/// assert!(!format!("{provider:?}").contains("a token"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct ElectricityMaps {
    token: String,
    zone: Option<String>,
    endpoint: String,
    time_limit: Duration,
}

impl ElectricityMaps {
    /// The public API with this token, with ten seconds for the whole answer.
    #[must_use]
    pub fn new(token: impl Into<String>) -> Self {
        let token = token.into().trim().to_owned();
        Self { token, zone: None, endpoint: ENDPOINT.to_owned(), time_limit: TIME_LIMIT }
    }

    /// With the token in `ELECTRICITYMAPS_TOKEN` and the zone in `ELECTRICITYMAPS_ZONE`; none without a token.
    #[must_use]
    pub fn from_environment() -> Option<Self> {
        let variable = |name| std::env::var(name).ok().filter(|value| !value.trim().is_empty());
        Some(Self { zone: variable(ZONE), ..Self::new(variable(TOKEN)?) })
    }

    /// The zone as Electricity Maps names it, whatever the run's place is.
    #[must_use]
    pub fn zone(mut self, zone: impl Into<String>) -> Self {
        self.zone = Some(zone.into());
        self
    }

    /// The zone that was named, if one was.
    #[must_use]
    pub fn named_zone(&self) -> Option<&str> {
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
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// What to ask about, and which zones an answer may be about.
    fn question(&self, place: Place) -> Result<Question, ProviderError> {
        let zone =
            |zone: String| Question { query: format!("zone={}", escaped(&zone)), zone, is_region: false };
        if let Some(named) = &self.zone {
            return Ok(zone(named.clone()));
        }
        // It knows the regions of the three large clouds.
        if let Some((provider @ ("aws" | "gcp" | "azure"), region)) = place.cloud() {
            let query = format!("dataCenterProvider={provider}&dataCenterRegion={}", escaped(region));
            return Ok(Question { query, zone: place.country().to_owned(), is_region: true });
        }
        let grid = place.grid();
        // It has a zone for each country, and for the provinces and states of these two.
        let is_known = grid == place.country() || ["CA", "AU"].contains(&place.country());
        if is_known && grid.len() != 3 {
            Ok(zone(grid.to_owned()))
        } else {
            Err(ProviderError::DoesNotCover { provider: NAME.to_owned(), zone: place.code() })
        }
    }

    fn request(&self, path: &str, question: &Question, left: Duration) -> Result<Vec<Period>, ProviderError> {
        let asked = self.asked();
        let Question { query, .. } = question;
        let url = format!("{}/v3/carbon-intensity/{path}{query}&{NO_CALLER_LOOKUP}", self.endpoint);
        let body = asked.get(&url, Some(("auth-token", &self.token)), left)?;
        let reply: Reply = serde_json::from_str(&body).map_err(|error| asked.nonsense(error.to_string()))?;
        let zones = reply.hours.iter().filter_map(|hour| hour.zone.as_deref());
        if let Some(other) = zones.chain([reply.zone.as_str()]).find(|zone| !question.is_about(zone)) {
            let (asked, answered) = (question.zone.clone(), other.to_owned());
            return Err(ProviderError::AnotherZone { provider: NAME.to_owned(), asked, answered });
        }
        if let Some(other) = reply.hours.iter().find_map(Hour::other_kind) {
            return Err(asked.nonsense(format!("figures of the kind `{other}` instead of `lifecycle`")));
        }
        Ok(reply.hours.iter().filter_map(Hour::period).collect())
    }

    /// The hours between two moments, in as many requests as the API wants.
    fn past(
        &self,
        question: &Question,
        from: Timestamp,
        to: Timestamp,
        begun: Instant,
    ) -> Result<Vec<Period>, ProviderError> {
        let mut periods = Vec::new();
        let mut reached = from;
        while reached < to {
            let next = reached.checked_add(LONGEST_REQUEST).unwrap_or(to).min(to);
            let minute = |time: Timestamp| time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string();
            let path = format!("past-range?start={}&end={}&", minute(reached), minute(next));
            periods.extend(self.request(&path, question, self.left(begun))?);
            reached = next;
        }
        Ok(periods)
    }

    fn left(&self, begun: Instant) -> Duration {
        self.time_limit.saturating_sub(begun.elapsed())
    }

    const fn asked(&self) -> Asked {
        Asked { name: NAME, variable: Some(TOKEN), time_limit: self.time_limit }
    }
}

impl Provider for ElectricityMaps {
    fn hours(&self, place: Place, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError> {
        let begun = Instant::now();
        let question = self.question(place)?;
        let mut periods = self.request("history?", &question, self.left(begun))?;
        let known = periods.iter().map(|period| period.start).min().unwrap_or(to).min(to);
        if from < known {
            // The hour that the run began in began before it.
            let first = from.checked_sub(HOUR).unwrap_or(from);
            // A plan that does not give the past gives the last day: better than nothing, and the rest is a gap.
            match self.past(&question, first, known, begun) {
                Ok(past) => periods.extend(past),
                Err(ProviderError::Unauthorised { .. } | ProviderError::Refused { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        periods.retain(|period| period.end > from && period.start < to);
        periods.sort_by_key(|period| period.start);
        // The past and the history may meet in an hour.
        periods.dedup_by_key(|period| period.start);
        Series::new(SOURCE, Basis::LifecycleConsumption, periods).map_err(|error| match error {
            ProviderError::Nonsense { what, .. } => self.asked().nonsense(what),
            error => error,
        })
    }
}

impl fmt::Debug for ElectricityMaps {
    /// Without the token.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("ElectricityMaps");
        debug.field("zone", &self.zone).field("endpoint", &self.endpoint).finish_non_exhaustive()
    }
}

struct Question {
    query: String,
    zone: String,
    /// A region of a cloud is in some zone of the country.
    is_region: bool,
}

impl Question {
    fn is_about(&self, zone: &str) -> bool {
        let is_part = || zone.strip_prefix(&self.zone).is_some_and(|rest| rest.starts_with('-'));
        zone == self.zone || self.is_region && is_part()
    }
}

/// The API's body. What else it says is of no use here.
#[derive(Deserialize)]
struct Reply {
    zone: String,
    #[serde(alias = "history", alias = "data")]
    hours: Vec<Hour>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Hour {
    zone: Option<String>,
    datetime: Timestamp,
    carbon_intensity: Option<f64>,
    is_estimated: Option<bool>,
    emission_factor_type: Option<String>,
}

impl Hour {
    /// None where the API has no figure, and at the end of the calendar.
    fn period(&self) -> Option<Period> {
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(self.carbon_intensity?);
        let end = self.datetime.checked_add(HOUR).ok()?;
        Some(Period { start: self.datetime, end, intensity, is_forecast: self.is_estimated.unwrap_or(false) })
    }

    fn other_kind(&self) -> Option<&str> {
        self.emission_factor_type.as_deref().filter(|kind| *kind != "lifecycle")
    }
}

/// As a part of a query. Names of zones and regions have nothing to be escaped; a user's may have.
fn escaped(text: &str) -> String {
    let letter = |byte: u8| match byte {
        b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(letter).collect()
}
