//! Why a card could not be read or written, with the place in it and the next step.

use std::fmt;
use std::path::{Path, PathBuf};

/// Why a card could not be read or written. The file is then as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// A problem of the card in this file.
    #[error("{}: {problem}", path.display())]
    InFile {
        /// The file that was opened.
        path: PathBuf,
        /// What is wrong in it.
        #[source]
        problem: Box<CardError>,
    },
    /// The system could not read or write the file.
    #[error("cannot read or write {}: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// Somebody else has been writing a card in the same folder for longer than that takes.
    #[error("another program holds the folder of {} locked; wait for it or end it, and try again", path.display())]
    Locked {
        /// The card.
        path: PathBuf,
    },
    /// The file is not UTF-8, which is all that the Hub reads.
    #[error("{at}: byte {offset} is not UTF-8; save the card as UTF-8 and try again")]
    NotUtf8 {
        /// The first character that is not UTF-8.
        at: Position,
        /// Bytes before it.
        offset: usize,
    },
    /// Lines end in a bare carriage return. The Hub sees no front matter in such a card.
    #[error(
        "{at}: a line ends in a bare carriage return, which the Hub does not read; save it with LF or CRLF"
    )]
    BareCarriageReturn {
        /// The first one.
        at: Position,
    },
    /// The opening `---` has blanks behind it, and so the Hub takes the front matter for a part of the body.
    #[error("{at}: the Hub sees no front matter because blanks follow this `---`; remove them")]
    BlanksAfterOpening {
        /// The first blank.
        at: Position,
    },
    /// The front matter is opened and never closed.
    #[error("{opening}: this `---` opens the front matter, and no line of `---` closes it; add one")]
    UnclosedFrontMatter {
        /// The opening `---`.
        opening: Position,
    },
    /// A tab where YAML wants blanks. Parsers disagree about it, so nothing is written on top of it.
    #[error("{at}: YAML allows no tab here; replace it by blanks")]
    UnexpectedTab {
        /// The tab.
        at: Position,
    },
    /// The front matter is not YAML.
    #[error("{at}: the front matter is not YAML: {reason}")]
    InvalidYaml {
        /// Where the parser stopped.
        at: Position,
        /// What the parser says.
        reason: String,
    },
    /// The front matter holds several YAML documents, or a `...` that ends the one.
    #[error("{at}: the YAML ends here, before the front matter does; remove this line")]
    MultipleDocuments {
        /// The end of the first document.
        at: Position,
    },
    /// The front matter is YAML, but not one `key: value` per line.
    #[error("{at}: the front matter is {found}; write it as one `key: value` per line")]
    NotAMapping {
        /// Where it begins.
        at: Position,
        /// What it is instead, with its article.
        found: &'static str,
    },
    /// A key stands twice in one mapping. Parsers disagree about which one counts.
    #[error("{second}: `{key}` stands here and at {first}; keep one of them")]
    DuplicateKey {
        /// The key.
        key: String,
        /// Its first place.
        first: Position,
        /// Its second place.
        second: Position,
    },
    /// Another key repeats (`*name`) what is anchored (`&name`) in the value that would be replaced.
    #[error("{anchor}: `{key}` anchors a value here that {alias} repeats; write it out there")]
    AnchorInUse {
        /// The key that would be written.
        key: &'static str,
        /// The anchor.
        anchor: Position,
        /// The alias that needs it.
        alias: Position,
    },
    /// The YAML is valid, but of a shape that cannot be changed without touching what is not ours.
    #[error("{at}: `{key}` cannot be written here without touching other values; {next_step}")]
    UnsupportedLayout {
        /// Where it is.
        at: Position,
        /// The key that would be written.
        key: &'static str,
        /// What to do about it.
        next_step: &'static str,
    },
    /// A mark of the region that this crate writes into the card's body has lost its other half, or stands twice.
    #[error(
        "{at}: `<!-- sootprint:begin -->` and `<!-- sootprint:end -->` belong together and stand once; remove what is \
         left of them"
    )]
    UnpairedMarkers {
        /// The mark that is alone, or too many.
        at: Position,
    },
    /// The card names no emissions that anybody could read as grams.
    #[error("{at}: no number of grams in `co2_eq_emissions`; write `emissions: 12.3`")]
    UnreadableEmissions {
        /// The value.
        at: Position,
    },
    /// A number that a card cannot carry: negative, infinite, no number, or beyond 10^16.
    #[error("`{key}: {value}` cannot be written: a card holds numbers from 0 to 1e16")]
    InvalidAmount {
        /// The key.
        key: &'static str,
        /// The number.
        value: f64,
    },
    /// The picture could not be drawn.
    #[error("the picture of the run's power cannot be drawn: {source}; write the card without it")]
    Plot {
        /// What the drawing says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// Nothing was measured or modelled, so there is nothing to write.
    #[error(
        "the footprint has no component with a figure, so there is nothing to write; see `sootprint doctor`"
    )]
    NotMeasured,
}

impl CardError {
    /// The problem itself, without the file in which it was found.
    ///
    /// Match on this: what [`ModelCard::open`](crate::ModelCard::open) returns is wrapped in [`CardError::InFile`].
    #[must_use]
    pub fn without_path(&self) -> &Self {
        match self {
            Self::InFile { problem, .. } => problem.without_path(),
            problem => problem,
        }
    }

    pub(crate) fn io(path: &Path, source: std::io::Error) -> Self {
        Self::Io { path: path.to_owned(), source }
    }

    /// Names the file, unless the error does so already.
    pub(crate) fn with_path(self, path: &Path) -> Self {
        match self {
            Self::InFile { .. }
            | Self::Io { .. }
            | Self::Locked { .. }
            | Self::NotMeasured
            | Self::InvalidAmount { .. } => self,
            problem => Self::InFile { path: path.to_owned(), problem: Box::new(problem) },
        }
    }
}

/// A place in the card's text: both numbers from 1, columns in characters, a byte order mark not counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The character in the line.
    pub column: usize,
}

impl Position {
    /// The place of the byte at `offset`; beyond the end it is the end.
    pub(crate) fn at_offset(text: &str, offset: usize) -> Self {
        let before = text.get(..offset).unwrap_or(text);
        let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
        Self {
            line: before.matches('\n').count() + 1,
            column: before[line_start..].trim_start_matches('\u{feff}').chars().count() + 1,
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}, column {}", self.line, self.column)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_is_one_based() {
        let text = "\u{feff}aé\r\nxyz";
        let read = |offset| {
            let Position { line, column } = Position::at_offset(text, offset);
            (line, column)
        };
        assert_eq!(read(3), (1, 1));
        assert_eq!(read(text.find('x').unwrap()), (2, 1));
        assert_eq!(read(text.find('z').unwrap()), (2, 3));
        assert_eq!(read(1_000), (2, 4));
    }

    #[test]
    fn error_starts_with_file_path() {
        let problem = CardError::UnexpectedTab { at: Position { line: 3, column: 5 } };
        let error = problem.with_path(Path::new("digits/README.md"));
        assert_eq!(
            error.to_string(),
            "digits/README.md: line 3, column 5: YAML allows no tab here; replace it by blanks"
        );
        assert!(matches!(error.without_path(), CardError::UnexpectedTab { .. }));
    }
}
