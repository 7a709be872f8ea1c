//! The embedded tables of thermal design powers, by CPU name.
//!
//! `data/cpu_tdp.csv`: CodeCarbon's table (MIT), from Intel ARK and AMD's site. `data/cpu_tdp_estimates.csv`:
//! models of the large clouds, which no vendor lists; most figures are those of the nearest public model.

use serde::Deserialize;

use crate::data_quality::DataQuality;

const PUBLISHED: &[u8] = include_bytes!("../../../data/cpu_tdp.csv");
const ESTIMATES: &[u8] = include_bytes!("../../../data/cpu_tdp_estimates.csv");

/// The TDP of a package.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct TdpRating {
    /// The model's name in the tables.
    pub(super) key: String,
    pub(super) watts: f64,
    pub(super) confidence: DataQuality,
}

impl TdpRating {
    /// Looks up a model by its exact name in the tables.
    ///
    /// Parses the tables on each call. This takes a few milliseconds, once per process, and keeps no memory of the
    /// training.
    pub(super) fn lookup(key: &str) -> Option<Self> {
        let row = find_row(ESTIMATES, key).or_else(|| find_row(PUBLISHED, key))?;
        Some(Self { watts: row.tdp_w?, confidence: row.confidence, key: row.key })
    }

    /// Whether the model belongs to a server series, whose machines enforce the TDP as a limit.
    pub(super) fn is_server_cpu(&self) -> bool {
        const SERIES: [&str; 6] = ["xeon", "epyc", "opteron", "graviton", "altra", "grace"];
        self.key.split_whitespace().any(|word| SERIES.iter().any(|series| word.starts_with(series)))
    }
}

/// Converts the kernel's `model name` to the name in the tables.
///
/// `Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz` is `intel xeon gold 6248`;
/// `AMD Ryzen 7 PRO 4750U with Radeon Graphics` is `amd ryzen 7 pro 4750u`.
pub(super) fn lookup_key(model_name: &str) -> String {
    let name = model_name.to_lowercase().replace("(tm)-", "-").replace("(r)", " ").replace("(tm)", " ");
    let words: Vec<&str> = name.split_whitespace().collect();
    // `11th Gen Intel …`: the generation precedes the vendor.
    let words = match words[..] {
        [generation, "gen", ref rest @ ..]
            if generation.starts_with(|first: char| first.is_ascii_digit()) =>
        {
            rest
        }
        ref all => all,
    };
    // `64-Core Processor` follows a model's name; in `Pentium Dual-Core` it is part of the name.
    let is_count = |word: &str| (word.ends_with("-core") || word.ends_with("-cores")) && word != "dual-core";
    words
        .iter()
        .take_while(|word| !["@", "with", "w/"].contains(word))
        .filter(|word| !["cpu", "processor"].contains(word) && !is_count(word))
        .copied()
        .collect::<Vec<_>>()
        .join(" ")
}

#[derive(Debug, Deserialize)]
struct TdpRow {
    key: String,
    /// Blank if the vendor has not published it. Blanks are never replaced by guesses.
    tdp_w: Option<f64>,
    #[serde(default)]
    confidence: DataQuality,
}

