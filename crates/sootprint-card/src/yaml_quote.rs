//! Quotes texts so that all YAML versions read them alike: in double quotes, with the escapes of JSON.

use std::fmt::Write as _;

/// The text in double quotes, read alike by YAML 1.1, YAML 1.2 and JSON.
///
/// Parsers disagree about plain and single-quoted texts such as `no`, `12:30`, `2026-11-23` and NEL. Non-ASCII characters
/// are not escaped, except those that some parser rejects or treats as a line break. All of these are below U+10000, so
/// no surrogate pair is written, which YAML does not support.
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
            // Control characters, other line breaks, the byte order mark, and characters that YAML calls unprintable.
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{2028}'
            | '\u{2029}'
            | '\u{feff}'
            | '\u{fffe}'
            | '\u{ffff}' => {
                // Writing to a String cannot fail.
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

    /// Texts that some parser misreads if they are plain or quoted incorrectly.
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
