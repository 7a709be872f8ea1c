//! Weights the intensities of a series with the energy of a run. Pure: no clock and no network.

use jiff::{SignedDuration, Timestamp};

use super::intensity::{EmissionScope, GridIntensity, IntensityInterval, IntensityKind, table_bounds};
use super::intensity_series::{IntensityPeriod, IntensitySeries};
use crate::units::{CarbonIntensity, Energy};

/// Relative error of a forecast, in addition to the tolerance of a measured figure.
///
/// The mean error of 1.3 million forecasts for Great Britain was 24 g/kWh; per day it was 11 to 28 % of the measured
/// intensity (<https://github.com/nmpowell/carbon-intensity-forecast-tracking>).
const FORECAST_TOLERANCE: f64 = 0.3;

/// Returns the mean intensity of `series`, weighted with the energy of the run, and the energy that `series` does not
/// cover. For that energy, the mean uses the intensity of `table`. If the series covers no energy at all, `table` is
/// returned.
///
/// Each point of `trace` is a time in seconds since `started` and the cumulative energy of the run at that time. The
/// points are in ascending order. Power is assumed to be constant between two points.
pub fn energy_weighted(
    table: &GridIntensity,
    series: &IntensitySeries,
    started: Timestamp,
    trace: &[(f64, Energy)],
) -> (GridIntensity, Energy) {
    let intervals = weighted_intervals(table, series, started, trace);
    let energy: Energy = intervals.iter().map(|interval| interval.energy).sum();
    let uncovered = intervals.iter().filter(|interval| interval.is_uncovered).map(|part| part.energy).sum();
    if uncovered >= energy {
        return (table.clone(), uncovered);
    }
    let mean = |figure: fn(&WeightedInterval) -> CarbonIntensity| {
        intervals.iter().map(|interval| figure(interval) * (interval.energy.joules() / energy.joules())).sum()
    };
    let is_mixed = uncovered > Energy::ZERO;
    let grid = GridIntensity {
        intensity: mean(|interval| interval.best),
        low: mean(|interval| interval.low),
        high: mean(|interval| interval.high),
        method: if series.is_user_provided() { IntensityKind::UserSeries } else { IntensityKind::Live },
        origin: series.given_by.unwrap_or(table.origin),
        source: if is_mixed {
            format!("{}; for what it does not cover, {}", series.source, table.source)
        } else {
            series.source.clone()
        },
        year: None,
        basis: if is_mixed && series.basis != table.basis { EmissionScope::Unknown } else { series.basis },
        hours: intervals.iter().map(WeightedInterval::to_interval).collect(),
        ..table.clone()
    };
    (grid, uncovered)
}

/// An interval of the run with one intensity, and the energy used in it.
struct WeightedInterval {
    start: Timestamp,
    energy: Energy,
    low: CarbonIntensity,
    best: CarbonIntensity,
    high: CarbonIntensity,
    method: IntensityKind,
    /// Whether the series has no figure for this interval.
    is_uncovered: bool,
}

impl WeightedInterval {
    fn to_interval(&self) -> IntensityInterval {
        IntensityInterval { start: self.start.to_string(), intensity: self.best, method: self.method }
    }
}

/// The intervals of the whole run in order, split where the intensity changes.
fn weighted_intervals(
    table: &GridIntensity,
    series: &IntensitySeries,
    started: Timestamp,
    trace: &[(f64, Energy)],
) -> Vec<WeightedInterval> {
    let ended = trace.last().and_then(|(at, _)| timestamp_at(started, *at));
    let mut intervals = Vec::new();
    let mut before = Energy::ZERO;
    for (start, end, period) in split_at_periods(started, ended.unwrap_or(started), &series.periods) {
        let after = energy_at(trace, end.duration_since(started).as_secs_f64(), |point| *point);
        let energy = after - std::mem::replace(&mut before, after);
        intervals.push(match period {
            Some(period) => {
                let (low, high) = series_bounds(series, period);
                let (best, method) = (period.intensity, series.kind_of(period));
                WeightedInterval { start, energy, low, best, high, method, is_uncovered: false }
            }
            None => {
                let GridIntensity { low, intensity: best, high, method, .. } = *table;
                WeightedInterval { start, energy, low, best, high, method, is_uncovered: true }
            }
        });
    }
    intervals
}

/// Returns the time `seconds` after the start of a run. `None` if it is outside the range of [`Timestamp`].
pub fn timestamp_at(started: Timestamp, seconds: f64) -> Option<Timestamp> {
    started.checked_add(SignedDuration::try_from_secs_f64(seconds).ok()?).ok()
}

