//! Accelerators by name, and what they draw.
//!
//! `data/hardware.csv`: thermal design powers from the vendors' data sheets, and the names that drivers give.

use serde::Deserialize;

use crate::units::Power;

const TABLE: &[u8] = include_bytes!("../../data/hardware.csv");

/// The mean power of a training, as a part of the board's limit, is this at least.
///
/// Morrison et al. 2025 (arXiv 2503.05804) saw boards between 15 and 85 % of the most that they may draw while they
/// trained language models.
const LEAST_OF_LIMIT: f64 = 0.15;

/// What a vendor calls its boards, which people leave out or not.
const FILLERS: [&str; 7] = ["nvidia", "amd", "intel", "google", "tesla", "geforce", "gpu"];

/// After a miss so many names are suggested at most.
const MOST_SUGGESTIONS: usize = 5;

/// Nobody types a device's name of more letters.
const LONGEST_NAME: usize = 80;

/// An accelerator and what it draws in a training.
#[derive(Debug, Clone, PartialEq)]
pub struct Hardware {
    pub(super) name: String,
    pub(super) power: Power,
    pub(super) low: Power,
    pub(super) high: Power,
    pub(super) limit: Option<Power>,
    pub(super) note: String,
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

/// The row of that very name; else that with the longest part of a driver's name in it; else the only one that has all
/// of its words.
fn find<'a>(rows: &'a [Row], name: &str) -> Result<&'a Row, HardwareError> {
    let asked = plain(name);
    if let Some(row) = rows.iter().find(|row| plain(&row.name) == asked) {
        return Ok(row);
    }
    let length = |row: &Row| row.matches().filter(|part| contains(&asked, part)).map(|part| part.len()).max();
    let longest = rows.iter().filter_map(length).max();
    let mut found: Vec<&Row> = match longest {
        Some(_) => rows.iter().filter(|row| length(row) == longest).collect(),
        None => with_words(rows, &asked),
    };
    match (found.len(), found.pop()) {
        (1, Some(row)) => Ok(row),
        (0, _) | (_, None) => {
            Err(HardwareError::Unknown { name: name.trim().to_owned(), nearest: nearest(rows, &asked) })
        }
        (_, Some(last)) => {
            found.push(last);
            let candidates = found.iter().map(|row| row.name.clone()).collect();
            Err(HardwareError::Ambiguous { name: name.trim().to_owned(), candidates })
        }
    }
}

/// Those that have every word of the name; `A100` is a word of four boards.
fn with_words<'a>(rows: &'a [Row], name: &str) -> Vec<&'a Row> {
    let words: Vec<&str> =
        name.split(' ').filter(|word| !word.is_empty() && !FILLERS.contains(word)).collect();
    let has_all = |row: &Row| {
        let known = row.words();
        words.iter().all(|word| known.iter().any(|known| is_word(known, word)))
    };
    rows.iter().filter(|row| !words.is_empty() && has_all(row)).collect()
}

