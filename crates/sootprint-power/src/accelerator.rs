//! Accelerators by name, and the power that they draw.

mod error;
mod lookup;
mod table;

use sootprint_core::Power;

use crate::data_quality::DataQuality;
use lookup::find_row;
use table::read_rows;

pub use error::AcceleratorError;

/// Lower bound of a training's mean power, as a fraction of the GPU's power limit.
///
/// Morrison et al. 2025 (arXiv 2503.05804) measured GPUs at 15 to 85 % of their maximum power while they trained
/// language models.
const MIN_MEAN_LOAD: f64 = 0.15;

/// An accelerator and the mean power that it is assumed to draw during training.
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
    /// Looks up a device in the embedded table, by its name or by the name that its driver reports, such as
    /// `NVIDIA A100-SXM4-80GB`. If several driver names match, the longest match wins.
    ///
    /// The assumed mean power is the thermal design power, which other calculators use as well. It is also the
    /// upper bound; the lower bound is 15 % of it. The bounds are wider if the figure does not come from the
    /// vendor.
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
    /// [`AcceleratorError`] if the name matches no device or several, or if the vendor has not published the power.
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

    /// Creates an accelerator with any name and a mean power of `power`. The name is used as given.
    ///
    /// # Errors
    /// [`AcceleratorError::InvalidPower`] unless the power is greater than 0 and at most 1 MW.
    pub fn with_power(name: impl Into<String>, power: Power) -> Result<Self, AcceleratorError> {
        // A rack draws less than a megawatt.
        if power > Power::ZERO && power.watts() <= 1e6 {
            let (name, note) = (name.into(), format!("user-supplied mean power: {} W", power.watts()));
            Ok(Self { name, power, low: power, high: power, limit: None, note })
        } else {
            Err(AcceleratorError::InvalidPower { watts: power.watts() })
        }
    }

    /// The name of the device.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The assumed mean power of one device.
    #[must_use]
    pub const fn power(&self) -> Power {
        self.power
    }

    /// The lowest and the highest mean power of one device.
    #[must_use]
    pub const fn bounds(&self) -> (Power, Power) {
        (self.low, self.high)
    }

    /// The thermal design power of one device, from the embedded table. `None` for an accelerator from
    /// [`with_power`](Self::with_power).
    #[must_use]
    pub const fn limit(&self) -> Option<Power> {
        self.limit
    }

    /// The origin of the power figure, for reports.
    #[must_use]
    pub fn note(&self) -> &str {
        &self.note
    }
}

/// Factors from the published figure to the lowest and the highest possible power limit. Those for figures that do
/// not come from the vendor are assumptions.
const fn limit_factors(quality: DataQuality) -> (f64, f64) {
    match quality {
        DataQuality::VendorSpec | DataQuality::Paper => (1.0, 1.0),
        DataQuality::Medium => (0.75, 1.25),
        DataQuality::Estimate | DataQuality::Unpublished => (0.5, 2.0),
    }
}

const fn power_origin(quality: DataQuality) -> &'static str {
    match quality {
        DataQuality::VendorSpec => "thermal design power from the vendor's data sheet",
        DataQuality::Paper => "power of a chip, published by its manufacturer in a paper",
        DataQuality::Medium => "thermal design power of a similar variant",
        DataQuality::Estimate | DataQuality::Unpublished => "estimated power",
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn blank_tdp_is_an_error() {
        let error = Accelerator::from_name("TPU v5e").unwrap_err();
        assert_eq!(error.to_string(), "no published power for TPU v5e (chip); specify the power per device");
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
