//! The name of a repository.

use std::fmt;

use crate::error::PublishError;

/// The most characters that the Hub allows, the slash included.
const LONGEST: usize = 96;

/// `owner/name`, by the Hub's rules.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct RepositoryName {
    pub(crate) owner: String,
    pub(crate) name: String,
}

impl RepositoryName {
    pub(crate) fn parse(given: &str) -> Result<Self, PublishError> {
        let parts = given.split_once('/').filter(|(owner, name)| is_part(owner) && is_part(name));
        match parts {
            Some((owner, name)) if given.len() <= LONGEST => {
                Ok(Self { owner: owner.to_owned(), name: name.to_owned() })
            }
            _ => Err(PublishError::Repository { given: given.to_owned() }),
        }
    }
}

impl fmt::Display for RepositoryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.owner, self.name)
    }
}

/// ASCII letters, digits, `-`, `_` and `.`, neither `-` nor `.` at an end, and no `--` or `..`.
fn is_part(part: &str) -> bool {
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
    fn an_owner_and_a_name() {
        let name = RepositoryName::parse("Me_2/digits-v1.0").unwrap();
        assert_eq!((name.owner.as_str(), name.name.as_str()), ("Me_2", "digits-v1.0"));
        assert_eq!(name.to_string(), "Me_2/digits-v1.0");
    }

    #[test]
    fn anything_else_is_refused_with_what_was_given() {
        let long = format!("me/{}", "x".repeat(94));
        for given in
            ["digits", "", "/", "me/", "/digits", "a/b/c", "./me", "../x", "me/di gits", "m--e/x", &long]
        {
            let error = RepositoryName::parse(given).unwrap_err();
            assert!(error.to_string().contains(&format!("`{given}`")), "{error}");
        }
    }
}