/// Whether it is the word, or the word without its number: `sxm` for `sxm4`.
fn is_word(known: &str, word: &str) -> bool {
    let is_series = word.len() > 2 && word.ends_with(|last: char| last.is_ascii_alphabetic());
    known
        .strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || is_series && rest.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Whether a part is in a name between the ends of words: `a10` is not in `a100`, nor `b200` in `gb200`. A size in
/// gigabytes may be without its unit.
fn contains(name: &str, part: &str) -> bool {
    let is_edge = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    name.match_indices(part).any(|(start, _)| {
        let (before, after) = (&name[..start], &name[start + part.len()..]);
        let after = if part.ends_with(|last: char| last.is_ascii_digit()) {
            after.trim_start_matches("gb")
        } else {
            after
        };
        is_edge(before.chars().next_back()) && is_edge(after.chars().next())
    })
}

fn nearest(rows: &[Row], name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split(' ').filter(|word| !FILLERS.contains(word)).collect();
    let name = words.join(" ");
    if name.is_empty() || name.len() > LONGEST_NAME {
        return Vec::new();
    }
    let distance = |row: &Row| {
        row.matches().chain([plain(&row.name)]).map(|known| strsim::osa_distance(&name, &known)).min()
    };
    let most = 1 + name.chars().count() / 4;
    let near =
        rows.iter().filter_map(|row| Some((distance(row)?, row))).filter(|(distance, _)| *distance <= most);
    let mut near: Vec<(usize, &str)> = near.map(|(distance, row)| (distance, row.name.as_str())).collect();
    near.sort_unstable();
    near.into_iter().take(MOST_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

/// Lower case, with single spaces for whatever stands between words.
fn plain(name: &str) -> String {
    let letters: String = name
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_alphanumeric() || letter == '+' { letter } else { ' ' })
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Result<String, HardwareError> {
        find(&rows(), text).map(|row| row.name.clone())
    }

    #[test]
    fn every_row_of_the_table_is_read_and_found_by_its_names() {
        let strict: Vec<Row> =
            csv::Reader::from_reader(TABLE).into_deserialize().collect::<Result<_, _>>().unwrap();
        assert_eq!((strict.len(), rows().len()), (154, 154));
        for row in &strict {
            assert_eq!(name(&row.name).as_deref(), Ok(&*row.name));
            assert!(row.tdp_w.is_none_or(|watts| (10.0..=1_500.0).contains(&watts)), "{row:?}");
            assert_eq!(row.tdp_w.is_none(), row.confidence == Trust::Unpublished, "{row:?}");
            for part in row.matches() {
                assert_eq!(name(&part).as_deref(), Ok(&*row.name), "{part}");
            }
        }
    }

    /// The left ones are what NVML and the like give.
    #[test]
    fn drivers_names_are_found() {
        for (driver, known) in [
            ("NVIDIA A100-SXM4-80GB", "A100 SXM4 80GB"),
            ("NVIDIA A100 80GB PCIe", "A100 PCIe 80GB"),
            ("A100-PCIE-40GB", "A100 PCIe 40GB"),
            ("NVIDIA H100 80GB HBM3", "H100 SXM"),
            ("NVIDIA H100 PCIe", "H100 PCIe"),
            ("NVIDIA H200", "H200 SXM"),
            ("NVIDIA H200 NVL", "H200 NVL"),
            ("Tesla V100-SXM2-16GB", "V100 SXM2 16GB"),
            ("Tesla T4", "T4"),
            ("NVIDIA A10", "A10"),
            ("NVIDIA A10G", "A10G"),
            ("NVIDIA L40S", "L40S"),
            ("NVIDIA GB200", "GB200 (per GPU)"),
            ("NVIDIA GeForce RTX 4070 Ti SUPER", "RTX 4070 Ti SUPER"),
            ("NVIDIA GeForce RTX 4090", "RTX 4090"),
            ("AMD Instinct MI250X", "MI250X"),
            ("Apple M2 Max", "Apple M2 Max"),
            ("TPU v3", "TPU v3 (chip)"),
        ] {
            assert_eq!(name(driver).as_deref(), Ok(known), "{driver}");
        }
    }

    #[test]
    fn half_a_name_lists_those_it_may_mean() {
        let candidates = |text| match name(text) {
            Err(HardwareError::Ambiguous { candidates, .. }) => candidates,
            other => panic!("{text}: {other:?}"),
        };
        assert_eq!(
            candidates("A100"),
            ["A100 SXM4 80GB", "A100 SXM4 40GB", "A100 PCIe 80GB", "A100 PCIe 40GB"]
        );
        assert_eq!(candidates("A100 80GB"), ["A100 SXM4 80GB", "A100 PCIe 80GB"]);
        assert_eq!(candidates("A100 SXM"), ["A100 SXM4 80GB", "A100 SXM4 40GB"]);
        assert_eq!(candidates("nvidia v100").len(), 5);
        assert!(candidates("H100").len() == 4 && candidates("TPU").len() > 5);
        let error = name("A100-80GB").unwrap_err().to_string();
        assert_eq!(
            error,
            "`A100-80GB` may mean A100 SXM4 80GB or A100 PCIe 80GB; give the name of the one that is meant"
        );
    }

    #[test]
    fn a_miss_suggests_and_a_blank_is_no_figure() {
        assert!(name("RTX 4909").unwrap_err().to_string().contains("RTX 4090"));
        for unknown in ["", "Voodoo2", "A1000", "Gaudi4", "A30X", "H100 S"] {
            assert!(
                matches!(name(unknown), Err(HardwareError::Unknown { .. })),
                "{unknown}: {:?}",
                name(unknown)
            );
        }
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
