//! Where the Hub finds the front matter of a card, by its own grammar.

use std::ops::Range;

use crate::error::{CardError, Position};

/// The front matter's place in a card's text. All offsets are bytes of the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrontMatterSpan {
    /// From the opening `---` up to and with the line break of the closing one.
    pub(crate) full: Range<usize>,
    /// The YAML between the two lines, its last line break included. Empty when there is none.
    pub(crate) yaml: Range<usize>,
    /// The line break of the opening line.
    pub(crate) line_break: &'static str,
}

/// Finds the front matter. None when the card has none, and one may be put in front of it.
///
/// The Hub's grammar is `^(\s*---(?:\r\n|\r|\n))([\S\s]*?)((?:\r\n|\r|\n)---[ \t]*(\r\n|\n|$))`, and three things
/// of it surprise. An empty block, two `---` one below the other, does not match, so that the Hub reads on to the
/// next rule of the body; here it is an empty front matter, which a written one mends. Blanks behind the
/// opening line hide the whole block. Bare carriage returns open a block and never close it.
///
/// # Errors
/// [`CardError::BareCarriageReturn`], [`CardError::BlanksAfterOpening`] and [`CardError::UnclosedFrontMatter`]: the author meant a front
/// matter that the Hub does not see, and a second one in front of it would hide it for good.
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

    let yaml_start = after_dashes_at + line_break.len();
    let Some(closing) = find_closing_line(text, yaml_start) else {
        return Err(CardError::UnclosedFrontMatter { opening: Position::at_offset(text, opening) });
    };
    let yaml = yaml_start..closing.start;
    if let Some(bare) = find_bare_carriage_return(&text[yaml.clone()]) {
        return Err(CardError::BareCarriageReturn { at: Position::at_offset(text, yaml.start + bare) });
    }
    Ok(Some(FrontMatterSpan { full: opening..closing.end, yaml, line_break }))
}

/// The line break that a card uses first; a line feed when it has none.
pub(crate) fn detect_line_break(text: &str) -> &'static str {
    match text.find('\n') {
        Some(newline) if text[..newline].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The first line from `from` on that is `---` and nothing but blanks, its line break included.
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

/// No front matter, unless nothing but bare carriage returns ends the lines.
fn no_front_matter(text: &str) -> Result<Option<FrontMatterSpan>, CardError> {
    match text.find('\r') {
        Some(at) if !text.contains('\n') => {
            Err(CardError::BareCarriageReturn { at: Position::at_offset(text, at) })
        }
        _ => Ok(None),
    }
}

/// A `---` with something behind it: blanks in front of a block that is closed later, or ordinary text.
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
    fn body_alone_has_no_front_matter() {
        for text in ["", "# Title\n", "--- x\n---\n", "----\n", "---", "--- \nrule\n", "a\rb\n"] {
            assert_eq!(yaml(text), None, "{text:?}");
        }
    }

    #[test]
    fn front_matter_unseen_by_hub_fails() {
        let refused = |text: &str| locate(text).unwrap_err().to_string();
        assert!(refused("\n---\na: 1\n").starts_with("line 2, column 1: this `---` opens"));
        assert!(refused("---\ra: 1\r---\r").starts_with("line 1, column 4: a line ends in a bare"));
        assert!(refused("# Title\rtext\r").starts_with("line 1, column 8: a line ends in a bare"));
        assert!(refused("---\na: 1\rb: 2\n---\n").starts_with("line 2, column 5: a line ends in a bare"));
        assert!(refused("--- \na: 1\n---\n").starts_with("line 1, column 4: the Hub sees no front matter"));
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
