//! What a provider of live carbon intensities answers, or why it does not.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{EmissionScope, IntensityKind, LocationSource};
use crate::units::CarbonIntensity;

/// What a provider answers: periods in order, none of which overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntensitySeries {
    pub(super) source: String,
    pub(super) basis: EmissionScope,
    pub(super) periods: Vec<IntensityPeriod>,
    /// Who gave the user's own figures; none for a live provider's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) given_by: Option<LocationSource>,
}

/// The intensity between two moments; a grid's operators settle by the hour or by a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IntensityPeriod {
    /// From this moment on.
    pub start: Timestamp,
    /// Up to, and without, this one.
    pub end: Timestamp,
    /// The mean in between.
    #[serde(rename = "g_per_kwh")]
    pub intensity: CarbonIntensity,
    /// Whether it was foreseen and not yet found.
    pub is_forecast: bool,
}

impl IntensitySeries {
    /// From periods in any order. `source` is the publication, with its licence where that asks for its name.
    ///
    /// # Errors
    /// [`ProviderError::InvalidData`] when a period ends before it starts or runs into the next one, or when its
    /// intensity is none that a grid can have.
    pub fn new(
        source: impl Into<String>,
        basis: EmissionScope,
        mut periods: Vec<IntensityPeriod>,
    ) -> Result<Self, ProviderError> {
        let source = source.into();
        periods.sort_by_key(|period| period.start);
        match periods_error(&periods) {
            Some(what) => Err(ProviderError::InvalidData { provider: source, reason: what }),
            None => Ok(Self { source, basis, periods, given_by: None }),
        }
    }

    /// The periods in order.
    #[must_use]
    pub fn periods(&self) -> &[IntensityPeriod] {
        &self.periods
    }

    /// The publication, with its licence where that asks for its name.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// What the figures count.
    #[must_use]
    pub const fn basis(&self) -> EmissionScope {
        self.basis
    }

    /// With the periods of a newer answer, which go before this one's where both have a figure; a forecast never goes
    /// before a figure that was found. Where the newer answer cuts an older period the rest of it stays.
    #[must_use]
    pub fn updated_with(mut self, newer: Self) -> Self {
        let mut periods = newer.periods;
        let found = self.periods.iter().filter(|it| !it.is_forecast).copied().collect::<Vec<_>>();
        periods = subtract_periods(periods, &found, |period| period.is_forecast);
        let kept = subtract_periods(std::mem::take(&mut self.periods), &periods, |_| true);
        periods.extend(kept);
        periods.sort_by_key(|period| period.start);
        Self { source: newer.source, basis: newer.basis, periods, given_by: newer.given_by }
    }

    /// The periods that reach into the time between two moments.
    #[must_use]
    pub fn overlapping(&self, from: Timestamp, to: Timestamp) -> Self {
        let reach = self.periods.iter().filter(|period| period.end > from && period.start < to);
        Self { periods: reach.copied().collect(), ..self.clone() }
    }

    /// The time from the first moment to the last one between these two that nothing was found for yet, forecasts aside;
    /// none when all was found.
    #[must_use]
    pub fn uncovered_range(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let found = || self.periods.iter().filter(|period| !period.is_forecast);
        let first =
            found().fold(
                from,
                |reached, period| {
                    if period.start <= reached { reached.max(period.end) } else { reached }
                },
            );
        let last =
            found().rev().fold(
                to,
                |reached, period| {
                    if period.end >= reached { reached.min(period.start) } else { reached }
                },
            );
        (first < last).then_some((first, last))
    }

    /// The periods that another series does not have as they are.
    pub fn difference(mut self, other: &Self) -> Self {
        self.periods.retain(|period| !other.periods.contains(period));
        self
    }

    /// A user's own figures, whose periods are in order and without fault.
    pub(super) fn from_user(periods: Vec<IntensityPeriod>) -> Self {
        let source = "the user's own series".to_owned();
        Self { source, basis: EmissionScope::Unknown, periods, given_by: Some(LocationSource::Argument) }
    }

    /// The user's figures, and who named their file.
    #[must_use]
    pub fn with_origin(self, origin: LocationSource) -> Self {
        Self { given_by: Some(origin), ..self }
    }

    /// Whether they are the user's own, and given in the call.
    #[must_use]
    pub fn is_from_argument(&self) -> bool {
        self.given_by == Some(LocationSource::Argument)
    }

    /// Whether the figures are the user's own.
    #[must_use]
    pub const fn is_user_provided(&self) -> bool {
        self.given_by.is_some()
    }

