//! A model card: its text and its parsed front matter.

use std::path::Path;

use sootprint_core::file::read_bytes;

use crate::error::{CardError, Position};
use crate::front_matter::{self, FrontMatterSpan};
use crate::python_yaml;
use crate::yaml::YamlDocument;

/// A parsed model card: a Markdown text, usually with YAML front matter.
///
/// A card is immutable: an edit returns a new card, or an error.
///
/// ```
/// use sootprint_core::Co2e;
/// use sootprint_card::{EmissionsBlock, ModelCard};
///
/// let card = ModelCard::parse("---\nlicense: mit  # ours\n---\n# Digits\n")?;
/// let card = card.with_emissions(&EmissionsBlock::new(Co2e::from_grams(12.3)))?;
/// assert_eq!(
///     card.text(),
///     "---\nlicense: mit  # ours\nco2_eq_emissions:\n  emissions: 12.3\n---\n# Digits\n"
/// );
/// # Ok::<(), sootprint_card::CardError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct ModelCard {
    text: String,
    front_matter: Option<FrontMatter>,
}

/// The front matter of a card: its position and its parsed YAML.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FrontMatter {
    pub(crate) span: FrontMatterSpan,
    pub(crate) document: YamlDocument,
}

impl ModelCard {
    /// The length in bytes of the longest card that is read from a file, far above any card of the Hub.
    pub const MAX_LEN: u64 = 64 << 20;

    /// Parses the text of a card. A text without front matter is valid, and so is an empty text.
    ///
    /// # Errors
    /// A [`CardError`] with line and column if the Hub would not find the front matter, if its parsers would reject
    /// it or disagree about its content, or if it is not a mapping with one key per line.
    pub fn parse(text: impl Into<String>) -> Result<Self, CardError> {
        let text = text.into();
        let front_matter = match front_matter::locate(&text)? {
            Some(span) => {
                let document = YamlDocument::parse(&text, span.yaml.clone())?;
                python_yaml::check(&text, span.yaml.clone(), &document)?;
                Some(FrontMatter { span, document })
            }
            None => None,
        };
        Ok(Self { text, front_matter })
    }

    /// Reads and parses the card at `path`.
    ///
    /// # Errors
    /// [`CardError::Io`] if the file cannot be read, is longer than [`ModelCard::MAX_LEN`] or is not a regular file;
    /// [`CardError::InFile`] with the problem if the card cannot be parsed.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CardError> {
        let path = path.as_ref();
        let bytes = read_bytes(path, Self::MAX_LEN).map_err(|source| CardError::io(path, source))?;
        Self::from_bytes(bytes).map_err(|error| error.with_path(path))
    }

    /// Parses the bytes of a card.
    ///
    /// # Errors
    /// [`CardError::NotUtf8`] if the bytes are not UTF-8, otherwise the errors of [`ModelCard::parse`].
    pub fn from_bytes(bytes: Vec<u8>) -> Result<Self, CardError> {
        let text = String::from_utf8(bytes).map_err(|error| {
            let offset = error.utf8_error().valid_up_to();
            CardError::NotUtf8 {
                at: Position::at_offset(&String::from_utf8_lossy(error.as_bytes()), offset),
                offset,
            }
        })?;
        Self::parse(text)
    }

    /// The whole text of the card.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Consumes the card and returns its whole text.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// The text of a key; `None` if the key is missing or its value is not a scalar.
    pub(crate) fn key_text(&self, key: &str) -> Option<&str> {
        let document = &self.front_matter()?.document;
        document.scalar_text(document.resolve_alias(document.find_entry(key)?.value))
    }

    pub(crate) fn front_matter(&self) -> Option<&FrontMatter> {
        self.front_matter.as_ref()
    }

    /// Whether the front matter has this key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.front_matter().is_some_and(|front| front.document.find_entry(key).is_some())
    }

    /// The text below the front matter; without front matter, the whole text except a byte order mark.
    pub(crate) fn body(&self) -> &str {
        match &self.front_matter {
            Some(front) => &self.text[front.span.full.end..],
            None => self.text.strip_prefix('\u{feff}').unwrap_or(&self.text),
        }
    }

    /// The card with a text that differs only in the body. The front matter is not parsed again.
    pub(crate) fn with_edited_body(&self, text: String) -> Self {
        let mut front_matter = self.front_matter.clone();
        if let Some(FrontMatter { span, .. }) = &mut front_matter
            && !text[..span.full.end].ends_with('\n')
        {
            // The closing `---` ended the file, and the edit added its line break.
            span.full.end += ["\r\n", "\n"]
                .iter()
                .find(|it| text[span.full.end..].starts_with(**it))
                .map_or(0, |it| it.len());
        }
        Self { text, front_matter }
    }

    /// The position of a key; the start of the card if the key is missing.
    pub(crate) fn key_position(&self, key: &str) -> Position {
        let node = self
            .front_matter()
            .and_then(|front| front.document.nodes.get(front.document.find_entry(key)?.key));
        Position::at_offset(&self.text, node.map_or(0, |node| node.span.start))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn non_utf8_file_is_rejected() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("README.md");
        fs::write(&path, b"---\nauthor: Ren\xe9\n---\n").unwrap();
        let error = ModelCard::open(&path).unwrap_err();
        assert!(matches!(error.without_path(), CardError::NotUtf8 { offset: 15, .. }), "{error}");
        assert!(error.to_string().contains(": line 2, column 12: byte 15 is"), "{error}");
        assert!(error.to_string().starts_with(&path.display().to_string()), "{error}");
    }

    #[test]
    fn missing_file_is_named_in_error() {
        let error = ModelCard::open("nowhere/README.md").unwrap_err();
        assert_eq!(error.to_string(), "cannot read or write nowhere/README.md");
    }

    #[test]
    fn error_line_counts_from_file_start() {
        let error = ModelCard::parse("\u{feff}\n---\na: 1\na: 2\n---\n").unwrap_err().to_string();
        assert_eq!(error, "line 4, column 1: duplicate key `a` (first defined at line 3, column 1)");
    }
}
