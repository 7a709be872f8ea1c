//! The names that a branch can have.

use crate::error::PushError;

/// The name without `refs/heads/`.
///
/// # Errors
/// [`PushError::InvalidBranch`] for a name that git does not allow, and for the id of a commit.
/// <https://git-scm.com/docs/git-check-ref-format>
pub(crate) fn normalize_branch(name: &str) -> Result<String, PushError> {
    let branch = name.strip_prefix("refs/heads/").unwrap_or(name);
    let has_forbidden = branch.contains(|it: char| it.is_control() || " ~^:?*[\\".contains(it));
    let is_commit = branch.len() == 40 && branch.bytes().all(|byte| byte.is_ascii_hexdigit());
    let has_forbidden_part =
        branch.split('/').any(|part| part.is_empty() || part.starts_with('.') || part.ends_with(".lock"));
    let is_invalid = has_forbidden
        || is_commit
        || has_forbidden_part
        || branch.contains("..")
        || branch.contains("@{")
        || branch.ends_with('.')
        || branch.starts_with('-')
        || branch == "@";
    if is_invalid { Err(PushError::InvalidBranch { branch: name.to_owned() }) } else { Ok(branch.to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_follow_the_rules_of_git() {
        for (name, branch) in [
            ("main", "main"),
            ("refs/heads/zz", "zz"),
            ("feat#1", "feat#1"),
            ("a/b%2Fc", "a/b%2Fc"),
            ("refs/pr/9", "refs/pr/9"),
        ] {
            assert_eq!(normalize_branch(name).unwrap(), branch);
        }
        let commit = "0123456789abcdef0123456789abcdef01234567";
        for name in
            ["", ".", "..", "../x", "a..b", "a\\b", "a b", "q?x", "-b", "a/", "/a", "a.lock", "a@{1", commit]
        {
            assert!(normalize_branch(name).is_err(), "{name}");
        }
    }
}
