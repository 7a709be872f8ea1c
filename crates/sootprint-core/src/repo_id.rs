//! The id of a repository on the Hugging Face Hub.

use std::fmt;
use std::str::FromStr;

/// Maximum length on the Hub, including the slash.
const MAX_LEN: usize = 96;

/// Words that stand where an owner does in addresses of the Hub.
const RESERVED_OWNERS: [&str; 3] = ["datasets", "models", "spaces"];

/// The id of a repository on the Hugging Face Hub, `owner/name`.
///
/// The rules are those of the Hub: ASCII letters, digits, `-`, `_` and `.`; no `-` or `.` at the start or end of owner
/// and name; no `--` and no `..`; no `.git` at the end; at most 96 characters. `datasets`, `models` and `spaces` are not
/// owners, but parts of the Hub's addresses.
///
/// ```
/// use sootprint_core::RepoId;
///
/// let repo: RepoId = "me/digits".parse()?;
/// assert_eq!((repo.owner(), repo.name()), ("me", "digits"));
/// assert!("../digits".parse::<RepoId>().is_err());
/// # Ok::<(), sootprint_core::RepoIdError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RepoId {
    owner: String,
    name: String,
}

impl RepoId {
    /// The owner of the repository: a user or an organisation.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// The name of the repository, without the owner.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for RepoId {
    type Err = RepoIdError;

    fn from_str(input: &str) -> Result<Self, RepoIdError> {
        match input.split_once('/') {
            Some((owner, name))
                if input.len() <= MAX_LEN
                    && is_valid_segment(owner)
                    && is_valid_segment(name)
                    && !RESERVED_OWNERS.iter().any(|reserved| owner.eq_ignore_ascii_case(reserved)) =>
            {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(RepoIdError { input: input.to_owned() }),
        }
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// An input that is not a repository id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invalid repository `{input}`: expected `owner/name`, as in `me/digits`")]
pub struct RepoIdError {
    input: String,
}

fn is_valid_segment(part: &str) -> bool {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !part.is_empty()
        && part.chars().all(is_allowed)
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
        && !part.to_ascii_lowercase().ends_with(".git")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_name_are_parsed() {
        let repo: RepoId = "Me_2/digits-v1.0".parse().unwrap();
        assert_eq!((repo.owner(), repo.name()), ("Me_2", "digits-v1.0"));
        assert_eq!(repo.to_string(), "Me_2/digits-v1.0");
    }

    #[test]
    fn invalid_repo_id_is_quoted() {
        let long = format!("me/{}", "x".repeat(94));
        let inputs =
            ["digits", "", "/", "me/", "/digits", "a/b/c", "./me", "../x", "me/di gits", "m--e/x", &long];
        for input in inputs.into_iter().chain(["datasets/x", "Spaces/x", "models/x", "me/x.git", "me/x.GIT"])
        {
            let error = input.parse::<RepoId>().unwrap_err().to_string();
            assert!(error.contains(&format!("`{input}`")), "{error}");
        }
    }
}