/// Splits the time from `from` to `to` into the periods and the gaps around them, in order.
fn split_at_periods(
    from: Timestamp,
    to: Timestamp,
    periods: &[IntensityPeriod],
) -> Vec<(Timestamp, Timestamp, Option<&IntensityPeriod>)> {
    let mut pieces = Vec::new();
    let mut reached = from;
    for period in periods {
        let (start, end) = (period.start.max(reached), period.end.min(to));
        if start < end {
            if reached < start {
                pieces.push((reached, start, None));
            }
            pieces.push((start, end, Some(period)));
            reached = end;
        }
    }
    if reached < to {
        pieces.push((reached, to, None));
    }
    pieces
}

/// Returns the cumulative energy at `seconds`, linearly interpolated between the points of `trace`. It is zero at 0 s
/// and constant after the last point. `point` returns the time in seconds and the energy of an element of `trace`.
pub fn energy_at<T>(trace: &[T], seconds: f64, point: impl Fn(&T) -> (f64, Energy)) -> Energy {
    let after = trace.partition_point(|it| point(it).0 < seconds);
    let (then, before) = after.checked_sub(1).map_or((0.0, Energy::ZERO), |before| point(&trace[before]));
    let Some((at, energy)) = trace.get(after).map(point) else { return before };
    let time = at - then;
    let fraction = if time > 0.0 { ((seconds - then) / time).clamp(0.0, 1.0) } else { 1.0 };
    before + (energy - before) * fraction
}

