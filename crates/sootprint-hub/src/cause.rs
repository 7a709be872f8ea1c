//! What the Hub's client said: in a text that can be shown, and as a kind that can be acted on.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use hf_hub::HFError;

use crate::token::Token;

/// What the Hub or its client said, with the token blotted out.
///
/// It is a text and not the client's own error, because that one shows its whole state to `Debug`.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(String);

impl Cause {
    /// The error and what caused it, in one line.
    pub(crate) fn new(error: &dyn Error, token: &Token) -> Self {
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

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Error for Cause {}

/// What was being done when the Hub failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Doing {
    /// Asking whether the repository is there, and for its newest commit.
    LookingFor,
    /// Creating the repository.
    Creating,
    /// Reading the card.
    Reading,
    /// Uploading and committing.
    CommittingTo,
    /// Looking for one of our own commits.
    LookingThrough,
    /// Looking at the commit's files.
    Checking,
}

impl fmt::Display for Doing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::LookingFor => "looking for",
            Self::Creating => "creating",
            Self::Reading => "reading",
            Self::CommittingTo => "committing to",
            Self::LookingThrough => "looking through the commits of",
            Self::Checking => "checking",
        })
    }
}

/// Which kind of failure an error of the client is.
pub(crate) enum Failure {
    Unauthorized,
    Forbidden,
    Conflict,
    RateLimited(Option<Duration>),
    Unreachable,
    Unavailable,
    Upload,
    NoHub,
    Refused,
}

impl Failure {
    pub(crate) fn of(error: &HFError) -> Self {
        match error {
            HFError::AuthRequired { .. } => Self::Unauthorized,
            HFError::Forbidden { .. } => Self::Forbidden,
            // 412: the branch is not where the commit was to go on.
            HFError::Http { context } if context.status == 412 => Self::Conflict,
            HFError::Http { context } if context.status.is_server_error() => Self::Unavailable,
            HFError::Conflict { .. } => Self::Conflict,
            HFError::RateLimited { retry_after, .. } => Self::RateLimited(*retry_after),
            // An answer that was cut off is one that did not come; one that is no JSON is another server's.
            HFError::Request { source, .. } if has_json_error(source) => Self::NoHub,
            HFError::Request { .. } => Self::Unreachable,
            HFError::Json(_) | HFError::MalformedResponse { .. } => Self::NoHub,
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
    fn a_cause_tells_the_whole_chain_and_never_the_token() {
        #[derive(Debug, thiserror::Error)]
        #[error("refused (Bearer hf_secret)")]
        struct Outer(#[source] io::Error);

        let token = Token::new("hf_secret").unwrap();
        let cause = Cause::new(&Outer(io::Error::other("hf_secret is wrong")), &token);
        assert_eq!(cause.to_string(), "refused (Bearer …): … is wrong");
        assert!(!format!("{cause:?}").contains("hf_secret"));
    }
}
