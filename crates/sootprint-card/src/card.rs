//! A model card: its text, and what stands in its front matter.

use std::fs;
use std::path::Path;

use crate::emissions_block::{EMISSIONS_KEY, EmissionsBlock};
use crate::error::{CardError, Position};
use crate::front_matter::{self, FrontMatterSpan};
use crate::text::double_quote;
use crate::yaml::YamlDocument;
use crate::{emissions, keys, managed_section, splice};

/// The key under which the Hub looks for the model that was fine-tuned.
pub(crate) const BASE_MODEL_KEY: &str = "base_model";

/// The key that says how the model came from it.
pub(crate) const BASE_MODEL_RELATION_KEY: &str = "base_model_relation";

/// A model card that was read and found sound: a Markdown text, most often with a front matter of YAML.
///
/// A card is never changed in place: an edit gives another card, or an error and no card.
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

/// A front matter and what its YAML says.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct FrontMatter {
    pub(crate) span: FrontMatterSpan,
    pub(crate) document: YamlDocument,
}

impl ModelCard {
    /// Reads and checks a card's text. A text without front matter is a card; an empty one is, too.
    ///
    /// # Errors
    /// Everything that keeps the Hub's parsers from reading the front matter, or that they read in different ways,
    /// with line and column.
    pub fn parse(text: impl Into<String>) -> Result<Self, CardError> {
        let text = text.into();
        let front_matter = match front_matter::locate(&text)? {
            Some(span) => {
                let document = YamlDocument::parse(&text, span.yaml.clone())?;
                Some(FrontMatter { span, document })
            }
            None => None,
        };
        Ok(Self { text, front_matter })
    }

    /// Reads and checks a card's file.
    ///
    /// # Errors
    /// [`CardError::Io`] when it cannot be read, else [`CardError::InFile`] with the problem.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, CardError> {
        let path = path.as_ref();
        let bytes = fs::read(path).map_err(|source| CardError::io(path, source))?;
        Self::from_bytes(bytes).map_err(|error| error.with_path(path))
    }

    /// Reads and checks a card that came as bytes.
    ///
    /// # Errors
    /// [`CardError::NotUtf8`] when they are not UTF-8, and those of [`ModelCard::parse`].
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

    /// The whole text of the card, given away.
    #[must_use]
    pub fn into_text(self) -> String {
        self.text
    }

    /// The emissions that the card names; none when it names none.
    ///
    /// It may name them as a number, as a text with a unit (`17g`) or as a mapping. Of a text the first number
    /// counts, as it does for the Hub's own filter, which knows no units: `0.5 kg` is read as half a gram, since the
    /// Hub documents the value to be in grams.
    ///
    /// # Errors
    /// [`CardError::UnreadableEmissions`] when there is a value without any number in it.
    pub fn emissions(&self) -> Result<Option<EmissionsBlock>, CardError> {
        emissions::parse_emissions(self)
    }

    /// The card with these emissions in place of those that it names, or as a new key.
    ///
    /// Only the value of `co2_eq_emissions` changes, and in it only the keys of [`EmissionsBlock`]: what else
    /// stands in the old value is kept, and so is a comment on the key's line. Writing the same block again changes
    /// nothing. A card without front matter gets one.
    ///
    /// # Errors
    /// [`CardError::InvalidAmount`] for a figure that a card cannot carry, [`CardError::AnchorInUse`] and
    /// [`CardError::UnsupportedLayout`] when the value cannot be changed without touching others.
    pub fn with_emissions(&self, block: &EmissionsBlock) -> Result<Self, CardError> {
        splice::with_emissions(self, block)
    }

    /// The card without `co2_eq_emissions` and without whatever stands in it.
    ///
    /// It undoes [`ModelCard::with_emissions`] on a card that had none. A front matter that holds nothing else goes,
    /// too, because the Hub takes an empty one and the text below it for YAML; a blank line is left in it where the
    /// text below begins like a front matter itself.
    ///
    /// # Errors
    /// [`CardError::AnchorInUse`] and [`CardError::UnsupportedLayout`], as [`ModelCard::with_emissions`].
    pub fn without_emissions(&self) -> Result<Self, CardError> {
        keys::without_key(self, EMISSIONS_KEY)
    }

    /// The card with this text for a key, unless it has the key already.
    pub(crate) fn with_key_if_absent(&self, key: &'static str, text: &str) -> Result<Self, CardError> {
        if self.has_key(key) { Ok(self.clone()) } else { keys::with_key(self, key, &double_quote(text)) }
    }

    /// The text of a key; none when it is not a scalar, or not there.
    pub(crate) fn key_text(&self, key: &str) -> Option<&str> {
        let document = &self.front_matter()?.document;
        document.scalar_text(document.resolve_alias(document.find_entry(key)?.value))
    }

    /// The card without the marked region in its body; the template's lines that were filled in are as before.
    ///
    /// # Errors
    /// [`CardError::UnpairedMarkers`] when a mark has lost its other half.
    pub fn without_section(&self) -> Result<Self, CardError> {
        managed_section::without_managed_section(self)
    }

    pub(crate) fn front_matter(&self) -> Option<&FrontMatter> {
        self.front_matter.as_ref()
    }

    /// Whether the front matter has this key.
    pub(crate) fn has_key(&self, key: &str) -> bool {
        self.front_matter().is_some_and(|front| front.document.find_entry(key).is_some())
    }

    /// What follows the front matter, or the whole text without its byte order mark.
    pub(crate) fn body(&self) -> &str {
        match &self.front_matter {
            Some(front) => &self.text[front.span.full.end..],
            None => self.text.strip_prefix('\u{feff}').unwrap_or(&self.text),
        }
    }

    /// Where a key stands; the card's first line when it has none.
    pub(crate) fn key_position(&self, key: &str) -> Position {
        let node = self
            .front_matter()
            .and_then(|front| front.document.nodes.get(front.document.find_entry(key)?.key));
        Position::at_offset(&self.text, node.map_or(0, |node| node.span.start))
    }

    /// Whether the emissions that the card names were written by this crate.
    pub(crate) fn has_generated_emissions(&self) -> bool {
        self.emissions().is_ok_and(|block| block.is_some_and(|block| block.is_generated()))
    }

    /// The emissions that somebody else wrote, in one line, for a log.
    pub(crate) fn foreign_emissions(&self) -> Option<String> {
        if self.has_generated_emissions() || !self.has_key(EMISSIONS_KEY) {
            None
        } else {
            splice::replaced_text(self, EMISSIONS_KEY)
        }
    }
}

#[cfg(test)]
mod tests {
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
        assert!(error.to_string().starts_with("cannot read or write nowhere/README.md: "), "{error}");
    }

    #[test]
    fn error_line_counts_from_file_start() {
        let error = ModelCard::parse("\u{feff}\n---\na: 1\na: 2\n---\n").unwrap_err().to_string();
        assert_eq!(error, "line 4, column 1: `a` stands here and at line 3, column 1; keep one of them");
    }
}
