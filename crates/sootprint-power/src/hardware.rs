//! Accelerators by name, and what they draw.
//!
//! `data/hardware.csv`: thermal design powers from the vendors' data sheets, and the names that drivers give.

mod names;

use serde::Deserialize;
use sootprint_core::Power;

use names::{find, plain};

const TABLE: &[u8] = include_bytes!("../data/accelerators.csv");

/// The mean power of a training, as a part of the board's limit, is this at least.
///
/// Morrison et al. 2025 (arXiv 2503.05804) saw boards between 15 and 85 % of the most that they may draw while they
/// trained language models.
const LEAST_OF_LIMIT: f64 = 0.15;

/// An accelerator and what it draws in a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardware {
    name: String,
    power: Power,
    low: Power,
    high: Power,
    limit: Option<Power>,
    note: String,
}

impl Hardware {
    /// A device of the embedded table, by its name or by the name that its driver gives it, as in
    /// `NVIDIA A100-SXM4-80GB`. Of several that are in the name the longest is meant.
    ///
    /// It is taken to draw its thermal design power, as every calculator takes it; the lower bound is 15 % of that.
    ///
    /// ```
    /// use sootprint::{Hardware, HardwareError};
    ///
    /// assert_eq!(Hardware::named("NVIDIA A100-SXM4-80GB")?.power().watts(), 400.0);
    /// assert!(matches!(Hardware::named("A100"), Err(HardwareError::Ambiguous { .. })));
    /// # Ok::<(), HardwareError>(())
    /// ```
    ///
    /// # Errors
    /// [`HardwareError`] when no device or more than one is meant, and when nobody published what it draws.
    pub fn named(name: &str) -> Result<Self, HardwareError> {
        let rows = rows();
        let row = find(&rows, name)?;
        let Some(watts) = row.tdp_w else {
            return Err(HardwareError::Unpublished { name: row.name.clone() });
        };
        let trust = row.confidence;
        let (less, more) = trust.bounds();
        Ok(Self {
            name: row.name.clone(),
            power: Power::from_watts(watts),
            low: Power::from_watts(watts * LEAST_OF_LIMIT * less),
            high: Power::from_watts(watts * more),
            limit: Some(Power::from_watts(watts)),
            note: format!("{}: {watts} W", trust.in_words()),
        })
    }

    /// A device under any name that draws so much in the mean, which stands as it is.
    ///
    /// # Errors
    /// [`HardwareError::Power`] for what no device draws.
    pub fn drawing(name: impl Into<String>, power: Power) -> Result<Self, HardwareError> {
        // A rack draws less than a megawatt.
        if power > Power::ZERO && power.watts() <= 1e6 {
            let (name, note) = (name.into(), format!("the given mean power: {} W", power.watts()));
            Ok(Self { name, power, low: power, high: power, limit: None, note })
        } else {
            Err(HardwareError::Power { watts: power.watts() })
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
pub enum HardwareError {
    /// No table has it.
    #[error(
        "no hardware is known by the name `{name}`{}; give the watts that a device draws, then the name is free",
        suggestion(nearest)
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
    Unpublished {
        /// The device.
        name: String,
    },
    /// No device draws that.
    #[error("{watts} W are no power of a device; give the mean watts of one, more than 0")]
    Power {
        /// What was given.
        watts: f64,
    },
}

fn suggestion(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}

#[derive(Debug, Deserialize)]
struct Row {
    name: String,
    vendor: String,
    /// Blank where nothing is published, which is not to be guessed.
    tdp_w: Option<f64>,
    memory_gb: Option<f64>,
    /// Parts of a driver's name, with semicolons between them.
    #[serde(rename = "match")]
    matches: String,
    confidence: Trust,
}

/// How sure a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Trust {
    VendorSpec,
    /// Measured by the maker and published in a paper.
    Paper,
    /// A variant of a board with a data sheet.
    Medium,
    Estimate,
    Unpublished,
}

impl Trust {
    /// How much less and more than the figure the limit may be. Those of what is no vendor's figure are assumptions.
    const fn bounds(self) -> (f64, f64) {
        match self {
            Self::VendorSpec | Self::Paper => (1.0, 1.0),
            Self::Medium => (0.75, 1.25),
            Self::Estimate | Self::Unpublished => (0.5, 2.0),
        }
    }

    const fn in_words(self) -> &'static str {
        match self {
            Self::VendorSpec => "thermal design power of the vendor's data sheet",
            Self::Paper => "power of a chip as its maker published it in a paper",
            Self::Medium => "thermal design power of a near variant",
            Self::Estimate | Self::Unpublished => "an estimate of its power",
        }
    }
}

impl Row {
    fn matches(&self) -> impl Iterator<Item = String> {
        self.matches.split(';').map(plain)
    }

    /// What people may write of it.
    fn words(&self) -> Vec<String> {
        let memory = self.memory_gb.map_or_else(String::new, |gigabytes| format!("{gigabytes}gb"));
        let all =
            [plain(&self.name), self.vendor.clone(), memory, self.matches().collect::<Vec<_>>().join(" ")];
        all.iter().flat_map(|text| text.split(' ')).map(str::to_owned).collect()
    }
}

/// The table is read from the beginning each time: an estimate is made once.
fn rows() -> Vec<Row> {
    // The test below reads the table strictly, so that no row is ever passed over here.
    csv::Reader::from_reader(TABLE).into_deserialize().filter_map(Result::ok).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn every_row_of_the_table_is_read() {
        let strict: Vec<Row> =
            csv::Reader::from_reader(TABLE).into_deserialize().collect::<Result<_, _>>().unwrap();
        assert_eq!((strict.len(), rows().len()), (154, 154));
        for row in &strict {
            assert!(row.tdp_w.is_none_or(|watts| (10.0..=1_500.0).contains(&watts)), "{row:?}");
            assert_eq!(row.tdp_w.is_none(), row.confidence == Trust::Unpublished, "{row:?}");
        }
    }

    #[test]
    fn a_blank_is_no_figure() {
        let error = Hardware::named("TPU v5e").unwrap_err();
        assert_eq!(error.to_string(), "nobody published what a TPU v5e (chip) draws; give the watts");
    }

    #[test]
    fn what_no_device_draws_is_refused() {
        for watts in [0.0, -1.0, 1e7, f64::NAN, f64::INFINITY] {
            assert!(Hardware::drawing("x", Power::from_watts(watts)).is_err(), "{watts}");
        }
    }

    proptest! {
        #[test]
        fn no_name_is_too_odd(text in any::<String>()) {
            let _ = Hardware::named(&text);
        }
    }
}
