//! Accelerators by name, and what they draw.
//!
//! `data/hardware.csv`: thermal design powers from the vendors' data sheets, and the names that drivers give.

mod error;
mod lookup;
mod table;

use sootprint_core::Power;

use crate::data_quality::DataQuality;
use lookup::find_row;
use table::read_rows;

pub use error::AcceleratorError;

/// The mean power of a training, as a part of the board's limit, is this at least.
///
/// Morrison et al. 2025 (arXiv 2503.05804) saw boards between 15 and 85 % of the most that they may draw while they
/// trained language models.
const MIN_MEAN_LOAD: f64 = 0.15;

/// An accelerator and what it draws in a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Accelerator {
    name: String,
    power: Power,
    low: Power,
    high: Power,
    limit: Option<Power>,
    note: String,
}

impl Accelerator {
    /// A device of the embedded table, by its name or by the name that its driver gives it, as in
    /// `NVIDIA A100-SXM4-80GB`. Of several that are in the name the longest is meant.
    ///
    /// It is taken to draw its thermal design power, as every calculator takes it; the lower bound is 15 % of that.
    ///
    /// ```
    /// use sootprint_power::{Accelerator, AcceleratorError};
    ///
    /// assert_eq!(Accelerator::from_name("NVIDIA A100-SXM4-80GB")?.power().watts(), 400.0);
    /// assert!(matches!(Accelerator::from_name("A100"), Err(AcceleratorError::Ambiguous { .. })));
    /// # Ok::<(), AcceleratorError>(())
    /// ```
    ///
    /// # Errors
    /// [`AcceleratorError`] when no device or more than one is meant, and when nobody published what it draws.
    pub fn from_name(name: &str) -> Result<Self, AcceleratorError> {
        let rows = read_rows();
        let row = find_row(&rows, name)?;
        let Some(watts) = row.tdp_w else {
            return Err(AcceleratorError::NoPublishedPower { name: row.name.clone() });
        };
        let (low_factor, high_factor) = limit_factors(row.confidence);
        Ok(Self {
            name: row.name.clone(),
            power: Power::from_watts(watts),
            low: Power::from_watts(watts * MIN_MEAN_LOAD * low_factor),
            high: Power::from_watts(watts * high_factor),
            limit: Some(Power::from_watts(watts)),
            note: format!("{}: {watts} W", power_origin(row.confidence)),
        })
    }

    /// A device under any name that draws so much in the mean, which stands as it is.
    ///
    /// # Errors
    /// [`AcceleratorError::InvalidPower`] for what no device draws.
    pub fn with_power(name: impl Into<String>, power: Power) -> Result<Self, AcceleratorError> {
        // A rack draws less than a megawatt.
        if power > Power::ZERO && power.watts() <= 1e6 {
            let (name, note) = (name.into(), format!("the given mean power: {} W", power.watts()));
            Ok(Self { name, power, low: power, high: power, limit: None, note })
        } else {
            Err(AcceleratorError::InvalidPower { watts: power.watts() })
        }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What it is taken to draw.
    #[must_use]
    pub const fn power(&self) -> Power {
        self.power
    }

    /// The lowest and the highest mean power that it may have.
    #[must_use]
    pub const fn bounds(&self) -> (Power, Power) {
        (self.low, self.high)
    }

    /// The power limit, if one is published.
    #[must_use]
    pub const fn limit(&self) -> Option<Power> {
        self.limit
    }

    /// Where the power comes from, for the report.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

/// How much less and more than the figure the limit may be. Those of what is no vendor's figure are assumptions.
const fn limit_factors(quality: DataQuality) -> (f64, f64) {
    match quality {
        DataQuality::VendorSpec | DataQuality::Paper => (1.0, 1.0),
        DataQuality::Medium => (0.75, 1.25),
        DataQuality::Estimate | DataQuality::Unpublished => (0.5, 2.0),
    }
}

const fn power_origin(quality: DataQuality) -> &'static str {
    match quality {
        DataQuality::VendorSpec => "thermal design power of the vendor's data sheet",
        DataQuality::Paper => "power of a chip as its maker published it in a paper",
        DataQuality::Medium => "thermal design power of a near variant",
        DataQuality::Estimate | DataQuality::Unpublished => "an estimate of its power",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blank_tdp_is_an_error() {
        let error = Accelerator::from_name("TPU v5e").unwrap_err();
        assert_eq!(error.to_string(), "nobody published what a TPU v5e (chip) draws; give the watts");
    }

    #[test]
    fn invalid_power_is_rejected() {
        for watts in [0.0, -1.0, 1e7, f64::NAN, f64::INFINITY] {
            assert!(Accelerator::with_power("x", Power::from_watts(watts)).is_err(), "{watts}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_name_never_panics(text in any::<String>()) {
            let _ = Accelerator::from_name(&text);
        }
    }
}
