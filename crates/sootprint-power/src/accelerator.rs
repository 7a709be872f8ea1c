//! Accelerators by name, and the power that they draw.

mod error;
mod lookup;
mod table;

use sootprint_core::Power;

use crate::data_quality::DataQuality;
use lookup::find_row;
use table::read_rows;

pub use error::AcceleratorError;

/// The mean power of a training as a fraction of the GPU's power limit: lower bound and best estimate.
///
/// Morrison et al. 2025 (arXiv 2503.05804) measured GPUs at 15 to 85 % of their maximum power while they trained
/// language models. In the traces of Zeus, the median of 166 settings is 0.72, and trainings that keep a GPU busy
/// draw 0.75 to 0.97.
const ANY_TRAINING: (f64, f64) = (0.15, 0.75);

/// The same for a training that keeps the GPU busy. Nodes of eight H100 drew 0.76 to 0.82 of their rated power in
/// intensive trainings (Newkirk et al., arXiv 2506.14551; Latif et al., arXiv 2412.08602).
const BUSY_TRAINING: (f64, f64) = (0.60, 0.80);

/// An accelerator and the mean power that it is assumed to draw during training.
#[derive(Debug, Clone, PartialEq)]
pub struct Accelerator {
    name: String,
    power: Power,
    low: Power,
    high: Power,
    limit: Option<Power>,
    quality: DataQuality,
    note: String,
}

impl Accelerator {
    /// Looks up a device in the embedded table, by its name or by the name that its driver reports, such as
    /// `NVIDIA A100-SXM4-80GB`. If several driver names match, the longest match wins.
    ///
    /// The assumed mean power is 75 % of the thermal design power, or what was measured on this accelerator. The
    /// upper bound is the thermal design power, the lower bound 15 % of it. The bounds are wider if the figure does
    /// not come from the vendor.
    ///
    /// ```
    /// use sootprint_power::{Accelerator, AcceleratorError};
    ///
    /// assert_eq!(Accelerator::from_name("NVIDIA A100-SXM4-80GB")?.power().watts(), 300.0);
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
        let (lowest, mean) = ANY_TRAINING;
        let (draw, origin) = match row.mean_draw {
            Some(measured) => (measured, "measured in trainings on this accelerator"),
            None => (mean, "of an average training"),
        };
        let lowest = row.lowest_draw.map_or(lowest, |measured| measured.min(lowest));
        let accelerator = Self {
            name: row.name.clone(),
            power: Power::ZERO,
            low: Power::ZERO,
            high: Power::ZERO,
            limit: Some(Power::from_watts(watts)),
            quality: row.confidence,
            note: String::new(),
        };
        Ok(accelerator.with_draw(lowest, draw, origin))
    }

    /// Assumes that the training keeps the accelerator busy: 80 % of the thermal design power, at least 60 %, or the
    /// mean that was measured on this accelerator if it is lower. Has no effect on an accelerator from [`with_power`](Self::with_power).
    #[must_use]
    pub fn busy(self) -> Self {
        let (lowest, mean) = BUSY_TRAINING;
        let lowest = self.limit.map_or(lowest, |limit| lowest.min(self.power.watts() / limit.watts()));
        self.with_draw(lowest, mean, "of a training that keeps it busy")
    }

    /// Sets the mean power as fractions of the power limit.
    fn with_draw(self, lowest: f64, mean: f64, origin: &str) -> Self {
        let Some(limit) = self.limit else { return self };
        let (low_factor, high_factor) = limit_factors(self.quality);
        Self {
            power: limit * mean,
            low: limit * (lowest * low_factor),
            high: limit * high_factor,
            note: format!(
                "{:.1} % of the power limit, {origin}; {}: {} W",
                mean * 100.0,
                power_origin(self.quality),
                limit.watts()
            ),
            ..self
        }
    }

    /// Creates an accelerator with any name and a mean power of `power`. The name is used as given.
    ///
    /// # Errors
    /// [`AcceleratorError::InvalidPower`] unless the power is greater than 0 and at most 1 MW.
    pub fn with_power(name: impl Into<String>, power: Power) -> Result<Self, AcceleratorError> {
        // A rack draws less than a megawatt.
        if power > Power::ZERO && power.watts() <= 1e6 {
            let (name, note) = (name.into(), format!("user-supplied mean power: {} W", power.watts()));
            let quality = DataQuality::Estimate;
            Ok(Self { name, power, low: power, high: power, limit: None, quality, note })
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

    #[test]
    fn measured_draw_replaces_assumed_one() {
        let watts = |accelerator: Accelerator| {
            let (low, high) = accelerator.bounds();
            [low, accelerator.power(), high].map(|power| format!("{:.1}", power.watts()))
        };
        let named = |name| Accelerator::from_name(name).unwrap();
        assert_eq!(watts(named("H100 SXM")), ["105.0", "525.0", "700.0"]);
        assert_eq!(watts(named("H100 SXM").busy()), ["420.0", "560.0", "700.0"]);
        // Trainings that keep a P100 busy draw 57 to 71 %.
        assert_eq!(watts(named("P100 PCIe").busy()), ["141.2", "200.0", "250.0"]);
        // The median and the lowest of six trainings.
        assert_eq!(watts(named("V100 PCIe 16GB")), ["35.0", "196.2", "250.0"]);
        let exact = Accelerator::with_power("mine", Power::from_watts(330.0)).unwrap();
        assert_eq!(watts(exact.clone().busy()), ["330.0"; 3]);
        assert_eq!(exact.clone().busy(), exact);
        assert!(
            named("A40").note().starts_with("71.5 % of the power limit, measured"),
            "{}",
            named("A40").note()
        );
    }

    proptest! {
        #[test]
        fn arbitrary_name_never_panics(text in any::<String>()) {
            let _ = Accelerator::from_name(&text);
        }
    }
}
