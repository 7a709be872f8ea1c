//! Decides by name which files may be sent: allow and ignore patterns, and names that are left out.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};

use crate::error::PushError;
use crate::exclusions::{DefaultExclusions, ExclusionReason, fixed_exclusion};
use crate::staging::SOOTPRINT_DIR;

/// The characters with a meaning in patterns.
const WILDCARDS: [char; 4] = ['*', '?', '[', '{'];

/// The patterns of the caller.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct FilePatterns {
    pub(crate) allow: Vec<String>,
    pub(crate) ignore: Vec<String>,
}

/// The compiled patterns.
pub(crate) struct FileMatcher {
    allow: Vec<GlobMatcher>,
    ignore: Vec<GlobMatcher>,
    /// The allow patterns without wildcards.
    allowed_names: Vec<String>,
    defaults: DefaultExclusions,
    /// Whether a pattern names the folder of the ledgers; `*` alone does not include them.
    includes_ledgers: bool,
}

impl FileMatcher {
    /// # Errors
    /// [`PushError::InvalidPattern`] for a pattern that is malformed or leads out of the folder.
    pub(crate) fn compile(patterns: &FilePatterns) -> Result<Self, PushError> {
        let compile_all = |patterns: &[String]| -> Result<Vec<GlobMatcher>, PushError> {
            patterns.iter().map(|pattern| compile_glob(pattern)).collect()
        };
        let ledgers = format!("{SOOTPRINT_DIR}/");
        Ok(Self {
            allow: compile_all(&patterns.allow)?,
            ignore: compile_all(&patterns.ignore)?,
            allowed_names: patterns
                .allow
                .iter()
                .filter(|pattern| !pattern.contains(WILDCARDS))
                .map(|pattern| pattern.trim_start_matches("./").to_owned())
                .collect(),
            defaults: DefaultExclusions::compile()?,
            includes_ledgers: patterns.allow.iter().any(|pattern| pattern.starts_with(&ledgers)),
        })
    }

    /// Why a file is not sent; `None` if it is. `inherited`: why its folder is left out unless a pattern allows the file.
    /// `path` is separated by `/`.
    pub(crate) fn file_exclusion(
        &self,
        path: &str,
        inherited: Option<ExclusionReason>,
    ) -> Option<ExclusionReason> {
        self.fixed_exclusion(path).or_else(|| {
            if matches_any(&self.ignore, path) {
                return Some(ExclusionReason::Ignored);
            }
            let is_left_out = inherited.or_else(|| self.defaults.reason(path, false));
            is_left_out.filter(|_| !matches_any(&self.allow, path))
        })
    }

    /// Why the files of a folder are not sent unless a pattern allows them.
    pub(crate) fn folder_exclusion(&self, path: &str) -> Option<ExclusionReason> {
        self.fixed_exclusion(path).or_else(|| {
            let is_ignored = matches_any(&self.ignore, &format!("{path}/"));
            let is_ignored = is_ignored.then_some(ExclusionReason::Ignored);
            let is_own = (path == SOOTPRINT_DIR).then_some(ExclusionReason::OwnRecord);
            is_ignored.or(is_own).or_else(|| self.defaults.reason(path, true))
        })
    }

    /// Whether a pattern may allow files of a folder that is left out, so that it must be searched.
    pub(crate) fn may_allow_inside(&self, path: &str, reason: ExclusionReason) -> bool {
        reason != ExclusionReason::Ignored && self.fixed_exclusion(path).is_none() && !self.allow.is_empty()
    }

    /// Why the patterns do not allow a path: it is hidden, one of sootprint's own, or its name is typical of credentials
    /// and no pattern is its exact path or one inside it.
    pub(crate) fn fixed_exclusion(&self, path: &str) -> Option<ExclusionReason> {
        let reason = fixed_exclusion(path, self.includes_ledgers)?;
        let is_at_or_inside = |name: &String| {
            name.strip_prefix(path).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // A name may look like that of credentials; what the file contains is searched.
        let is_named =
            reason == ExclusionReason::Credentials && self.allowed_names.iter().any(is_at_or_inside);
        (!is_named).then_some(reason)
    }

    /// The patterns that match none of these paths.
    pub(crate) fn unused_patterns<'p>(
        &self,
        patterns: &'p FilePatterns,
        paths: &BTreeSet<&str>,
    ) -> Vec<&'p str> {
        let all = patterns.allow.iter().zip(&self.allow).chain(patterns.ignore.iter().zip(&self.ignore));
        all.filter(|(_, glob)| !paths.iter().any(|path| glob.is_match(path)))
            .map(|(pattern, _)| pattern.as_str())
            .collect()
    }
}

