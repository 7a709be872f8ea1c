//! Text for terminals of 80 columns, in two columns: a title, and what it says.

/// Lines of at most this many characters, as terminals and mails have them.
pub(crate) const WIDTH: usize = 80;

/// A title and its text, broken between words; further lines begin under the first.
///
/// `column` is where the text begins. A word that is longer than the line stays whole.
pub(crate) fn paragraph(title: &str, column: usize, text: &str) -> String {
    let mut lines = format!("{title:<column$}");
    let mut at = column;
    if title.chars().count() >= column {
        lines += &format!("\n{:column$}", "");
    }
    for (index, word) in text.split_whitespace().enumerate() {
        let length = word.chars().count();
        if index > 0 && at + 1 + length > WIDTH {
            lines += &format!("\n{:column$}", "");
            at = column;
        } else if index > 0 {
            lines.push(' ');
            at += 1;
        }
        lines += word;
        at += length;
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
    fn words_are_kept_whole_and_lines_short() {
        let text = paragraph("  place", 13, &"word ".repeat(30));
        assert!(text.starts_with("  place      word word"), "{text}");
        assert!(text.lines().all(|line| line.len() <= WIDTH), "{text}");
        assert!(text.lines().skip(1).all(|line| line.starts_with(&" ".repeat(13))), "{text}");
        assert_eq!(paragraph("", 2, "a b"), "  a b\n");
        assert_eq!(paragraph("title", 8, ""), "title\n");
        assert_eq!(paragraph("a longer title", 8, "text"), "a longer title\n        text\n");
        let long = "x".repeat(100);
        assert_eq!(paragraph("a", 2, &format!("b {long}")), format!("a b\n  {long}\n"));
    }
}
