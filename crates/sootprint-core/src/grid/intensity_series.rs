//! A series of carbon intensities over time, from a live provider or from the user.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::intensity::{EmissionScope, IntensityKind, LocationSource};
use super::provider_error::ProviderError;
use crate::units::CarbonIntensity;

/// Carbon intensities over time, as periods that are in ascending order and do not overlap. Gaps between periods are
/// allowed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct IntensitySeries {
    pub(super) source: String,
    pub(super) basis: EmissionScope,
    pub(super) periods: Vec<IntensityPeriod>,
    /// Where a user's own series was configured. `None` for the series of a live provider.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) given_by: Option<LocationSource>,
}

/// The average intensity of a period, usually an hour or less.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IntensityPeriod {
    /// The start, inclusive.
    pub start: Timestamp,
    /// The end, exclusive.
    pub end: Timestamp,
    /// The average over the period.
    #[serde(rename = "g_per_kwh")]
    pub intensity: CarbonIntensity,
    /// Whether the figure is a forecast or an estimate, which a measured figure replaces later.
    pub is_forecast: bool,
}

impl IntensitySeries {
    /// Creates a series from periods in any order. `source` is the publication, including its licence if the licence
    /// requires attribution.
    ///
    /// # Errors
    /// [`ProviderError::InvalidData`] if a period does not end after its start, if two periods overlap, or if an
    /// intensity is not between 0 and 3,000 g/kWh.
    pub fn new(
        source: impl Into<String>,
        basis: EmissionScope,
        mut periods: Vec<IntensityPeriod>,
    ) -> Result<Self, ProviderError> {
        let source = source.into();
        periods.sort_by_key(|period| period.start);
        match periods_error(&periods) {
            Some(reason) => Err(ProviderError::InvalidData { provider: source, reason }),
            None => Ok(Self { source, basis, periods, given_by: None }),
        }
    }

    /// The periods in ascending order.
    #[must_use]
    pub fn periods(&self) -> &[IntensityPeriod] {
        &self.periods
    }

    /// The publication, including its licence if the licence requires attribution.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// The scope of the intensities: direct or life-cycle emissions.
    #[must_use]
    pub const fn basis(&self) -> EmissionScope {
        self.basis
    }

    /// Returns this series, updated with the periods of a newer one. Where both have a figure, the newer one is used,
    /// except that a forecast never replaces a measured figure. The rest of a partly replaced period is kept.
    #[must_use]
    pub fn updated_with(self, newer: Self) -> Self {
        let mut periods = self.periods;
        if let (Some(first), Some(last)) = (newer.periods.first(), newer.periods.last()) {
            // An update concerns a few hours of a series that may be years long.
            let affected = periods.partition_point(|period| period.end <= first.start)
                ..periods.partition_point(|period| period.start < last.end);
            let older = periods[affected.clone()].to_vec();
            let measured: Vec<_> = older.iter().filter(|it| !it.is_forecast).copied().collect();
            let mut updated = subtract_periods(newer.periods, &measured, |period| period.is_forecast);
            // Periods of the older series remain where the newer one has no figure, or only a forecast.
            let kept = subtract_periods(older, &updated, |_| true);
            updated.extend(kept);
            updated.sort_by_key(|period| period.start);
            periods.splice(affected, updated);
        }
        Self { source: newer.source, basis: newer.basis, periods, given_by: newer.given_by }
    }

    /// Returns this series with only the periods that overlap the time from `from` to `to`.
    #[must_use]
    pub fn overlapping(&self, from: Timestamp, to: Timestamp) -> Self {
        let overlapping = self.periods.iter().filter(|period| period.end > from && period.start < to);
        Self { periods: overlapping.copied().collect(), ..self.clone() }
    }