fn find_row(table: &[u8], key: &str) -> Option<TdpRow> {
    let mut reader = csv::Reader::from_reader(table);
    let columns = reader.headers().ok()?.clone();
    // The test below parses the tables strictly, so no row is dropped here.
    let found = reader.into_records().filter_map(Result::ok).find(|record| record.get(0) == Some(key))?;
    found.deserialize(Some(&columns)).ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    fn all_rows(table: &[u8]) -> Vec<TdpRow> {
        csv::Reader::from_reader(table).into_deserialize().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn every_table_row_parses() {
        for (table, count, blank) in [(PUBLISHED, 4_658, 0), (ESTIMATES, 32, 1)] {
            let rows = all_rows(table);
            assert_eq!(rows.len(), count);
            assert_eq!(
                rows.iter().map(|row| &row.key).collect::<BTreeSet<_>>().len(),
                count,
                "keys are unique"
            );
            let figures: Vec<f64> = rows.iter().filter_map(|row| row.tdp_w).collect();
            assert_eq!(figures.len(), count - blank);
            assert!(figures.iter().all(|watts| (0.5..=500.0).contains(watts)));
        }
    }

    /// A key that is not normalised could never be found.
    #[test]
    fn table_keys_are_normalized() {
        for row in [PUBLISHED, ESTIMATES].into_iter().flat_map(all_rows) {
            assert_eq!(lookup_key(&row.key), row.key);
        }
    }

    /// The names as reported by the kernel; the watts from the vendors' pages.
    #[test]
    fn kernel_names_map_to_tdp() {
        let names = [
            ("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz", 150.0),
            ("Intel(R) Xeon(R) CPU E5-2690 v4 @ 2.60GHz", 135.0),
            ("Intel(R) Xeon(R) Platinum 8480+", 350.0),
            ("INTEL(R) XEON(R) PLATINUM 8470", 350.0),
            ("Intel(R) Core(TM) i7-9750H CPU @ 2.60GHz", 45.0),
            ("11th Gen Intel(R) Core(TM) i7-1185G7 @ 3.00GHz", 28.0),
            ("13th Gen Intel(R) Core(TM) i9-13900K", 125.0),
            ("Intel(R) Core(TM)2 Duo CPU     E8400  @ 3.00GHz", 65.0),
            ("Intel(R) Core(TM) Ultra 7 155H", 28.0),
            ("Intel(R) N100", 6.0),
            ("AMD EPYC 7763 64-Core Processor", 280.0),
            ("AMD EPYC 9654 96-Core Processor", 360.0),
            ("AMD Ryzen 9 5950X 16-Core Processor", 105.0),
            ("AMD Ryzen Threadripper PRO 5995WX 64-Cores", 280.0),
            ("AMD Ryzen 7 PRO 4750U with Radeon Graphics", 15.0),
            ("AMD Ryzen AI 9 HX 370 w/ Radeon 890M", 28.0),
            ("AMD FX(tm)-8350 Eight-Core Processor", 125.0),
        ];
        for (name, watts) in names {
            let rating = TdpRating::lookup(&lookup_key(name))
                .unwrap_or_else(|| panic!("{name} is {}", lookup_key(name)));
            assert_eq!((rating.watts, rating.confidence), (watts, DataQuality::VendorSpec), "{name}");
        }
    }

    #[test]
    fn unknown_cpu_has_no_tdp() {
        for name in [
            "",
            "AMD EPYC",
            "AMD EPYC-Milan Processor",
            "Intel(R) Xeon(R) CPU @ 2.20GHz",
            "QEMU Virtual CPU",
            "@",
        ] {
            assert_eq!(TdpRating::lookup(&lookup_key(name)), None, "{name}");
        }
    }

    #[test]
    fn estimated_tdp_is_marked_estimated() {
        let rating = TdpRating::lookup(&lookup_key("AMD EPYC 7R13 Processor")).unwrap();
        assert_eq!((rating.watts, rating.confidence), (225.0, DataQuality::Estimate));
        assert_eq!(TdpRating::lookup("aws graviton3").unwrap().confidence, DataQuality::Unpublished);
        assert_eq!(TdpRating::lookup("aws graviton4"), None, "a blank is not a figure");
    }

    #[test]
    fn server_cpus_are_recognized() {
        let is_of_server = |name: &str| TdpRating::lookup(&lookup_key(name)).unwrap().is_server_cpu();
        assert!(is_of_server("Intel(R) Xeon(R) Gold 6248 CPU @ 2.50GHz"));
        assert!(is_of_server("AMD EPYC 7763 64-Core Processor"));
        assert!(!is_of_server("AMD Ryzen 9 5950X 16-Core Processor"));
    }
}
