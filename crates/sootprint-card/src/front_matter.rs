//! Locates the front matter of a card by the Hub's own grammar.

use std::ops::Range;

use crate::error::{CardError, Position};

/// The position of the front matter in a card's text, as byte offsets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrontMatterSpan {
    /// From the opening `---` to the closing one, including its line break.
    pub(crate) full: Range<usize>,
    /// The YAML between the two lines, including its last line break; may be empty.
    pub(crate) yaml: Range<usize>,
    /// The line break of the opening line.
    pub(crate) line_break: &'static str,
}

/// Locates the front matter; `None` if the card has none, so that one can be inserted.
///
/// The Hub's grammar is `^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))`, and three aspects
/// of it are surprising. Two adjacent lines of `---` do not match, so the Hub continues to the next rule in the
/// body; here they are an empty front matter, which writing a key corrects, unless a front matter follows them. Blanks after the opening `---` hide the whole
/// block. Bare carriage returns open a block, but never close it.
///
/// # Errors
/// [`CardError::BareCarriageReturn`], [`CardError::BlanksAfterOpening`] and [`CardError::UnclosedFrontMatter`]: the author
/// intended a front matter that the Hub does not find, and inserting a second one before it would hide it permanently.
pub(crate) fn locate(text: &str) -> Result<Option<FrontMatterSpan>, CardError> {
    let trimmed =
        text.trim_start_matches(|character: char| character.is_whitespace() || character == '\u{feff}');
    let opening = text.len() - trimmed.len();
    let Some(after_dashes) = trimmed.strip_prefix("---") else {
        return no_front_matter(text);
    };
    let after_dashes_at = opening + 3;
    let line_break = match after_dashes {
        _ if after_dashes.starts_with("\r\n") => "\r\n",
        _ if after_dashes.starts_with('\n') => "\n",
        _ if after_dashes.starts_with('\r') => {
            return Err(CardError::BareCarriageReturn { at: Position::at_offset(text, after_dashes_at) });
        }
        _ => return check_opening_blanks(text, after_dashes_at),
    };

    let mut yaml_start = after_dashes_at + line_break.len();
    let Some(mut closing) = find_closing_line(text, yaml_start) else {
        return match starts_with_key(&text[yaml_start..]) {
            true => Err(CardError::UnclosedFrontMatter { opening: Position::at_offset(text, opening) }),
            // A rule, and not a front matter.
            false => no_front_matter(text),
        };
    };
    // For the Hub, the second of two adjacent lines does not close the front matter, but starts the YAML document in it.
    if closing.start == yaml_start
        && starts_with_key(&text[closing.end..])
        && let Some(last) = find_closing_line(text, closing.end)
    {
        (yaml_start, closing) = (closing.end, last);
    }
    let yaml = yaml_start..closing.start;
    if let Some(bare) = find_bare_carriage_return(&text[yaml.clone()]) {
        return Err(CardError::BareCarriageReturn { at: Position::at_offset(text, yaml.start + bare) });
    }
    Ok(Some(FrontMatterSpan { full: opening..closing.end, yaml, line_break }))
}

/// Whether the first line that is neither blank nor a comment looks like `key: value`. A rule is followed by a blank line.
fn starts_with_key(text: &str) -> bool {
    let mut lines = text.lines().skip_while(|line| line.starts_with('#'));
    let Some((key, value)) = lines.next().and_then(|line| line.split_once(':')) else { return false };
    let is_key = |it: char| it.is_alphanumeric() || "_-.\"'".contains(it);
    !key.is_empty() && key.chars().all(is_key) && (value.is_empty() || value.starts_with([' ', '\r']))
}

/// The first line break in a text; a line feed if there is none.
pub(crate) fn detect_line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(newline) if text[..newline].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The first line from `from` on that consists of `---` and blanks, including its line break.
fn find_closing_line(text: &str, from: usize) -> Option<Range<usize>> {
    let mut start = from;
    for line in text[from..].split_inclusive('\n') {
        let content = line.strip_suffix("\r\n").or_else(|| line.strip_suffix('\n')).unwrap_or(line);
        let is_closing =
            content.strip_prefix("---").is_some_and(|rest| rest.trim_matches([' ', '\t']).is_empty());
        if is_closing {
            return Some(start..start + line.len());
        }
        start += line.len();
    }
    None
}