    /// Returns the smallest range within `from` to `to` that contains all time without a measured figure; a forecast
    /// does not count as measured. `None` if there is no such time.
    #[must_use]
    pub fn uncovered_range(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, Timestamp)> {
        let measured = || self.periods.iter().filter(|period| !period.is_forecast);
        // The periods are sorted and do not overlap, so one pass from each end skips the covered time there.
        let first =
            measured().fold(
                from,
                |reached, period| {
                    if period.start <= reached { reached.max(period.end) } else { reached }
                },
            );
        let last = measured().rev().fold(to, |reached, period| {
            if period.end >= reached { reached.min(period.start) } else { reached }
        });
        (first < last).then_some((first, last))
    }

    /// Returns this series without the periods that `other` contains unchanged. A period whose figure differs is
    /// kept.
    pub fn difference(mut self, other: &Self) -> Self {
        let is_in_other = |period: &IntensityPeriod| {
            let found = other.periods.binary_search_by_key(&period.start, |it| it.start);
            found.is_ok_and(|index| other.periods[index] == *period)
        };
        self.periods.retain(|period| !is_in_other(period));
        self
    }

    /// Creates a user's own series from valid periods in ascending order.
    pub(super) fn from_user(periods: Vec<IntensityPeriod>) -> Self {
        let source = "the user's own series".to_owned();
        Self { source, basis: EmissionScope::Unknown, periods, given_by: Some(LocationSource::Argument) }
    }

    /// Sets where the user's own series was configured.
    #[must_use]
    pub fn with_origin(self, origin: LocationSource) -> Self {
        Self { given_by: Some(origin), ..self }
    }

    /// Whether the series is the user's own and was passed in code or on the command line.
    #[must_use]
    pub fn is_from_argument(&self) -> bool {
        self.given_by == Some(LocationSource::Argument)
    }

    /// Whether the series is the user's own.
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

/// Removes from each period that `is_replaceable` the time that is covered by `others`, which are in ascending order and
/// do not overlap.
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
        let first = others.partition_point(|other| other.end <= period.start);
        let last = others.partition_point(|other| other.start < period.end);
        let overlapping = others.get(first..last).filter(|_| is_replaceable(&period)).unwrap_or_default();
        overlapping
            .iter()
            .fold(vec![period], |parts, other| parts.into_iter().flat_map(|part| cut(part, other)).collect())
    };
    periods.into_iter().flat_map(outside).collect()
}

/// Describes the first error in periods in ascending order. `None` if they are valid.
pub(super) fn periods_error(periods: &[IntensityPeriod]) -> Option<String> {
    let ends_before_it_starts = periods.iter().find(|period| period.end <= period.start);
    let overlapping = periods.windows(2).find(|pair| pair[1].start < pair[0].end);
    let implausible = periods.iter().find_map(|period| {
        CarbonIntensity::try_from_grams_per_kilowatt_hour(period.intensity.grams_per_kilowatt_hour()).err()
    });
    ends_before_it_starts
        .map(|period| format!("period does not end after its start ({} to {})", period.start, period.end))
        .or_else(|| overlapping.map(|pair| format!("two periods overlap at {}", pair[1].start)))
        .or_else(|| implausible.map(|error| error.to_string()))
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

        // A measured figure replaces a forecast and an older measured figure; the other periods are kept.
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
        // A newer period within an older one splits it.
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
            (
                vec![period(1_800, 1_800, 80.0)],
                "period does not end after its start (1970-01-01T00:30:00Z to 1970-01-01T00:30:00Z)",
            ),
            (
                vec![period(0, 1_800, 80.0), period(1_799, 3_600, 90.0)],
                "two periods overlap at 1970-01-01T00:29:59Z",
            ),
            (vec![period(0, 1_800, -1.0)], "invalid carbon intensity -1 g CO2e/kWh"),
            (vec![period(0, 1_800, 80_000.0)], "invalid carbon intensity 80000 g CO2e/kWh"),
            (vec![period(0, 1_800, f64::NAN)], "invalid carbon intensity NaN g CO2e/kWh"),
        ];
        for (periods, reason) in invalid {
            let error = IntensitySeries::new("a test", EmissionScope::Unknown, periods).unwrap_err();
            assert!(matches!(error, ProviderError::InvalidData { .. }));
            assert!(
                error.to_string().starts_with(&format!("invalid response from a test: {reason}")),
                "{error}"
            );
        }
    }
}
