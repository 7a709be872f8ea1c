//! Finds the accelerator for a name as users write it or as drivers report it.

use super::error::AcceleratorError;
use super::table::{HardwareRow, normalize};

/// Vendor and product words that users may add or leave out.
const IGNORED_WORDS: [&str; 7] = ["nvidia", "amd", "intel", "google", "tesla", "geforce", "gpu"];

/// Number of suggestions after a failed lookup.
const MAX_SUGGESTIONS: usize = 5;

/// Names longer than this get no suggestions.
const MAX_NAME_LEN: usize = 80;

/// Returns the row with exactly this name. Otherwise returns the row with the longest driver name inside `name`, or
/// the only row that contains all of its words.
pub(super) fn find_row<'a>(rows: &'a [HardwareRow], name: &str) -> Result<&'a HardwareRow, AcceleratorError> {
    let query = normalize(name);
    if let Some(row) = rows.iter().find(|row| normalize(&row.name) == query) {
        return Ok(row);
    }
    let length = |row: &HardwareRow| {
        row.driver_names().filter(|part| contains_whole_words(&query, part)).map(|part| part.len()).max()
    };
    let longest = rows.iter().filter_map(length).max();
    let mut found: Vec<&HardwareRow> = match longest {
        Some(_) => rows.iter().filter(|row| length(row) == longest).collect(),
        None => rows_with_words(rows, &query),
    };
    match (found.len(), found.pop()) {
        (1, Some(row)) => Ok(row),
        (0, _) | (_, None) => Err(AcceleratorError::Unknown {
            name: name.trim().to_owned(),
            nearest: suggest_names(rows, &query),
        }),
        (_, Some(last)) => {
            found.push(last);
            let candidates = found.iter().map(|row| row.name.clone()).collect();
            Err(AcceleratorError::Ambiguous { name: name.trim().to_owned(), candidates })
        }
    }
}

/// The rows that contain every word of the name. `A100` is a word of four GPUs.
fn rows_with_words<'a>(rows: &'a [HardwareRow], name: &str) -> Vec<&'a HardwareRow> {
    let words: Vec<&str> =
        name.split(' ').filter(|word| !word.is_empty() && !IGNORED_WORDS.contains(word)).collect();
    let has_all = |row: &HardwareRow| {
        let known = row.search_words();
        words.iter().all(|word| known.iter().any(|known| matches_word(known, word)))
    };
    rows.iter().filter(|row| !words.is_empty() && has_all(row)).collect()
}

/// Whether a known word is this word, or this word followed by a number: `sxm` matches `sxm4`.
fn matches_word(known: &str, word: &str) -> bool {
    let is_series = word.len() > 2 && word.ends_with(|last: char| last.is_ascii_alphabetic());
    known
        .strip_prefix(word)
        .is_some_and(|rest| rest.is_empty() || is_series && rest.bytes().all(|digit| digit.is_ascii_digit()))
}

/// Whether `name` contains `part` as whole words: `a10` is not in `a100`, nor `b200` in `gb200`. A memory size may
/// lack its unit.
fn contains_whole_words(name: &str, part: &str) -> bool {
    let is_word_boundary = |letter: Option<char>| letter.is_none_or(|letter| !letter.is_alphanumeric());
    name.match_indices(part).any(|(start, _)| {
        let (before, after) = (&name[..start], &name[start + part.len()..]);
        let after = if part.ends_with(|last: char| last.is_ascii_digit()) {
            after.trim_start_matches("gb")
        } else {
            after
        };
        is_word_boundary(before.chars().next_back()) && is_word_boundary(after.chars().next())
    })
}

fn suggest_names(rows: &[HardwareRow], name: &str) -> Vec<String> {
    let words: Vec<&str> = name.split(' ').filter(|word| !IGNORED_WORDS.contains(word)).collect();
    let name = words.join(" ");
    if name.is_empty() || name.len() > MAX_NAME_LEN {
        return Vec::new();
    }
    let distance = |row: &HardwareRow| {
        row.driver_names()
            .chain([normalize(&row.name)])
            .map(|known| strsim::osa_distance(&name, &known))
            .min()
    };
    let max_distance = 1 + name.chars().count() / 4;
    let near = rows
        .iter()
        .filter_map(|row| Some((distance(row)?, row)))
        .filter(|(distance, _)| *distance <= max_distance);
    let mut near: Vec<(usize, &str)> = near.map(|(distance, row)| (distance, row.name.as_str())).collect();
    near.sort_unstable();
    near.into_iter().take(MAX_SUGGESTIONS).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::super::table::read_rows;
    use super::*;

    fn found_name(text: &str) -> Result<String, AcceleratorError> {
        find_row(&read_rows(), text).map(|row| row.name.clone())
    }

    #[test]
    fn rows_are_found_by_name() {
        for row in &read_rows() {
            assert_eq!(found_name(&row.name).as_deref(), Ok(&*row.name));
            for part in row.driver_names() {
                assert_eq!(found_name(&part).as_deref(), Ok(&*row.name), "{part}");
            }
        }
    }

    /// The names on the left are those that NVML and other drivers report.
    #[test]
    fn driver_names_are_found() {
        for (driver, expected) in [
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
            assert_eq!(found_name(driver).as_deref(), Ok(expected), "{driver}");
        }
    }

    #[test]
    fn partial_name_lists_candidates() {
        let candidates = |text| match found_name(text) {
            Err(AcceleratorError::Ambiguous { candidates, .. }) => candidates,
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
        let error = found_name("A100-80GB").unwrap_err().to_string();
        assert_eq!(
            error,
            "ambiguous hardware `A100-80GB`: use one of the names A100 SXM4 80GB, A100 PCIe 80GB"
        );
    }

    #[test]
    fn unknown_name_suggests_nearest_names() {
        assert!(found_name("RTX 4909").unwrap_err().to_string().contains("RTX 4090"));
        for unknown in ["", "Voodoo2", "A1000", "Gaudi4", "A30X", "H100 S"] {
            assert!(
                matches!(found_name(unknown), Err(AcceleratorError::Unknown { .. })),
                "{unknown}: {:?}",
                found_name(unknown)
            );
        }
    }
}