/// A card without front matter, or an error if all its line breaks are bare carriage returns.
fn no_front_matter(text: &str) -> Result<Option<FrontMatterSpan>, CardError> {
    match text.find('\r') {
        Some(at) if !text.contains('\n') => {
            Err(CardError::BareCarriageReturn { at: Position::at_offset(text, at) })
        }
        _ => Ok(None),
    }
}

/// Handles `---` that is followed by other characters: an error for blanks before a block that is closed later, otherwise
/// ordinary text.
fn check_opening_blanks(text: &str, after_dashes_at: usize) -> Result<Option<FrontMatterSpan>, CardError> {
    let (line, rest_at) = match text[after_dashes_at..].find('\n') {
        Some(newline) => (&text[after_dashes_at..after_dashes_at + newline], after_dashes_at + newline + 1),
        None => (&text[after_dashes_at..], text.len()),
    };
    if line.trim().is_empty() && find_closing_line(text, rest_at).is_some() {
        return Err(CardError::BlanksAfterOpening { at: Position::at_offset(text, after_dashes_at) });
    }
    no_front_matter(text)
}

fn find_bare_carriage_return(yaml: &str) -> Option<usize> {
    yaml.match_indices('\r').map(|(at, _)| at).find(|at| !yaml[at + 1..].starts_with('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Option<&str> {
        locate(text).unwrap().map(|front| &text[front.yaml])
    }

    #[test]
    fn yaml_lies_between_delimiters() {
        assert_eq!(yaml("---\na: 1\n---\nbody"), Some("a: 1\n"));
        assert_eq!(yaml("---\r\na: 1\r\n---\r\nbody"), Some("a: 1\r\n"));
        assert_eq!(yaml("\u{feff}---\na: 1\n---"), Some("a: 1\n"));
        assert_eq!(yaml("\n \n---\na: 1\n--- \t\n\n---\n"), Some("a: 1\n"));
        assert_eq!(yaml("---\n  ---\n---x\n---\n"), Some("  ---\n---x\n"));
    }

    #[test]
    fn adjacent_delimiters_are_empty_front_matter() {
        assert_eq!(yaml("---\n---\n# Title\n\n---\n"), Some(""));
        assert_eq!(yaml("---\r\n---\r\n"), Some(""));
        assert_eq!(yaml("---\n\n---\n"), Some("\n"));
    }

    #[test]
    fn doubled_opening_is_skipped() {
        assert_eq!(yaml("---\n---\nlicense: mit\n---\n# T\n"), Some("license: mit\n"));
        assert_eq!(yaml("---\r\n---\r\nlicense:\r\n- mit\r\n---\r\n"), Some("license:\r\n- mit\r\n"));
        assert_eq!(yaml("---\n---\nlicense: mit\n"), Some(""), "nothing closes it");
    }

    #[test]
    fn body_alone_has_no_front_matter() {
        for text in [
            "---\n\n# Title after a rule\n",
            "---\ntext\n",
            "---\nNote this: text\n",
            "",
            "# Title\n",
            "--- x\n---\n",
            "----\n",
            "---",
            "--- \nrule\n",
            "a\rb\n",
        ] {
            assert_eq!(yaml(text), None, "{text:?}");
        }
    }

    #[test]
    fn front_matter_unseen_by_hub_fails() {
        let refused = |text: &str| locate(text).unwrap_err().to_string();
        assert!(refused("\n---\na: 1\n").starts_with("line 2, column 1: front matter without"));
        assert!(refused("---\ra: 1\r---\r").starts_with("line 1, column 4: bare carriage return"));
        assert!(refused("# Title\rtext\r").starts_with("line 1, column 8: bare carriage return"));
        assert!(refused("---\na: 1\rb: 2\n---\n").starts_with("line 2, column 5: bare carriage return"));
        assert!(refused("--- \na: 1\n---\n").starts_with("line 1, column 4: blanks after the opening"));
    }

    #[test]
    fn line_break_follows_card() {
        assert_eq!(locate("---\r\na: 1\r\n---\n").unwrap().unwrap().line_break, "\r\n");
        assert_eq!(
            (detect_line_break("a\r\nb\n"), detect_line_break("a\nb\r\n"), detect_line_break("a")),
            ("\r\n", "\n", "\n")
        );
    }
}
