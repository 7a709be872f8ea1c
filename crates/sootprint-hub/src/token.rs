//! The token, which is shown to nobody.

use std::fmt;

/// A token of the Hub. Its `Debug` shows nothing of it, and it has no `Display`.
#[derive(Clone, PartialEq, Eq)]
pub struct HubToken(String);

impl HubToken {
    /// A token from its text. Blanks and line breaks around it, which files and pipes leave there, do not belong to it.
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
    /// [`TokenError::Empty`] when nothing is left, [`TokenError::InvalidCharacters`] for what no header could carry.
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

    /// The token itself, for the one place that sends it and the one that blots it out.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for HubToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("HubToken(…)")
    }
}

/// Why a text is no token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TokenError {
    /// There is nothing but blanks.
    #[error("the token is empty")]
    Empty,
    /// It has blanks inside or letters that are not ASCII.
    #[error("the token has blanks or other characters that no token has; copy it again")]
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
