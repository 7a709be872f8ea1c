//! The name of a repository.

use std::fmt;

use crate::error::PushError;

/// The most characters that the Hub allows, the slash included.
const MAX_LEN: usize = 96;

/// `owner/name`, by the Hub's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepoId {
    pub(crate) owner: String,
    pub(crate) name: String,
}

impl RepoId {
    pub(crate) fn parse(input: &str) -> Result<Self, PushError> {
        let parts =
            input.split_once('/').filter(|(owner, name)| is_valid_segment(owner) && is_valid_segment(name));
        match parts {
            Some((owner, name)) if input.len() <= MAX_LEN => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(PushError::InvalidRepoId { input: input.to_owned() }),
        }
    }
}

impl fmt::Display for RepoId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// ASCII letters, digits, `-`, `_` and `.`, neither `-` nor `.` at an end, and no `--` or `..`.
fn is_valid_segment(part: &str) -> bool {
    let is_allowed = |letter: char| letter.is_ascii_alphanumeric() || matches!(letter, '-' | '_' | '.');
    !part.is_empty()
        && part.chars().all(is_allowed)
        && !part.starts_with(['-', '.'])
        && !part.ends_with(['-', '.'])
        && !part.contains("--")
        && !part.contains("..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_and_name_are_parsed() {
        let name = RepoId::parse("Me_2/digits-v1.0").unwrap();
        assert_eq!((name.owner.as_str(), name.name.as_str()), ("Me_2", "digits-v1.0"));
        assert_eq!(name.to_string(), "Me_2/digits-v1.0");
    }

    #[test]
    fn invalid_repo_id_is_quoted() {
        let long = format!("me/{}", "x".repeat(94));
        for given in
            ["digits", "", "/", "me/", "/digits", "a/b/c", "./me", "../x", "me/di gits", "m--e/x", &long]
        {
            let error = RepoId::parse(given).unwrap_err();
            assert!(error.to_string().contains(&format!("`{given}`")), "{error}");
        }
    }
}
