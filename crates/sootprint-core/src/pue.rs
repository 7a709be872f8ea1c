//! From the computers' energy to the facility's: PUE, power usage effectiveness.

use serde::{Deserialize, Serialize};

/// The mean of the world's data centres in the Uptime Institute's survey of 2024: the upper bound of an assumed PUE.
const SURVEY_MEAN_PUE: f64 = 1.56;

/// How far what a facility adds may differ from what its operator published, as a part of it. An assumption:
/// operators publish a yearly mean, and each hall and each season has its own.
const OVERHEAD_VARIATION: f64 = 0.25;

/// No facility that runs computers loses nine tenths of its energy; a figure beyond is a mistake.
const MAX_PLAUSIBLE_PUE: f64 = 10.0;

/// Power usage effectiveness: the facility's energy over that of its computers, 1 or more.
///
/// ```
/// use sootprint_core::Pue;
///
/// assert_eq!(Pue::new(1.1)?.factor(), 1.1);
/// assert!(Pue::new(0.9).is_err());
/// # Ok::<(), sootprint_core::PueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pue {
    factor: f64,
    low: f64,
    high: f64,
    origin: PueOrigin,
    /// The year of a published figure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    year: Option<u16>,
}

/// Where a PUE comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PueOrigin {
    /// The call or the command line.
    Argument,
    /// `SOOTPRINT_PUE`.
    Environment,
    /// A `sootprint.toml`.
    Settings,
    /// What a cloud's provider publishes of the region.
    Region,
    /// What a cloud's provider publishes of all its data centres together.
    Provider,
    /// Nobody said: 1.0, bounded by 1.0 and 1.56.
    Assumed,
}

impl Pue {
    /// Nobody said what the facility adds: nothing at best, the survey's mean at worst.
    pub const ASSUMED: Self =
        Self { factor: 1.0, low: 1.0, high: SURVEY_MEAN_PUE, origin: PueOrigin::Assumed, year: None };

    /// The user's figure, which stands as it is.
    ///
    /// # Errors
    /// [`PueError`] below 1, above 10 and for what is no number.
    pub fn new(factor: f64) -> Result<Self, PueError> {
        if (1.0..=MAX_PLAUSIBLE_PUE).contains(&factor) {
            Ok(Self { factor, low: factor, high: factor, origin: PueOrigin::Argument, year: None })
        } else {
            Err(PueError { factor })
        }
    }

    /// The same figure of the user's, from somewhere else than an argument.
    pub const fn with_origin(self, origin: PueOrigin) -> Self {
        Self { origin, ..self }
    }

    /// A provider's own figure, of a year. What the facility adds is taken to vary by a quarter from year to year and
    /// from hall to hall.
    pub(crate) fn from_published(factor: f64, year: u16, origin: PueOrigin) -> Self {
        let overhead = factor - 1.0;
        let (low, high) =
            (1.0 + overhead * (1.0 - OVERHEAD_VARIATION), 1.0 + overhead * (1.0 + OVERHEAD_VARIATION));
        Self { factor, low, high, origin, year: Some(year) }
    }

    /// Bounds that hold the figures of all these sites too.
    pub(crate) fn with_bounds_including(self, sites: impl Iterator<Item = f64>) -> Self {
        sites.fold(self, |pue, site| Self { low: pue.low.min(site), high: pue.high.max(site), ..pue })
    }

    /// The best estimate.
    #[must_use]
    pub const fn factor(self) -> f64 {
        self.factor
    }

    /// The lower and the upper bound.
    #[must_use]
    pub const fn bounds(self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// Where it comes from.
    #[must_use]
    pub const fn origin(self) -> PueOrigin {
        self.origin
    }

    /// The year that a published figure is for.
    #[must_use]
    pub const fn year(self) -> Option<u16> {
        self.year
    }
}

impl PueOrigin {
    /// The word that the footprint's JSON uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Environment => "environment",
            Self::Settings => "settings",
            Self::Region => "region",
            Self::Provider => "provider",
            Self::Assumed => "assumed",
        }
    }
}

/// A number that cannot be a PUE.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "a PUE of {factor} is not possible: it is the facility's energy over its computers', from 1 to {MAX_PLAUSIBLE_PUE}"
)]
pub struct PueError {
    factor: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_pue_overhead_varies_by_quarter() {
        let region = Pue::from_published(1.2, 2024, PueOrigin::Region);
        let (low, high) = region.bounds();
        assert!((low - 1.15).abs() < 1e-12 && (high - 1.25).abs() < 1e-12);
        assert_eq!((region.origin(), region.year()), (PueOrigin::Region, Some(2024)));
        let fleet = region.with_bounds_including([1.07, 1.2, 1.46].into_iter());
        assert!((fleet.low - 1.07).abs() < 1e-12 && (fleet.high - 1.46).abs() < 1e-12);
        assert!((fleet.factor() - 1.2).abs() < 1e-12);
    }

    #[test]
    fn invalid_pue_is_rejected() {
        for wrong in [0.99, 0.0, -1.2, 10.1, f64::NAN, f64::INFINITY] {
            assert!(Pue::new(wrong).is_err(), "{wrong}");
        }
        assert!(Pue::new(1.0).is_ok());
    }
}
