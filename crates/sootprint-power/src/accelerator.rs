//! Accelerators by name, and what they draw.
//!
//! `data/hardware.csv`: thermal design powers from the vendors' data sheets, and the names that drivers give.

mod lookup;

use serde::Deserialize;
use sootprint_core::Power;

use lookup::{find_row, normalize};

const TABLE: &[u8] = include_bytes!("../data/accelerators.csv");

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
        let confidence = row.confidence;
        let (low_factor, high_factor) = confidence.limit_factors();
        Ok(Self {
            name: row.name.clone(),
            power: Power::from_watts(watts),
            low: Power::from_watts(watts * MIN_MEAN_LOAD * low_factor),
            high: Power::from_watts(watts * high_factor),
            limit: Some(Power::from_watts(watts)),
            note: format!("{}: {watts} W", confidence.description()),
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

/// Why a name is no device.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum AcceleratorError {
    /// No table has it.
    #[error(
        "no hardware is known by the name `{name}`{}; give the watts that a device draws, then the name is free",
        did_you_mean(nearest)
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that may have been meant, nearest first.
        nearest: Vec<String>,
    },
    /// More than one device has it.
    #[error("`{name}` may mean {}; give the name of the one that is meant", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The devices that have this name.
        candidates: Vec<String>,
    },
    /// Its vendor says nothing of what it draws.
    #[error("nobody published what a {name} draws; give the watts")]
    NoPublishedPower {
        /// The device.
        name: String,
    },
    /// No device draws that.
    #[error("{watts} W are no power of a device; give the mean watts of one, more than 0")]
    InvalidPower {
        /// What was given.
        watts: f64,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}

#[derive(Debug, Deserialize)]
struct HardwareRow {
    name: String,
    vendor: String,
    /// Blank where nothing is published, which is not to be guessed.
    tdp_w: Option<f64>,
    memory_gb: Option<f64>,
    /// Parts of a driver's name, with semicolons between them.
    #[serde(rename = "match")]
    driver_names: String,
    confidence: SpecConfidence,
}

/// How sure a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum SpecConfidence {
    VendorSpec,
    /// Measured by the maker and published in a paper.
    Paper,
    /// A variant of a board with a data sheet.
    Medium,
    Estimate,
    Unpublished,
}

impl SpecConfidence {
    /// How much less and more than the figure the limit may be. Those of what is no vendor's figure are assumptions.
    const fn limit_factors(self) -> (f64, f64) {
        match self {
            Self::VendorSpec | Self::Paper => (1.0, 1.0),
            Self::Medium => (0.75, 1.25),
            Self::Estimate | Self::Unpublished => (0.5, 2.0),
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::VendorSpec => "thermal design power of the vendor's data sheet",
            Self::Paper => "power of a chip as its maker published it in a paper",
            Self::Medium => "thermal design power of a near variant",
            Self::Estimate | Self::Unpublished => "an estimate of its power",
        }
    }
}

impl HardwareRow {
    fn driver_names(&self) -> impl Iterator<Item = String> {
        self.driver_names.split(';').map(normalize)
    }

    /// What people may write of it.
    fn search_words(&self) -> Vec<String> {
        let memory = self.memory_gb.map_or_else(String::new, |gigabytes| format!("{gigabytes}gb"));
        let all = [
            normalize(&self.name),
            self.vendor.clone(),
            memory,
            self.driver_names().collect::<Vec<_>>().join(" "),
        ];
        all.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect()
    }
}

/// The table is read from the beginning each time: an estimate is made once.
fn read_rows() -> Vec<HardwareRow> {
    // The test below reads the table strictly, so that no row is ever passed over here.
    csv::Reader::from_reader(TABLE).into_deserialize().filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_hardware_row_is_parsed() {
        let strict: Vec<HardwareRow> =
            csv::Reader::from_reader(TABLE).into_deserialize().collect::<Result<_, _>>().unwrap();
        assert_eq!((strict.len(), read_rows().len()), (154, 154));
        for row in &strict {
            assert!(row.tdp_w.is_none_or(|watts| (10.0..=1_500.0).contains(&watts)), "{row:?}");
            assert_eq!(row.tdp_w.is_none(), row.confidence == SpecConfidence::Unpublished, "{row:?}");
        }
    }

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
