//! From the computers' energy to the facility's: PUE, power usage effectiveness.

use serde::{Deserialize, Serialize};

/// The mean of the world's data centres in the Uptime Institute's survey of 2024: the upper bound of an assumed PUE.
const SURVEY_MEAN: f64 = 1.56;

/// No facility that runs computers loses nine tenths of its energy; a figure beyond is a mistake.
const HIGHEST_CREDIBLE: f64 = 10.0;

/// Power usage effectiveness: the facility's energy over that of its computers, 1 or more.
///
/// ```
/// use sootprint::Pue;
///
/// assert_eq!(Pue::new(1.1)?.factor(), 1.1);
/// assert!(Pue::new(0.9).is_err());
/// # Ok::<(), sootprint::PueError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Pue {
    factor: f64,
    pub(crate) low: f64,
    pub(crate) high: f64,
    pub(crate) origin: PueOrigin,
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
    /// Nobody said: 1.0, bounded by 1.0 and 1.56.
    Assumed,
}

impl Pue {
    /// Nobody said what the facility adds: nothing at best, the survey's mean at worst.
    pub(crate) const ASSUMED: Self =
        Self { factor: 1.0, low: 1.0, high: SURVEY_MEAN, origin: PueOrigin::Assumed };

    /// The user's figure, which stands as it is.
    ///
    /// # Errors
    /// [`PueError`] below 1, above 10 and for what is no number.
    pub fn new(factor: f64) -> Result<Self, PueError> {
        if (1.0..=HIGHEST_CREDIBLE).contains(&factor) {
            Ok(Self { factor, low: factor, high: factor, origin: PueOrigin::Argument })
        } else {
            Err(PueError { factor })
        }
    }

    /// The same figure, from `SOOTPRINT_PUE`.
    pub(crate) const fn said_by_environment(self) -> Self {
        Self { origin: PueOrigin::Environment, ..self }
    }

    /// The best estimate.
    #[must_use]
    pub const fn factor(self) -> f64 {
        self.factor
    }
}

impl PueOrigin {
    /// The word that the footprint's JSON uses.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Argument => "argument",
            Self::Environment => "environment",
            Self::Assumed => "assumed",
        }
    }
}

/// A number that cannot be a PUE.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "a PUE of {factor} is not possible: it is the facility's energy over its computers', from 1 to {HIGHEST_CREDIBLE}"
)]
pub struct PueError {
    factor: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_pue_is_refused() {
        for wrong in [0.99, 0.0, -1.2, 10.1, f64::NAN, f64::INFINITY] {
            assert!(Pue::new(wrong).is_err(), "{wrong}");
        }
        assert!(Pue::new(1.0).is_ok());
    }
}
