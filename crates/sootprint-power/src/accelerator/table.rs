//! The embedded table of accelerators, `data/accelerators.csv`: thermal design powers from the vendors' data
//! sheets, the names that drivers report, and the mean power of trainings where it was measured.

use serde::Deserialize;

use crate::data_quality::DataQuality;

const TABLE: &[u8] = include_bytes!("../../data/accelerators.csv");

#[derive(Debug, Deserialize)]
pub(super) struct HardwareRow {
    pub(super) name: String,
    vendor: String,
    /// Blank if the vendor has not published it. Blanks are never replaced by guesses.
    pub(super) tdp_w: Option<f64>,
    memory_gb: Option<f64>,
    /// Names or parts of names as drivers report them, separated by semicolons.
    #[serde(rename = "match")]
    driver_names: String,
    pub(super) confidence: DataQuality,
    /// The mean power of a training as a fraction of the power limit: the median over the trainings of the traces of
    /// Zeus (Apache-2.0). Blank if the accelerator was not measured.
    pub(super) mean_draw: Option<f64>,
    /// The lowest such fraction of any training.
    pub(super) lowest_draw: Option<f64>,
}

/// Parses the whole table on each call, because an estimate is computed once per process.
pub(super) fn read_rows() -> Vec<HardwareRow> {
    // The test below parses the table strictly, so no row is dropped here.
    csv::Reader::from_reader(TABLE).into_deserialize().filter_map(Result::ok).collect()
}

impl HardwareRow {
    pub(super) fn driver_names(&self) -> impl Iterator<Item = String> {
        self.driver_names.split(';').map(normalize)
    }

    /// All words by which a user may search for this row.
    pub(super) fn search_words(&self) -> Vec<String> {
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

/// Converts a name to lower case, with single spaces between its words.
pub(super) fn normalize(name: &str) -> String {
    let letters: String = name
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_alphanumeric() || letter == '+' { letter } else { ' ' })
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_hardware_row_is_parsed() {
        let strict: Vec<HardwareRow> =
            csv::Reader::from_reader(TABLE).into_deserialize().collect::<Result<_, _>>().unwrap();
        assert_eq!((strict.len(), read_rows().len()), (154, 154));
        for row in &strict {
            assert!(row.tdp_w.is_none_or(|watts| (10.0..=1_500.0).contains(&watts)), "{row:?}");
            let draws = [row.lowest_draw, row.mean_draw];
            assert!(draws.iter().flatten().all(|draw| (0.1..=1.0).contains(draw)), "{row:?}");
            assert_eq!(row.tdp_w.is_none(), row.confidence == DataQuality::Unpublished, "{row:?}");
        }
    }
}
