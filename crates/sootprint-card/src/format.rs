//! Escapes and cleans texts for the body of a card.

/// Escapes a text for Markdown, in one line, so that it neither formats nor links anything.
pub(crate) fn escape_markdown(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in single_line(text).chars() {
        if matches!(character, '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '&' | '#' | '~' | '$') {
            escaped.push('\\');
        }
        escaped.push(character);
    }
    escaped
}

/// The text in one line: control characters and line breaks become spaces.
pub(crate) fn single_line(text: &str) -> String {
    let is_line_break =
        |character: char| character.is_control() || matches!(character, '\u{2028}' | '\u{2029}');
    text.split(is_line_break).map(str::trim).filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" ")
}

/// The text, unless it contains a local path, which must not be published.
pub(crate) fn without_paths(text: &str) -> Option<&str> {
    let is_path = |word: &str| {
        let word = word.trim_start_matches(['(', '"', '\'', '`', '[', '<']);
        ["/", "~", "./", "../", "\\", "file:"].iter().any(|start| word.starts_with(start))
            || word.contains(":\\")
    };
    (!text.split_whitespace().any(is_path)).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markdown_in_text_is_escaped() {
        assert_eq!(escape_markdown("a*b_c |\n<!-- x -->\t[y](z)"), r"a\*b\_c \| \<!-- x --\> \[y\](z)");
        assert_eq!(escape_markdown("Québec, (CC BY 4.0)"), "Québec, (CC BY 4.0)");
    }

    #[test]
    fn text_with_path_is_dropped() {
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
}