    pub(super) const fn kind_of(&self, period: &IntensityPeriod) -> IntensityKind {
        if self.is_user_provided() {
            IntensityKind::UserSeries
        } else if period.is_forecast {
            IntensityKind::Forecast
        } else {
            IntensityKind::Live
        }
    }
}

/// The parts of those periods that `gives_way` says which lie outside of others.
fn subtract_periods(
    periods: Vec<IntensityPeriod>,
    others: &[IntensityPeriod],
    is_replaceable: impl Fn(&IntensityPeriod) -> bool,
) -> Vec<IntensityPeriod> {
    let cut = |period: IntensityPeriod, other: &IntensityPeriod| {
        let before = IntensityPeriod { end: period.end.min(other.start), ..period };
        let after = IntensityPeriod { start: period.start.max(other.end), ..period };
        [before, after].into_iter().filter(|part| part.start < part.end).collect::<Vec<_>>()
    };
    let outside = |period: IntensityPeriod| {
        let near = others
            .iter()
            .filter(|other| is_replaceable(&period) && other.start < period.end && other.end > period.start);
        near.fold(vec![period], |parts, other| parts.into_iter().flat_map(|part| cut(part, other)).collect())
    };
    periods.into_iter().flat_map(outside).collect()
}

/// What is wrong with periods that are in order.
pub(super) fn periods_error(periods: &[IntensityPeriod]) -> Option<String> {
    let ends_before_it_starts = periods.iter().find(|period| period.end <= period.start);
    let overlapping = periods.windows(2).find(|pair| pair[1].start < pair[0].end);
    let implausible = periods.iter().find_map(|period| {
        CarbonIntensity::try_from_grams_per_kilowatt_hour(period.intensity.grams_per_kilowatt_hour()).err()
    });
    ends_before_it_starts
        .map(|period| format!("a period from {} to {}", period.start, period.end))
        .or_else(|| overlapping.map(|pair| format!("two figures for {}", pair[1].start)))
        .or_else(|| implausible.map(|error| error.to_string()))
}

