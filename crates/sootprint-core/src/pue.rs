//! Power usage effectiveness (PUE): the factor from the energy of computers to that of their facility.

use serde::{Deserialize, Serialize};

/// Upper bound of an assumed PUE: the mean of data centres worldwide in the Uptime Institute's survey of 2024.
const SURVEY_MEAN_PUE: f64 = 1.56;

/// Relative deviation of a facility's overhead from the published one. An assumption: operators publish a yearly mean,
/// and the overhead varies by hall and by season.
const OVERHEAD_VARIATION: f64 = 0.25;

/// Largest accepted PUE. No facility spends more than nine tenths of its energy on overhead.
const MAX_PLAUSIBLE_PUE: f64 = 10.0;

/// Power usage effectiveness: the energy of a facility divided by that of its computers, 1 or more.
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
    /// The year of the figure if a cloud provider published it, otherwise `None`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    year: Option<u16>,
}

/// The source of a PUE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PueOrigin {
    /// An argument in code or on the command line.
    Argument,
    /// The environment variable `SOOTPRINT_PUE`.
    Environment,
    /// A `sootprint.toml` file.
    Settings,
    /// The figure that a cloud provider publishes for the region.
    Region,
    /// The figure that a cloud provider publishes for all its data centres together.
    Provider,
    /// Not configured: assumed to be 1.0, with bounds of 1.0 and 1.56.
    Assumed,
}

impl Pue {
    /// The PUE of an unknown facility: 1.0, with bounds of 1.0 and 1.56. The upper bound is the mean of a survey of
    /// data centres.
    pub const ASSUMED: Self =
        Self { factor: 1.0, low: 1.0, high: SURVEY_MEAN_PUE, origin: PueOrigin::Assumed, year: None };

    /// Creates a PUE from the user's figure, which is taken as exact.
    ///
    /// # Errors
    /// [`PueError`] if the figure is below 1, above 10 or NaN.
    pub fn new(factor: f64) -> Result<Self, PueError> {
        if (1.0..=MAX_PLAUSIBLE_PUE).contains(&factor) {
            Ok(Self { factor, low: factor, high: factor, origin: PueOrigin::Argument, year: None })
        } else {
            Err(PueError { factor })
        }
    }

    /// Sets the origin of a user's figure. The default is [`PueOrigin::Argument`].
    pub const fn with_origin(self, origin: PueOrigin) -> Self {
        Self { origin, ..self }
    }

    /// Creates a PUE from a figure that a provider published for a year.
    ///
    /// It is a yearly mean of halls that differ, so it is not exact: the bounds assume that the overhead varies by a
    /// quarter between halls and years.
    pub(crate) fn from_published(factor: f64, year: u16, origin: PueOrigin) -> Self {
        let overhead = factor - 1.0;
        let (low, high) =
            (1.0 + overhead * (1.0 - OVERHEAD_VARIATION), 1.0 + overhead * (1.0 + OVERHEAD_VARIATION));
        Self { factor, low, high, origin, year: Some(year) }
    }

    /// Widens the bounds to include the PUE of each of these sites.
    pub(crate) fn with_bounds_including(self, sites: impl Iterator<Item = f64>) -> Self {
        sites.fold(self, |pue, site| Self { low: pue.low.min(site), high: pue.high.max(site), ..pue })
    }

    /// The best estimate of the PUE.
    #[must_use]
    pub const fn factor(self) -> f64 {
        self.factor
    }

    /// The lower and the upper bound of the PUE.
    #[must_use]
    pub const fn bounds(self) -> (f64, f64) {
        (self.low, self.high)
    }

    /// The source of the figure.
    #[must_use]
    pub const fn origin(self) -> PueOrigin {
        self.origin
    }

    /// The year of the figure if a cloud provider published it, otherwise `None`.
    #[must_use]
    pub const fn year(self) -> Option<u16> {
        self.year
    }
}

impl PueOrigin {
    /// The value in `footprint.json`.
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
#[error("invalid PUE {factor}: must be between 1 and {MAX_PLAUSIBLE_PUE}")]
pub struct PueError {
    factor: f64,
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

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

    #[test]
    fn pue_origin_names_match_json() {
        let origins = [
            PueOrigin::Argument,
            PueOrigin::Environment,
            PueOrigin::Settings,
            PueOrigin::Region,
            PueOrigin::Provider,
            PueOrigin::Assumed,
        ];
        for origin in origins {
            assert_eq!(serde_json::to_value(origin).unwrap(), origin.as_str());
        }
        assert_eq!(origins.map(PueOrigin::as_str).into_iter().collect::<BTreeSet<_>>().len(), 6);
    }
}
