//! A Hub token that is never displayed.

use std::fmt;

/// A token of the Hub. `Debug` hides it, and there is no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct HubToken(String);

impl HubToken {
    /// Parses a token. Surrounding whitespace and all line breaks, which files and pipes may add, are removed.
    ///
    /// ```
    /// use sootprint_hub::HubToken;
    ///
    /// let token = HubToken::new("hf_secret\n")?;
    /// assert_eq!(format!("{token:?}"), "HubToken(…)");
    /// # Ok::<(), sootprint_hub::TokenError>(())
    /// ```
    ///
    /// # Errors
    /// [`TokenError::Empty`] if nothing remains; [`TokenError::InvalidCharacters`] if the rest contains spaces, control
    /// characters or characters that are not ASCII.
    pub fn new(text: &str) -> Result<Self, TokenError> {
        let text: String = text.trim().chars().filter(|letter| !matches!(letter, '\r' | '\n')).collect();
        if text.is_empty() {
            Err(TokenError::Empty)
        } else if text.chars().all(|letter| letter.is_ascii_graphic()) {
            Ok(Self(text))
        } else {
            Err(TokenError::InvalidCharacters)
        }
    }

    /// The token itself, for requests and for redaction only.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HubToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubToken(…)")
    }
}

/// Why a text is not a valid token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// The text is empty or whitespace.
    #[error("empty token")]
    Empty,
    /// The text contains spaces, control characters or characters that are not ASCII.
    #[error("the token contains spaces or other invalid characters; copy it again")]
    InvalidCharacters,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn invalid_header_text_is_refused() {
        assert_eq!(HubToken::new(" \r\n").unwrap_err(), TokenError::Empty);
        assert_eq!(HubToken::new("hf_a b").unwrap_err(), TokenError::InvalidCharacters);
        assert_eq!(HubToken::new("hf_é").unwrap_err(), TokenError::InvalidCharacters);
    }
}