/// Compiles a pattern with the rules of Python's client: `*` also matches slashes, and `folder/` matches its contents. A
/// name without wildcards also matches the contents of the folder with this name.
fn compile_glob(pattern: &str) -> Result<GlobMatcher, PushError> {
    let invalid = |reason: String| PushError::InvalidPattern { pattern: pattern.to_owned(), reason };
    if pattern.starts_with('/') || pattern.split(['/', '\\']).any(|part| part == "..") {
        return Err(invalid("it leads out of the folder".to_owned()));
    }
    let relative = pattern.trim_start_matches("./");
    let whole = match relative {
        "" => return Err(invalid("it is empty".to_owned())),
        folder if folder.ends_with('/') => format!("{folder}*"),
        name if !name.contains(WILDCARDS) => format!("{name}{{,/*}}"),
        glob => glob.to_owned(),
    };
    let glob = GlobBuilder::new(&whole).literal_separator(false).empty_alternates(true).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| invalid(error.kind().to_string()))
}

fn matches_any(patterns: &[GlobMatcher], path: &str) -> bool {
    patterns.iter().any(|pattern| pattern.is_match(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matcher(allow: &[&str], ignore: &[&str]) -> FileMatcher {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        FileMatcher::compile(&FilePatterns { allow: owned(allow), ignore: owned(ignore) }).unwrap()
    }

    #[test]
    fn ignore_patterns_override_allow_patterns() {
        let patterns = matcher(&["*.log", "onnx/"], &["*.bpk", "onnx/old*"]);
        for (path, expected) in [
            ("model.safetensors", None),
            ("model.bpk", Some(ExclusionReason::Ignored)),
            ("onnx/model.onnx", None),
            ("onnx/old.onnx", Some(ExclusionReason::Ignored)),
            ("notes/vocabulary.txt", None),
            ("experiment.log", None),
            ("optimizer.pt", Some(ExclusionReason::TrainingState)),
        ] {
            assert_eq!(patterns.file_exclusion(path, None), expected, "{path}");
        }
    }

    #[test]
    fn no_pattern_allows_hidden_files_and_credentials() {
        let patterns = matcher(&["*", ".git/", "sootprint*"], &[]);
        for (path, reason) in [
            (".git/config", ExclusionReason::Hidden),
            ("server.pem", ExclusionReason::Credentials),
            ("sootprint/1-run.jsonl", ExclusionReason::OwnRecord),
            ("sootprint/publication/base.json", ExclusionReason::OwnRecord),
        ] {
            assert_eq!(patterns.file_exclusion(path, None), Some(reason), "{path}");
        }
        assert_eq!(patterns.file_exclusion("checkpoint/a.pt", Some(ExclusionReason::TrainingState)), None);
    }

    #[test]
    fn exact_name_allows_what_looks_like_credentials() {
        let patterns = matcher(&["./data/my_secret.txt", "*"], &["./old", "logs"]);
        assert_eq!(patterns.file_exclusion("data/my_secret.txt", None), None);
        assert_eq!(
            patterns.file_exclusion("other_secret.txt", None),
            Some(ExclusionReason::Credentials),
            "`*` does not"
        );
        for path in ["old", "old/x.txt", "logs/a"] {
            assert_eq!(patterns.file_exclusion(path, None), Some(ExclusionReason::Ignored), "{path}");
        }
        assert_eq!(patterns.file_exclusion("older", None), None);
        let unused =
            FilePatterns { allow: vec!["a*".to_owned()], ignore: vec!["b/".to_owned(), "c".to_owned()] };
        let compiled = FileMatcher::compile(&unused).unwrap();
        let paths = BTreeSet::from(["b/1", "x"]);
        assert_eq!(compiled.unused_patterns(&unused, &paths), ["a*", "c"]);
    }

    #[test]
    fn ledger_selected_only_by_folder_pattern() {
        let patterns = matcher(&["sootprint/*.jsonl"], &[]);
        let reason = patterns.folder_exclusion("sootprint");
        assert_eq!(reason, Some(ExclusionReason::OwnRecord));
        assert!(patterns.may_allow_inside("sootprint", ExclusionReason::OwnRecord));
        assert_eq!(patterns.file_exclusion("sootprint/1-run.jsonl", reason), None);
        assert!(patterns.file_exclusion("sootprint/1-run.beat", reason).is_some());
        assert!(patterns.file_exclusion("sootprint/publication/base.json", reason).is_some());
        assert!(!patterns.may_allow_inside("sootprint/publication", ExclusionReason::OwnRecord));
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for pattern in ["../*", "", "/etc/passwd", "a/../../b", "[z-a]", "{a"] {
            let file_patterns = FilePatterns { allow: vec![pattern.to_owned()], ignore: Vec::new() };
            let error = FileMatcher::compile(&file_patterns).err().unwrap();
            assert!(error.to_string().contains(pattern), "{error}");
        }
    }
}
