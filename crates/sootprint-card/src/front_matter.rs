//! Where the Hub finds the front matter of a card, by its own grammar.

use std::ops::Range;

use crate::error::{CardError, Position};

/// The front matter's place in a card's text. All offsets are bytes of the whole text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FrontMatter {
    /// From the opening `---` up to and with the line break of the closing one.
    pub(crate) block: Range<usize>,
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
/// [`CardError::CarriageReturn`], [`CardError::OpeningBlanks`] and [`CardError::Unclosed`]: the author meant a front
/// matter that the Hub does not see, and a second one in front of it would hide it for good.
pub(crate) fn locate(text: &str) -> Result<Option<FrontMatter>, CardError> {
    let trimmed =
        text.trim_start_matches(|character: char| character.is_whitespace() || character == '\u{feff}');
    let opening = text.len() - trimmed.len();
    let Some(behind) = trimmed.strip_prefix("---") else {
        return no_front_matter(text);
    };
    let behind_at = opening + 3;
    let line_break = match behind {
        _ if behind.starts_with("\r\n") => "\r\n",
        _ if behind.starts_with('\n') => "\n",
        _ if behind.starts_with('\r') => {
            return Err(CardError::CarriageReturn { at: Position::of(text, behind_at) });
        }
        _ => return blanks_behind(text, behind_at),
    };

    let yaml_start = behind_at + line_break.len();
    let Some(closing) = closing_line(text, yaml_start) else {
        return Err(CardError::Unclosed { opening: Position::of(text, opening) });
    };
    let yaml = yaml_start..closing.start;
    if let Some(bare) = bare_carriage_return(&text[yaml.clone()]) {
        return Err(CardError::CarriageReturn { at: Position::of(text, yaml.start + bare) });
    }
    Ok(Some(FrontMatter { block: opening..closing.end, yaml, line_break }))
}

/// The line break that a card uses first; a line feed when it has none.
pub(crate) fn line_break_of(text: &str) -> &'static str {
    match text.find('\n') {
        Some(newline) if text[..newline].ends_with('\r') => "\r\n",
        _ => "\n",
    }
}

/// The first line from `from` on that is `---` and nothing but blanks, its line break included.
fn closing_line(text: &str, from: usize) -> Option<Range<usize>> {
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
fn no_front_matter(text: &str) -> Result<Option<FrontMatter>, CardError> {
    match text.find('\r') {
        Some(at) if !text.contains('\n') => Err(CardError::CarriageReturn { at: Position::of(text, at) }),
        _ => Ok(None),
    }
}

/// A `---` with something behind it: blanks in front of a block that is closed later, or ordinary text.
fn blanks_behind(text: &str, behind_at: usize) -> Result<Option<FrontMatter>, CardError> {
    let (line, rest_at) = match text[behind_at..].find('\n') {
        Some(newline) => (&text[behind_at..behind_at + newline], behind_at + newline + 1),
        None => (&text[behind_at..], text.len()),
    };
    if line.trim().is_empty() && closing_line(text, rest_at).is_some() {
        return Err(CardError::OpeningBlanks { at: Position::of(text, behind_at) });
    }
    no_front_matter(text)
}

fn bare_carriage_return(yaml: &str) -> Option<usize> {
    yaml.match_indices('\r').map(|(at, _)| at).find(|at| !yaml[at + 1..].starts_with('\n'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn yaml(text: &str) -> Option<&str> {
        locate(text).unwrap().map(|front| &text[front.yaml])
    }

    #[test]
    fn the_yaml_lies_between_the_two_lines() {
        assert_eq!(yaml("---\na: 1\n---\nbody"), Some("a: 1\n"));
        assert_eq!(yaml("---\r\na: 1\r\n---\r\nbody"), Some("a: 1\r\n"));
        assert_eq!(yaml("\u{feff}---\na: 1\n---"), Some("a: 1\n"));
        assert_eq!(yaml("\n \n---\na: 1\n--- \t\n\n---\n"), Some("a: 1\n"));
        assert_eq!(yaml("---\n  ---\n---x\n---\n"), Some("  ---\n---x\n"));
    }

    #[test]
    fn two_lines_one_below_the_other_are_an_empty_front_matter() {
        assert_eq!(yaml("---\n---\n# Title\n\n---\n"), Some(""));
        assert_eq!(yaml("---\r\n---\r\n"), Some(""));
        assert_eq!(yaml("---\n\n---\n"), Some("\n"));
    }

    #[test]
    fn a_body_alone_has_none() {
        for text in ["", "# Title\n", "--- x\n---\n", "----\n", "---", "--- \nrule\n", "a\rb\n"] {
            assert_eq!(yaml(text), None, "{text:?}");
        }
    }

    #[test]
    fn what_the_hub_does_not_see_is_refused() {
        let refused = |text: &str| locate(text).unwrap_err().to_string();
        assert!(refused("\n---\na: 1\n").starts_with("line 2, column 1: this `---` opens"));
        assert!(refused("---\ra: 1\r---\r").starts_with("line 1, column 4: a line ends in a bare"));
        assert!(refused("# Title\rtext\r").starts_with("line 1, column 8: a line ends in a bare"));
        assert!(refused("---\na: 1\rb: 2\n---\n").starts_with("line 2, column 5: a line ends in a bare"));
        assert!(refused("--- \na: 1\n---\n").starts_with("line 1, column 4: the Hub sees no front matter"));
    }

    #[test]
    fn the_line_break_is_that_of_the_card() {
        assert_eq!(locate("---\r\na: 1\r\n---\n").unwrap().unwrap().line_break, "\r\n");
        assert_eq!(
            (line_break_of("a\r\nb\n"), line_break_of("a\nb\r\n"), line_break_of("a")),
            ("\r\n", "\n", "\n")
        );
    }
}