/// Why a provider has no answer. Then the table's figure stands, and a note in the footprint says why.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProviderError {
    /// There is no connection, or it broke.
    #[error("{provider} cannot be reached: {source}; check this machine's network and its proxy")]
    Unreachable {
        /// Who was asked.
        provider: String,
        /// What the network says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The answer was not whole within the provider's time limit.
    #[error("{provider} gave no whole answer within {} s; allow it more time", timeout.as_secs_f64())]
    Timeout {
        /// Who was asked.
        provider: String,
        /// The total time limit.
        timeout: Duration,
    },
    /// The provider wants to know who asks, and does not take this token.
    #[error("{provider} does not take the token (HTTP status {status}); look at {variable}")]
    Unauthorised {
        /// Who was asked.
        provider: String,
        /// HTTP's number.
        status: u16,
        /// The variable that holds the token.
        variable: &'static str,
    },
    /// The provider was asked too often.
    #[error("{provider} is asked too often (HTTP status 429); share fewer runs per token, or wait")]
    RateLimited {
        /// Who was asked.
        provider: String,
    },
    /// The answer is about another zone than the one that was asked about.
    #[error(
        "{provider} returned about the zone {returned} where {requested} was requested about; name the place more exactly"
    )]
    ZoneMismatch {
        /// Who was asked.
        provider: String,
        /// The zone that was asked about.
        requested: String,
        /// The zone of the answer.
        returned: String,
    },
    /// The answer is a refusal.
    #[error(
        "{provider} refused with HTTP status {status}; if it does so tomorrow, look for a newer sootprint"
    )]
    RequestRejected {
        /// Who was asked.
        provider: String,
        /// HTTP's number.
        status: u16,
    },
    /// The answer means nothing.
    #[error("{provider} answered nonsense: {reason}; if it does so tomorrow, look for a newer sootprint")]
    InvalidData {
        /// Who was asked.
        provider: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The provider knows nothing of the run's place.
    #[error("{provider} does not cover {zone}; choose a provider that does")]
    ZoneNotCovered {
        /// Who was asked.
        provider: String,
        /// The place's zone.
        zone: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(start: i64, end: i64, grams: f64) -> IntensityPeriod {
        let at = |second| Timestamp::from_second(second).unwrap();
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(grams);
        IntensityPeriod { start: at(start), end: at(end), intensity, is_forecast: false }
    }

    #[test]
    fn periods_are_sorted_by_start() {
        let (early, late) = (period(0, 1_800, 80.0), period(3_600, 5_400, 90.0));
        let series = IntensitySeries::new("a test", EmissionScope::Unknown, vec![late, early]).unwrap();
        assert_eq!(series.periods(), [early, late]);
    }

    #[test]
    fn newer_series_wins_except_forecasts() {
        let forecast = |start, end, grams| IntensityPeriod { is_forecast: true, ..period(start, end, grams) };
        let series = |periods| IntensitySeries::new("a test", EmissionScope::Unknown, periods).unwrap();
        let updated = |older, newer| series(older).updated_with(series(newer)).periods().to_vec();

        // What was foreseen is found; what was found is found better; the rest stays.
        let (older, newer) = (
            vec![forecast(0, 60, 1.0), period(60, 120, 2.0), period(120, 180, 3.0)],
            vec![period(0, 60, 4.0), period(60, 120, 5.0)],
        );
        assert_eq!(updated(older, newer), [period(0, 60, 4.0), period(60, 120, 5.0), period(120, 180, 3.0)]);
        let (older, newer) = (vec![period(60, 120, 1.0)], vec![forecast(0, 180, 2.0)]);
        assert_eq!(
            updated(older, newer),
            [forecast(0, 60, 2.0), period(60, 120, 1.0), forecast(120, 180, 2.0)]
        );
        // A longer period is cut where a newer one lies in it.
        assert_eq!(
            updated(vec![period(0, 180, 1.0)], vec![period(60, 120, 2.0)]),
            [period(0, 60, 1.0), period(60, 120, 2.0), period(120, 180, 1.0)]
        );
        assert_eq!(updated(vec![], vec![period(0, 60, 1.0)]), [period(0, 60, 1.0)]);
        assert_eq!(updated(vec![period(0, 60, 1.0)], vec![]), [period(0, 60, 1.0)]);
    }

    #[test]
    fn uncovered_range_spans_all_gaps() {
        let forecast = |start, end, grams| IntensityPeriod { is_forecast: true, ..period(start, end, grams) };
        let at = |second| Timestamp::from_second(second).unwrap();
        let missing = |periods, from, to| {
            let series = IntensitySeries::new("a test", EmissionScope::Unknown, periods).unwrap();
            series.uncovered_range(at(from), at(to)).map(|(from, to)| (from.as_second(), to.as_second()))
        };
        assert_eq!(missing(vec![], 0, 60), Some((0, 60)));
        assert_eq!(missing(vec![period(0, 60, 1.0)], 0, 60), None);
        assert_eq!(missing(vec![period(0, 60, 1.0), period(60, 120, 1.0)], 10, 100), None);
        assert_eq!(missing(vec![period(0, 60, 1.0), forecast(60, 120, 1.0)], 10, 100), Some((60, 100)));
        assert_eq!(missing(vec![period(0, 60, 1.0), period(120, 180, 1.0)], 10, 170), Some((60, 120)));
        assert_eq!(missing(vec![period(60, 120, 1.0)], 0, 180), Some((0, 180)));
        assert_eq!(missing(vec![period(0, 60, 1.0)], 100, 180), Some((100, 180)));
    }

    #[test]
    fn overlapping_keeps_only_touching_periods() {
        let series = IntensitySeries::new(
            "a test",
            EmissionScope::Unknown,
            vec![period(0, 60, 1.0), period(60, 120, 2.0), period(120, 180, 3.0)],
        )
        .unwrap();
        let at = |second| Timestamp::from_second(second).unwrap();
        assert_eq!(series.overlapping(at(60), at(121)).periods(), &series.periods()[1..]);
        assert_eq!(series.overlapping(at(180), at(200)).periods(), []);
    }

    #[test]
    fn invalid_periods_are_described() {
        let invalid = [
            (vec![period(1_800, 1_800, 80.0)], "a period from 1970-01-01T00:30:00Z to 1970-01-01T00:30:00Z"),
            (
                vec![period(0, 1_800, 80.0), period(1_799, 3_600, 90.0)],
                "two figures for 1970-01-01T00:29:59Z",
            ),
            (vec![period(0, 1_800, -1.0)], "-1 g CO2e/kWh is no carbon intensity"),
            (vec![period(0, 1_800, 80_000.0)], "80000 g CO2e/kWh is no carbon intensity"),
            (vec![period(0, 1_800, f64::NAN)], "NaN g CO2e/kWh is no carbon intensity"),
        ];
        for (periods, what) in invalid {
            let error = IntensitySeries::new("a test", EmissionScope::Unknown, periods).unwrap_err();
            assert!(matches!(error, ProviderError::InvalidData { .. }));
            assert!(error.to_string().starts_with(&format!("a test answered nonsense: {what}")), "{error}");
        }
    }
}
