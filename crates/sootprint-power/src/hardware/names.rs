//! Which accelerator a name means: as people write it, and as drivers do.

use super::{HardwareError, Row};

/// What a vendor calls its boards, which people leave out or not.
const FILLERS: [&str; 7] = ["nvidia", "amd", "intel", "google", "tesla", "geforce", "gpu"];

/// After a miss so many names are suggested at most.
const MOST_SUGGESTIONS: usize = 5;

/// Nobody types a device's name of more letters.
const LONGEST_NAME: usize = 80;

/// The row of that very name; else that with the longest part of a driver's name in it; else the only one that has all
/// of its words.
pub(super) fn find<'a>(rows: &'a [Row], name: &str) -> Result<&'a Row, HardwareError> {
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
pub(super) fn plain(name: &str) -> String {
    let letters: String = name
        .to_lowercase()
        .chars()
        .map(|letter| if letter.is_alphanumeric() || letter == '+' { letter } else { ' ' })
        .collect();
    letters.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::rows;
    use super::*;

    fn name(text: &str) -> Result<String, HardwareError> {
        find(&rows(), text).map(|row| row.name.clone())
    }

    #[test]
    fn every_row_is_found_by_its_names() {
        for row in &rows() {
            assert_eq!(name(&row.name).as_deref(), Ok(&*row.name));
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
    fn a_miss_suggests() {
        assert!(name("RTX 4909").unwrap_err().to_string().contains("RTX 4090"));
        for unknown in ["", "Voodoo2", "A1000", "Gaudi4", "A30X", "H100 S"] {
            assert!(
                matches!(name(unknown), Err(HardwareError::Unknown { .. })),
                "{unknown}: {:?}",
                name(unknown)
            );
        }
    }
}
