//! What the Hub's client said: in a text that can be shown, and as a kind that can be acted on.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use hf_hub::HFError;

use crate::token::HubToken;

/// What the Hub or its client said, with the token blotted out.
///
/// It is a text and not the client's own error, because that one shows its whole state to `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedError(String);

impl RedactedError {
    /// The error and what caused it, in one line.
    pub(crate) fn new(error: &dyn Error, token: &HubToken) -> Self {
        let mut text = error.to_string();
        let mut cause = error.source();
        while let Some(error) = cause {
            let deeper = error.to_string();
            if !text.contains(&deeper) {
                text = format!("{text}: {deeper}");
            }
            cause = error.source();
        }
        Self(text.replace(token.expose(), "…"))
    }
}

impl fmt::Display for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RedactedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for RedactedError {}

/// What was being done when the Hub failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubOperation {
    /// Asking whether the repository is there, and for its newest commit.
    FindRepository,
    /// Creating the repository.
    CreateRepository,
    /// Reading the card.
    ReadCard,
    /// Uploading and committing.
    Commit,
    /// Looking for one of our own commits.
    SearchCommits,
    /// Looking at the commit's files.
    VerifyFiles,
}

impl fmt::Display for HubOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FindRepository => "looking for",
            Self::CreateRepository => "creating",
            Self::ReadCard => "reading",
            Self::Commit => "committing to",
            Self::SearchCommits => "looking through the commits of",
            Self::VerifyFiles => "checking",
        })
    }
}

/// Which kind of failure an error of the client is.
pub(crate) enum HubFailureKind {
    Unauthorized,
    Forbidden,
    Conflict,
    RateLimited(Option<Duration>),
    Unreachable,
    Unavailable,
    Upload,
    UnexpectedResponse,
    Refused,
}

impl HubFailureKind {
    pub(crate) fn from_hf_error(error: &HFError) -> Self {
        match error {
            HFError::AuthRequired { .. } => Self::Unauthorized,
            HFError::Forbidden { .. } => Self::Forbidden,
            // 412: the branch is not where the commit was to go on.
            HFError::Http { context } if context.status == 412 => Self::Conflict,
            HFError::Http { context } if context.status.is_server_error() => Self::Unavailable,
            HFError::Conflict { .. } => Self::Conflict,
            HFError::RateLimited { retry_after, .. } => Self::RateLimited(*retry_after),
            // An answer that was cut off is one that did not come; one that is no JSON is another server's.
            HFError::Request { source, .. } if has_json_error(source) => Self::UnexpectedResponse,
            HFError::Request { .. } => Self::Unreachable,
            HFError::Json(_) | HFError::MalformedResponse { .. } => Self::UnexpectedResponse,
            HFError::Xet { .. } | HFError::Io(_) => Self::Upload,
            _ => Self::Refused,
        }
    }
}

fn has_json_error(error: &(dyn Error + 'static)) -> bool {
    let mut cause = error.source();
    while let Some(error) = cause {
        if error.is::<serde_json::Error>() {
            return true;
        }
        cause = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    #[test]
    fn error_chain_shows_no_token() {
        #[derive(Debug, thiserror::Error)]
        #[error("refused (Bearer hf_secret)")]
        struct RefusedError(#[source] io::Error);

        let token = HubToken::new("hf_secret").unwrap();
        let cause = RedactedError::new(&RefusedError(io::Error::other("hf_secret is wrong")), &token);
        assert_eq!(cause.to_string(), "refused (Bearer …): … is wrong");
        assert!(!format!("{cause:?}").contains("hf_secret"));
    }
}
