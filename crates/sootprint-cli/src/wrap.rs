//! Text in two columns, a title and its text, for terminals of 80 columns.

use textwrap::{Options, WordSplitter};

/// The maximum line width, in columns.
const TERMINAL_WIDTH: usize = 80;

/// A title and its text, wrapped between words; the text starts at `column` on every line.
///
/// A title that does not fit its column gets a line of its own. A word longer than the line is not broken.
pub(crate) fn wrap_titled(title: &str, column: usize, text: &str) -> String {
    let indent = " ".repeat(column);
    let options = Options::new(TERMINAL_WIDTH)
        .initial_indent(&indent)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(WordSplitter::NoHyphenation);
    let words: Vec<&str> = text.split_whitespace().collect();
    let block = textwrap::fill(&words.join(" "), options);
    let titled = match block.strip_prefix(&indent) {
        Some(body) if title.chars().count() < column => format!("{title:<column$}{body}"),
        _ => format!("{title}\n{block}"),
    };
    titled.trim_end().to_owned() + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_wraps_between_words() {
        let text = wrap_titled("  place", 13, &"word ".repeat(30));
        assert!(text.starts_with("  place      word word"), "{text}");
        assert!(text.lines().all(|line| line.len() <= TERMINAL_WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with(&" ".repeat(13))), "{text}");
        assert_eq!(wrap_titled("", 2, "a b"), "  a b\n");
        assert_eq!(wrap_titled("title", 8, ""), "title\n");
        assert_eq!(wrap_titled("a longer title", 8, "text"), "a longer title\n        text\n");
        let long = "x".repeat(100);
        assert_eq!(wrap_titled("a", 2, &format!("b {long}")), format!("a b\n  {long}\n"));
    }
}
