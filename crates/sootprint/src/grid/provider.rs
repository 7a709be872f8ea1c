//! Live carbon intensities: the trait behind which a provider stands, and what it answers.

use std::fmt::Debug;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{Basis, Figure};
use crate::units::CarbonIntensity;

/// Somebody who knows a grid's carbon intensity hour by hour.
///
/// A run asks once, when it is finished, on the thread that finishes it: never on the meter's thread, and not at
/// all when the run is dropped. `finish` waits for the answer, so an implementation keeps a total time limit of its
/// own. It does not panic: what goes wrong is a [`ProviderError`], and then the table's figure stands.
///
/// The crate `sootprint-live` has the providers that ask over the network; this one needs none:
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use jiff::Timestamp;
/// use sootprint::{
///     Basis, CarbonIntensity, Kind, Period, Power, Provider, ProviderError, Replay, Run, Series, VirtualClock,
/// };
///
/// /// A site with its own turbine and a record of what it emits.
/// #[derive(Debug)]
/// struct OwnTurbine;
///
/// impl Provider for OwnTurbine {
///     fn hours(&self, _zone: &str, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError> {
///         let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(500.0);
///         let period = Period { start: from, end: to, intensity, is_forecast: false };
///         Series::new("our turbine's record", Basis::DirectGeneration, vec![period])
///     }
/// }
///
/// # let dir = tempfile::tempdir()?;
/// # let clock = VirtualClock::default();
/// # let kilowatt = [(Duration::from_secs(1), Power::from_watts(1_000.0))];
/// # let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", kilowatt).on_clock(clock.clone());
/// let run = Run::pre_training(dir.path())
///     .place("GB".parse()?)
///     .provider(Arc::new(OwnTurbine))
/// #   .replay(replay)
///     .start();
/// # clock.advance(Duration::from_secs(7_200));
/// // Two hours at a kilowatt.
/// let footprint = run.finish();
/// assert!((footprint.emissions.best.grams() - 1_000.0).abs() < 1e-6);
/// assert_eq!(footprint.grid.source, "our turbine's record");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Provider: Debug + Send + Sync {
    /// The intensity of a zone's electricity between two moments, as far as it is known.
    ///
    /// `zone` is the code of the run's place, as in `GB`. Periods may reach beyond the two moments, and they may
    /// leave gaps: there the table's yearly figure stands.
    ///
    /// # Errors
    /// A [`ProviderError`] for each way in which there may be no answer.
    fn hours(&self, zone: &str, from: Timestamp, to: Timestamp) -> Result<Series, ProviderError>;
}

/// What a provider answers: periods in order, none of which overlap.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Series {
    pub(super) source: String,
    pub(super) basis: Basis,
    pub(super) periods: Vec<Period>,
}

/// The intensity between two moments; a grid's operators settle by the hour or by a part of it.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Period {
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

impl Series {
    /// From periods in any order. `source` is the publication, with its licence where that asks for its name.
    ///
    /// # Errors
    /// [`ProviderError::Nonsense`] when a period ends before it starts or runs into the next one, or when its
    /// intensity is none that a grid can have.
    pub fn new(
        source: impl Into<String>,
        basis: Basis,
        mut periods: Vec<Period>,
    ) -> Result<Self, ProviderError> {
        let source = source.into();
        periods.sort_by_key(|period| period.start);
        match fault(&periods) {
            Some(what) => Err(ProviderError::Nonsense { provider: source, what }),
            None => Ok(Self { source, basis, periods }),
        }
    }

    /// The periods in order.
    #[must_use]
    pub fn periods(&self) -> &[Period] {
        &self.periods
    }
}

impl Period {
    pub(super) const fn figure(&self) -> Figure {
        if self.is_forecast { Figure::Forecast } else { Figure::Live }
    }
}

/// What is wrong with periods that are in order.
fn fault(periods: &[Period]) -> Option<String> {
    let ends_before_it_starts = periods.iter().find(|period| period.end <= period.start);
    let overlapping = periods.windows(2).find(|pair| pair[1].start < pair[0].end);
    let incredible = periods
        .iter()
        .find_map(|period| CarbonIntensity::given(period.intensity.grams_per_kilowatt_hour()).err());
    ends_before_it_starts
        .map(|period| format!("a period from {} to {}", period.start, period.end))
        .or_else(|| overlapping.map(|pair| format!("two figures for {}", pair[1].start)))
        .or_else(|| incredible.map(|error| error.to_string()))
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
    #[error("{provider} gave no whole answer within {} s; allow it more time", limit.as_secs_f64())]
    TooSlow {
        /// Who was asked.
        provider: String,
        /// The total time limit.
        limit: Duration,
    },
    /// The answer is a refusal.
    #[error(
        "{provider} refused with HTTP status {status}; if it does so tomorrow, look for a newer sootprint"
    )]
    Refused {
        /// Who was asked.
        provider: String,
        /// HTTP's number.
        status: u16,
    },
    /// The answer means nothing.
    #[error("{provider} answered nonsense: {what}; if it does so tomorrow, look for a newer sootprint")]
    Nonsense {
        /// Who was asked.
        provider: String,
        /// What is wrong with it.
        what: String,
    },
    /// The provider knows nothing of the run's place.
    #[error("{provider} does not cover {zone}; choose a provider that does")]
    DoesNotCover {
        /// Who was asked.
        provider: String,
        /// The place's zone.
        zone: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    fn period(start: i64, end: i64, grams: f64) -> Period {
        let at = |second| Timestamp::from_second(second).unwrap();
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour(grams);
        Period { start: at(start), end: at(end), intensity, is_forecast: false }
    }

    #[test]
    fn periods_are_put_in_order() {
        let (early, late) = (period(0, 1_800, 80.0), period(3_600, 5_400, 90.0));
        let series = Series::new("a test", Basis::Unknown, vec![late, early]).unwrap();
        assert_eq!(series.periods(), [early, late]);
    }

    #[test]
    fn each_nonsense_is_named() {
        let nonsense = [
            (vec![period(1_800, 1_800, 80.0)], "a period from 1970-01-01T00:30:00Z to 1970-01-01T00:30:00Z"),
            (
                vec![period(0, 1_800, 80.0), period(1_799, 3_600, 90.0)],
                "two figures for 1970-01-01T00:29:59Z",
            ),
            (vec![period(0, 1_800, -1.0)], "-1 g CO2e/kWh is no carbon intensity"),
            (vec![period(0, 1_800, 80_000.0)], "80000 g CO2e/kWh is no carbon intensity"),
            (vec![period(0, 1_800, f64::NAN)], "NaN g CO2e/kWh is no carbon intensity"),
        ];
        for (periods, what) in nonsense {
            let error = Series::new("a test", Basis::Unknown, periods).unwrap_err();
            assert!(matches!(error, ProviderError::Nonsense { .. }));
            assert!(error.to_string().starts_with(&format!("a test answered nonsense: {what}")), "{error}");
        }
    }
}
