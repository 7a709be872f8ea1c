//! Texts as every YAML dialect reads them: double-quoted, with JSON's escapes.

use std::fmt::Write as _;

/// A text in double quotes that YAML 1.1, YAML 1.2 and JSON read alike.
///
/// Plain and single-quoted texts are read in as many ways as there are parsers: `no`, `12:30`, `2026-11-23`, NEL.
/// What is not ASCII stands as it is, except for characters that some parser takes for a line break or refuses.
/// Those are escaped; all of them lie below U+10000, so no surrogate pair is ever written, which YAML has not.
pub(crate) fn double_quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for character in text.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\r' => quoted.push_str("\\r"),
            '\t' => quoted.push_str("\\t"),
            // Controls, the other line breaks, the byte order mark and what YAML calls unprintable.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                // Writing to a String does not fail.
                let _ = write!(quoted, "\\u{:04x}", u32::from(character));
            }
            _ => quoted.push(character),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Texts that some parser reads as something else when they are not quoted, or quoted carelessly.
    const AMBIGUOUS_TEXTS: [&str; 46] = [
        "",
        " ",
        " a",
        "a ",
        "no",
        "NO",
        "on",
        "yes",
        "y",
        "~",
        "null",
        "true",
        "12:30",
        "12:30:45",
        "2026-11-23",
        "012",
        "0o14",
        "1_000",
        "1e-05",
        ".nan",
        "=",
        "<<",
        "a: b",
        "x:",
        "@x",
        "`x`",
        "%x",
        "- x",
        "*x",
        "!x",
        "&x",
        "#b",
        "a #b",
        "{a",
        "[a",
        "a\nb",
        "a\r\nb",
        "\t",
        "\u{7}",
        "\u{7f}",
        "\u{85}",
        "\u{2028}\u{2029}",
        "\u{feff}",
        "\\u0041 \"q\" /",
        "😀 é",
        "\u{fffe}\u{ffff}",
    ];

    fn assert_round_trips(text: &str) {
        let quoted = double_quote(text);
        assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text, "JSON, {quoted}");
        let yaml = format!("key: {quoted}\n");
        let read: std::collections::BTreeMap<String, String> = serde_yaml::from_str(&yaml).unwrap();
        assert_eq!(read["key"], text, "YAML, {quoted}");
        assert_eq!(quoted.lines().count(), 1, "{quoted}");
    }

    #[test]
    fn ambiguous_texts_round_trip() {
        AMBIGUOUS_TEXTS.into_iter().for_each(assert_round_trips);
    }

    #[test]
    fn non_ascii_is_not_escaped() {
        assert_eq!(double_quote("Québec \"😀\"\u{85}"), "\"Québec \\\"😀\\\"\\u0085\"");
    }

    proptest! {
        #[test]
        fn any_text_round_trips(text in any::<String>()) {
            assert_round_trips(&text);
        }
    }
}
