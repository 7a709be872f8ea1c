//! Failures of the Hub's client: as text without the token, and as a kind that decides how to continue.

use std::error::Error;
use std::fmt;
use std::time::Duration;

use hf_hub::HFError;

use crate::token::HubToken;

/// An error of the Hub or its client, as text in which the token is replaced by `…`.
///
/// The client's own error is not kept, because its `Debug` output contains the token.
#[derive(Clone, PartialEq, Eq)]
pub struct RedactedError(String);

impl RedactedError {
    /// The whole chain of the error in one line.
    pub(crate) fn new(error: &dyn Error, token: &HubToken) -> Self {
        Self(error_chain(error).replace(token.expose(), "…"))
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

/// The operation during which a request to the Hub failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum HubOperation {
    /// Looking up the repository and its newest commit.
    FindRepository,
    /// Creating the repository.
    CreateRepository,
    /// Creating the branch.
    CreateBranch,
    /// Reading the card.
    ReadCard,
    /// Uploading the files and creating the commit.
    Commit,
    /// Searching for the commit of this or an earlier push, or for its pull request.
    SearchCommits,
    /// Verifying the files of the commit.
    VerifyFiles,
}

impl fmt::Display for HubOperation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FindRepository => "looking up",
            Self::CreateRepository => "creating",
            Self::CreateBranch => "creating a branch of",
            Self::ReadCard => "reading",
            Self::Commit => "committing to",
            Self::SearchCommits => "searching the commits of",
            Self::VerifyFiles => "verifying",
        })
    }
}

/// The kind of a failure.
pub(crate) enum HubFailureKind {
    Unauthorized,
    Forbidden,
    Conflict,
    /// More files than the Hub takes in one request.
    TooManyFiles,
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
            HFError::Forbidden { context, .. }
                if is_about_access(context.server_message.as_deref().unwrap_or_default()) =>
            {
                Self::Forbidden
            }
            HFError::Http { context } if context.status == 413 && context.url.contains("/preupload/") => {
                Self::TooManyFiles
            }
            // 412: the parent of the commit is not the head of the branch.
            HFError::Http { context } if context.status == 412 => Self::Conflict,
            HFError::Http { context } if context.status.is_server_error() => Self::Unavailable,
            HFError::Conflict { .. } => Self::Conflict,
            HFError::RateLimited { retry_after, .. } => Self::RateLimited(*retry_after),
            // A truncated response counts as no answer; one that is not JSON comes from a server that is no Hub.
            HFError::Request { source, .. } if has_json_error(source) => Self::UnexpectedResponse,
            HFError::Request { .. } => Self::Unreachable,
            HFError::Json(_) | HFError::MalformedResponse { .. } => Self::UnexpectedResponse,
            HFError::Xet { .. } | HFError::Io(_) => Self::Upload,
            _ => Self::Refused,
        }
    }
}

/// The messages of an error and its causes in one line. Foreign errors may repeat their cause; it is shown once.
pub(crate) fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let message = error.to_string();
        if !text.contains(&message) {
            text = format!("{text}: {message}");
        }
        cause = error.source();
    }
    text
}

/// Whether the message of a 403 is about the token and its permissions, rather than another reason such as a quota.
pub(crate) fn is_about_access(message: &str) -> bool {
    const ACCESS_WORDS: [&str; 9] =
        ["token", "permission", "rights", "access", "authori", "role", "credential", "login", "log in"];

    let message = message.to_lowercase();
    let is_reason = ["gated", "disabled", "quota", "storage"].iter().any(|word| message.contains(word));
    let is_bare = message.trim().is_empty() || message.trim() == "forbidden";
    is_bare || !is_reason && ACCESS_WORDS.iter().any(|word| message.contains(word))
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
    fn reasons_are_told_from_missing_permissions() {
        for message in [
            "",
            "Forbidden",
            "Forbidden: you must use a write token to upload to a repository.",
            "You don't have the rights to create a model under the namespace \"org\"",
            "Authorization error.",
        ] {
            assert!(is_about_access(message), "{message}");
        }
        for message in [
            "Private repository storage limit reached, please upgrade your plan to increase your private storage limit.",
            "org forbids the creation of public models",
            "Access to this repository is disabled",
            "Your push was rejected because a file name matches a forbidden pattern",
            "Access to model me/digits is gated. You are not in the authorized list.",
        ] {
            assert!(!is_about_access(message), "{message}");
        }
    }

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
