//! The errors of reading and writing a card, each with its position in the card and the next step.

use std::fmt;
use std::path::{Path, PathBuf};

use crate::python_yaml_problem::PythonYamlProblem;

/// Why a card could not be read or written. The file is then unchanged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CardError {
    /// A problem in the card file at `path`. The message contains the message of `problem`, which is therefore not
    /// the error's source.
    #[error("{}: {problem}", path.display())]
    InFile {
        /// The path of the file that was opened.
        path: PathBuf,
        /// The problem in the card.
        problem: Box<CardError>,
    },
    /// The file cannot be read or written.
    #[error("cannot read or write {}", path.display())]
    Io {
        /// The path of the file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// Another process has held the lock on the card's folder for longer than writing a card takes.
    #[error("{} is locked by another process", path.display())]
    Locked {
        /// The path of the card.
        path: PathBuf,
    },
    /// The folder of the card does not exist.
    #[error("the folder {} does not exist; create it first", path.display())]
    MissingFolder {
        /// The path of the folder.
        path: PathBuf,
    },
    /// The file is read-only, so replacing it would ignore what its owner decided.
    #[error("{} is read-only; make it writable, or use `sootprint card write --force`", path.display())]
    ReadOnly {
        /// The path of the card.
        path: PathBuf,
    },
    /// The file is not UTF-8, the only encoding that the Hub reads.
    #[error("{at}: byte {offset} is not UTF-8; save the card as UTF-8")]
    NotUtf8 {
        /// The position of the first invalid character.
        at: Position,
        /// The number of bytes before the first invalid character.
        offset: usize,
    },
    /// A line ends with a bare carriage return. The Hub finds no front matter in such a card.
    #[error(
        "{at}: bare carriage return, which the Hub may not read as a line break; save the card with LF or CRLF"
    )]
    BareCarriageReturn {
        /// The position of the first bare carriage return.
        at: Position,
    },
    /// Blanks follow the opening `---`, so the Hub treats the front matter as part of the body.
    #[error("{at}: blanks after the opening `---` hide the front matter from the Hub; remove them")]
    BlanksAfterOpening {
        /// The position of the first blank.
        at: Position,
    },
    /// The front matter has no closing `---`.
    #[error("{opening}: front matter without a closing line of `---`; add one")]
    UnclosedFrontMatter {
        /// The position of the opening `---`.
        opening: Position,
    },
    /// A tab where YAML requires spaces. Parsers disagree about it, so the card is not edited.
    #[error("{at}: tab not allowed in YAML; replace it with spaces")]
    UnexpectedTab {
        /// The position of the tab.
        at: Position,
    },
    /// The front matter is not valid YAML.
    #[error("{at}: invalid YAML: {reason}{}", likely_fix(reason))]
    InvalidYaml {
        /// The position at which the parser stopped.
        at: Position,
        /// The message of the parser.
        reason: String,
    },
    /// Python's YAML parser, which the Hub's client uses, rejects the front matter.
    #[error("{at}: Python cannot read this card: {problem}")]
    NotReadByPython {
        /// The position of the problem.
        at: Position,
        /// What Python rejects, and how to change it.
        problem: PythonYamlProblem,
    },
    /// The front matter contains several YAML documents, or a `...` that ends the first one.
    #[error("{at}: this line ends the YAML document inside the front matter; remove it")]
    MultipleDocuments {
        /// The position at which the first document ends.
        at: Position,
    },
    /// The front matter is valid YAML, but does not have one `key: value` per line.
    #[error("{at}: expected one `key: value` per line, found {found}")]
    NotAMapping {
        /// The position at which the value starts.
        at: Position,
        /// The kind of value found in place of the mapping, with its article, as in `a list`.
        found: &'static str,
    },
    /// A key is defined twice in one mapping. Parsers disagree about which value counts.
    #[error("{second}: duplicate key `{key}` (first defined at {first})")]
    DuplicateKey {
        /// The key that is defined twice.
        key: String,
        /// The position of the first definition.
        first: Position,
        /// The position of the second definition.
        second: Position,
    },
    /// An alias (`*name`) refers to an anchor (`&name`) in the value that would be replaced.
    #[error("{anchor}: anchor in `{key}` is used by the alias at {alias}; replace the alias with its value")]
    AnchorInUse {
        /// The key that would be written.
        key: &'static str,
        /// The position of the anchor.
        anchor: Position,
        /// The position of the alias that refers to the anchor.
        alias: Position,
    },
    /// The YAML is valid, but its layout does not allow the edit without changing other values.
    #[error("{at}: cannot write `{key}` without changing other values; {next_step}")]
    UnsupportedLayout {
        /// The position of the key.
        at: Position,
        /// The key that would be written.
        key: &'static str,
        /// How to change the layout.
        next_step: &'static str,
    },
    /// A marker of the generated section has no counterpart, or there is more than one pair of markers.
    #[error("{at}: unmatched sootprint marker; remove it")]
    UnpairedMarkers {
        /// The position of the first marker that is not part of the pair.
        at: Position,
    },
    /// The emissions of the card contain no number.
    #[error("{at}: no number in `co2_eq_emissions`; write grams, as in `emissions: 12.3`")]
    UnreadableEmissions {
        /// The position of the value.
        at: Position,
    },
    /// A number that a card cannot hold: negative, infinite, NaN, or 1e16 and above.
    #[error("invalid amount `{key}: {value}`: must be between 0 and 1e16")]
    InvalidAmount {
        /// The key of the number.
        key: &'static str,
        /// The invalid number.
        value: f64,
    },
    /// The plot for the card could not be rendered.
    #[error("cannot create the plot for the card; write the card without a plot")]
    Plot {
        /// The error of the renderer.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The footprint contains no figures, so there is nothing to write.
    #[error("nothing to write: no component was measured or modelled; see `sootprint doctor`")]
    NotMeasured,
}

/// How to correct YAML that causes this message of the parser.
fn likely_fix(reason: &str) -> &'static str {
    const FIXES: [(&str, &str); 5] = [
        ("mapping values are not allowed", "; put a value that contains `: ` in quotes"),
        (
            "simple key expect",
            "; write one `key: value` per line, and put a value that contains `: ` in quotes",
        ),
        ("unexpected end", "; close the quotes or brackets that are open here"),
        ("end of stream", "; close the quotes or brackets that are open here"),
        ("cannot start any token", "; put a value that starts with `@`, `%` or a backtick in quotes"),
    ];
    FIXES.iter().find(|(part, _)| reason.contains(part)).map_or("", |(_, fix)| fix)
}

impl CardError {
    /// Returns the problem without the path of the file: the content of a [`CardError::InFile`], or else the error
    /// itself.
    ///
    /// Use this to match on errors of [`ModelCard::open`](crate::ModelCard::open), which are wrapped in `InFile`.
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

    /// Adds the file, unless the error already has one or is not about the card.
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

/// A position in a card's text. Lines and columns start at 1; columns count characters, without a byte order mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[non_exhaustive]
pub struct Position {
    /// The line number.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
}

impl Position {
    /// The position of the byte at `offset`, or the end of the text if `offset` is beyond it.
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
            "digits/README.md: line 3, column 5: tab not allowed in YAML; replace it with spaces"
        );
        assert!(matches!(error.without_path(), CardError::UnexpectedTab { .. }));
    }
}