/// The bounds of a figure of the series: those of a table figure, wider for a forecast. A user's own figure is exact.
fn series_bounds(series: &IntensitySeries, period: &IntensityPeriod) -> (CarbonIntensity, CarbonIntensity) {
    if series.is_user_provided() {
        return (period.intensity, period.intensity);
    }
    let forecast = if period.is_forecast { FORECAST_TOLERANCE } else { 0.0 };
    let (low, _) = table_bounds(period.intensity * (1.0 - forecast), series.basis, 0);
    let (_, high) = table_bounds(period.intensity * (1.0 + forecast), series.basis, 0);
    (low, high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::LocationSource;

    fn time(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn grams_per_kwh(grams: f64) -> CarbonIntensity {
        CarbonIntensity::from_grams_per_kilowatt_hour(grams)
    }

    /// A yearly figure of 200 g/kWh, bounded by 150 and 260.
    fn yearly_table() -> GridIntensity {
        let zone = crate::grid::find_zones("GB")[0];
        GridIntensity {
            intensity: grams_per_kwh(200.0),
            low: grams_per_kwh(150.0),
            high: grams_per_kwh(260.0),
            ..GridIntensity::from_zone(zone, LocationSource::Argument, 2024)
        }
    }

    /// Half-hour periods on 3 October 2026, each from the given hour and minute.
    fn half_hours(figures: &[(&str, f64, bool)]) -> IntensitySeries {
        let half_hour = |&(start, figure, is_forecast): &(&str, f64, bool)| {
            let start = time(&format!("2026-10-03T{start}:00Z"));
            let end = start + SignedDuration::from_mins(30);
            IntensityPeriod { start, end, intensity: grams_per_kwh(figure), is_forecast }
        };
        let periods = figures.iter().map(half_hour).collect();
        IntensitySeries::new("a test", EmissionScope::DirectConsumption, periods).unwrap()
    }

    fn energy_trace(points: &[(f64, f64)]) -> Vec<(f64, Energy)> {
        points.iter().map(|(at, joules)| (*at, Energy::from_joules(*joules))).collect()
    }

    fn is_close(left: CarbonIntensity, right: f64) -> bool {
        (left.grams_per_kilowatt_hour() - right).abs() < 1e-9
    }

    fn interval_values(grid: &GridIntensity) -> Vec<(&str, f64, IntensityKind)> {
        let hours = grid.hours.iter();
        hours.map(|it| (it.start.as_str(), it.intensity.grams_per_kilowatt_hour(), it.method)).collect()
    }

    #[test]
    fn energy_is_weighted_per_half_hour() {
        let series = half_hours(&[("10:00", 100.0, false), ("10:30", 200.0, false), ("11:00", 50.0, true)]);
        // From 10:15: 900 s at 100 W, then 1800 s at 400 W, then 300 s at 1000 W.
        let trace =
            energy_trace(&[(0.0, 0.0), (900.0, 90_000.0), (2_700.0, 810_000.0), (3_000.0, 1_110_000.0)]);
        let (grid, uncovered) =
            energy_weighted(&yearly_table(), &series, time("2026-10-03T10:15:00Z"), &trace);

        // 90 kJ at 100 g, 720 kJ at 200 g and 300 kJ at 50 g: 168,000 / 1,110.
        assert!(is_close(grid.intensity, 168_000.0 / 1_110.0), "{grid:?}");
        // Low is 0.85 of the figure, and 0.7 of that for the forecast.
        assert!(is_close(grid.low, 0.85 * (9_000.0 + 144_000.0 + 0.7 * 15_000.0) / 1_110.0));
        // High is 1.15 of the figure, 1.3 times that for the forecast, plus 30 g.
        assert!(is_close(grid.high, 1.15 * (9_000.0 + 144_000.0 + 1.3 * 15_000.0) / 1_110.0 + 30.0));
        assert_eq!(
            interval_values(&grid),
            [
                ("2026-10-03T10:15:00Z", 100.0, IntensityKind::Live),
                ("2026-10-03T10:30:00Z", 200.0, IntensityKind::Live),
                ("2026-10-03T11:00:00Z", 50.0, IntensityKind::Forecast),
            ]
        );
        assert_eq!(
            (grid.method, grid.basis, grid.year),
            (IntensityKind::Live, EmissionScope::DirectConsumption, None)
        );
        assert_eq!((grid.source.as_str(), grid.zone.as_deref()), ("a test", Some("GB")));
        assert_eq!(uncovered, Energy::ZERO);
    }

    #[test]
    fn energy_is_interpolated_between_points() {
        let series = half_hours(&[("10:00", 100.0, false), ("10:30", 300.0, false)]);
        // One point per hour: each half-hour has half of its energy.
        let (grid, _) = energy_weighted(
            &yearly_table(),
            &series,
            time("2026-10-03T10:00:00Z"),
            &energy_trace(&[(3_600.0, 1e6)]),
        );
        assert!(is_close(grid.intensity, 200.0));
    }

    #[test]
    fn series_gaps_use_table_intensity() {
        let series = half_hours(&[("10:30", 100.0, false), ("11:30", 300.0, false)]);
        // 10:00 to 12:30 at 100 W; the half-hours from 10:00, 11:00 and 12:00 are not covered.
        let trace = energy_trace(&[(9_000.0, 900_000.0)]);
        let (grid, uncovered) =
            energy_weighted(&yearly_table(), &series, time("2026-10-03T10:00:00Z"), &trace);

        assert!(is_close(grid.intensity, (3.0 * 200.0 + 100.0 + 300.0) / 5.0), "{grid:?}");
        assert!(is_close(grid.low, (3.0 * 150.0 + 0.85 * 400.0) / 5.0));
        assert!(is_close(grid.high, (3.0 * 260.0 + 1.15 * 400.0 + 2.0 * 30.0) / 5.0));
        let methods: Vec<IntensityKind> = grid.hours.iter().map(|hour| hour.method).collect();
        assert_eq!(
            methods,
            [
                IntensityKind::Table,
                IntensityKind::Live,
                IntensityKind::Table,
                IntensityKind::Live,
                IntensityKind::Table
            ]
        );
        assert_eq!(grid.hours[2].start, "2026-10-03T11:00:00Z");
        assert!((uncovered.joules() - 540_000.0).abs() < 1e-6);
        // A mean of a direct and a lifecycle figure has an unknown scope.
        assert_eq!(grid.basis, EmissionScope::Unknown);
        assert!(grid.source.starts_with("a test; for what it does not cover, Ember"), "{}", grid.source);
    }

    #[test]
    fn series_of_another_day_is_ignored() {
        let series = half_hours(&[("10:00", 100.0, false)]);
        let trace = energy_trace(&[(3_600.0, 1e6)]);
        for started in ["2026-10-02T10:00:00Z", "2026-10-03T10:30:00Z", "2026-10-03T09:00:00Z"] {
            let (grid, uncovered) = energy_weighted(&yearly_table(), &series, time(started), &trace);
            assert_eq!((grid, uncovered.joules().round()), (yearly_table(), 1e6), "{started}");
        }
    }

    #[test]
    fn zero_energy_keeps_table_intensity() {
        let series = half_hours(&[("10:00", 100.0, false)]);
        for trace in [energy_trace(&[]), energy_trace(&[(0.0, 0.0)]), energy_trace(&[(600.0, 0.0)])] {
            let (grid, uncovered) =
                energy_weighted(&yearly_table(), &series, time("2026-10-03T10:00:00Z"), &trace);
            assert_eq!((grid, uncovered), (yearly_table(), Energy::ZERO));
        }
    }
}
