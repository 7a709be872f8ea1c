//! Figures and names as people read them in the card's body.

use sootprint::Kind;

use crate::number::plain_decimal;

/// A text of others in one line of Markdown, which neither formats nor links anything.
pub(crate) fn plain(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    for character in in_one_line(text).chars() {
        if matches!(character, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '&' | '#' | '~' | '$') {
            plain.push('\\');
        }
        plain.push(character);
    }
    plain
}

/// Whatever breaks a line becomes a blank.
pub(crate) fn in_one_line(text: &str) -> String {
    let breaks = |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    text.split(breaks).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The text, unless it names a file or folder of a machine: a card is no place for that.
pub(crate) fn without_paths(text: &str) -> Option<&str> {
    let is_path = |word: &str| {
        let word = word.trim_start_matches(['(', '"', '\'', '`', '[', '<']);
        ["/", "~", "./", "../", "\\", "file:"].iter().any(|start| word.starts_with(start))
            || word.contains(":\\")
    };
    (!text.split_whitespace().any(is_path)).then_some(text)
}

/// A number with three digits that count, as a plain decimal: `0.00131`, `1.5`, `96`, `1200`.
pub(crate) fn figure(value: f64) -> Option<String> {
    let magnitude = value.abs().log10().floor();
    let decimals = if magnitude.is_finite() { (2.0 - magnitude).clamp(0.0, 9.0) } else { 0.0 };
    // The cast is exact: a whole number from 0 to 9.
    plain_decimal(value, decimals as usize)
}

/// A time as people say it: seconds, minutes from two, hours from two.
pub(crate) fn duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7_200.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}

pub(crate) const fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::Gpu => "GPU",
        Kind::Cpu => "CPU",
        Kind::Memory => "memory",
        _ => "other hardware",
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn listed(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_of_others_format_nothing() {
        assert_eq!(plain("a*b_c |\n<!-- x -->\t[y](z)"), r"a\*b\_c \| \<!-- x --\> \[y\](z)");
        assert_eq!(plain("Québec, (CC BY 4.0)"), "Québec, (CC BY 4.0)");
    }

    #[test]
    fn a_text_with_a_path_is_not_shown() {
        for text in [
            "/home/a/x.csv",
            "from ~/x",
            "see (../x)",
            "C:\\x",
            "\\\\host\\x",
            "file:///x",
            "series \"/tmp/a\"",
        ] {
            assert_eq!(without_paths(text), None, "{text}");
        }
        for text in ["Ember (2025)", "g/kWh", "https://api.example.org/x", "given by the user"] {
            assert_eq!(without_paths(text), Some(text));
        }
    }

    #[test]
    fn figures_have_three_digits_that_count() {
        let cases = [
            (0.001_305_6, "0.00131"),
            (1.5, "1.5"),
            (96.0, "96"),
            (1_234.5, "1234"),
            (0.0, "0"),
            (99.99, "100"),
        ];
        for (value, wanted) in cases {
            assert_eq!(figure(value).unwrap(), wanted);
        }
        assert_eq!(figure(f64::NAN), None);
    }

    #[test]
    fn durations_and_lists_are_said_as_people_say_them() {
        assert_eq!([4.66, 1_800.0, 7_200.0].map(duration), ["4.7 s", "30.0 min", "2.0 h"]);
        let list = |parts: &[&str]| listed(&parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>());
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }
}
