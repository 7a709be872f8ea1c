//! Text for terminals of 80 columns, in two columns: a title, and what it says.

/// Lines of at most this many characters, as terminals and mails have them.
pub(crate) const TERMINAL_WIDTH: usize = 80;

/// A title and its text, broken between words; further lines begin under the first.
///
/// `column` is where the text begins. A word that is longer than the line stays whole.
pub(crate) fn wrap_titled(title: &str, column: usize, text: &str) -> String {
    let mut lines = format!("{title:<column$}");
    let mut position = column;
    if title.chars().count() >= column {
        lines += &format!("\n{:column$}", "");
    }
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && position + 1 + length > TERMINAL_WIDTH {
            lines += &format!("\n{:column$}", "");
            position = column;
        } else if index > 0 {
            lines.push(' ');
            position += 1;
        }
        lines += word;
        position += length;
    }
    let end = lines.trim_end().len();
    lines.truncate(end);
    lines.push('\n');
    lines
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
