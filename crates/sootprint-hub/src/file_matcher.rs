//! Decides by name which files may be sent: allow and ignore patterns, and names that are never sent.

use globset::{GlobBuilder, GlobMatcher};

use crate::error::PushError;
use crate::staging::SOOTPRINT_DIR;

/// Names of files that contain credentials; no pattern allows them.
const CREDENTIAL_PATTERNS: [&str; 15] = [
    "token",
    "token.*",
    "stored_tokens",
    "credentials",
    "credentials.*",
    "*.credentials",
    "secret*",
    "id_rsa*",
    "id_ed25519*",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "service-account*.json",
    "kubeconfig*",
];

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
    credentials: Vec<GlobMatcher>,
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
            credentials: CREDENTIAL_PATTERNS
                .iter()
                .map(|pattern| compile_glob(pattern))
                .collect::<Result<_, _>>()?,
            includes_ledgers: patterns.allow.iter().any(|pattern| pattern.starts_with(&ledgers)),
        })
    }

    /// Whether files outside the default list may be sent, so that subfolders must be searched.
    pub(crate) fn has_allow_patterns(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Whether a file is sent. `is_default`: whether it is on the default list. `path` is separated by `/`.
    pub(crate) fn is_selected(&self, path: &str, is_default: bool) -> bool {
        let is_allowed = is_default || matches_any(&self.allow, path);
        is_allowed && !self.is_always_excluded(path) && !matches_any(&self.ignore, path)
    }

    /// Whether a file is hidden (`.git`, `.env`), contains credentials, or is one of sootprint's own.
    pub(crate) fn is_always_excluded(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let is_ours = path.strip_prefix(SOOTPRINT_DIR).and_then(|rest| rest.strip_prefix('/'));
        parts.any(|part| part.starts_with('.') || part.is_empty())
            || matches_any(&self.credentials, &name)
            || is_ours.is_some_and(|rest| !self.includes_ledgers || rest.starts_with("publication/"))
    }
}

/// Compiles a pattern with the rules of Python's client: `*` also matches slashes, and `folder/` matches its contents.
fn compile_glob(pattern: &str) -> Result<GlobMatcher, PushError> {
    let invalid = |reason: String| PushError::InvalidPattern { pattern: pattern.to_owned(), reason };
    if pattern.starts_with('/') || pattern.split(['/', '\\']).any(|part| part == "..") {
        return Err(invalid("it leads out of the folder".to_owned()));
    }
    let whole = if pattern.ends_with('/') { format!("{pattern}*") } else { pattern.to_owned() };
    let glob = GlobBuilder::new(&whole).literal_separator(false).build();
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
        let patterns = matcher(&["onnx/", "*.txt"], &["*.bpk", "onnx/old*"]);
        for (path, is_default, expected) in [
            ("model.safetensors", true, true),
            ("model.bpk", true, false),
            ("onnx/model.onnx", false, true),
            ("onnx/old.onnx", false, false),
            ("notes/vocabulary.txt", false, true),
            ("experiment.log", false, false),
        ] {
            assert_eq!(patterns.is_selected(path, is_default), expected, "{path}");
        }
    }

    #[test]
    fn hidden_and_credential_files_are_excluded() {
        let patterns = matcher(&["*", ".git/", "sootprint*"], &[]);
        for path in [
            ".git/config",
            ".env",
            "a/.hidden/b",
            "token",
            "TOKEN",
            "deep/id_rsa",
            "server.pem",
            "credentials.json",
            "sootprint/1-run.jsonl",
            "sootprint/publication/base.json",
        ] {
            assert!(!patterns.is_selected(path, false), "{path}");
            assert!(!patterns.is_selected(path, true), "{path}");
        }
        assert!(patterns.is_selected("tokenizer.model", false));
    }

    #[test]
    fn ledger_selected_only_by_folder_pattern() {
        let patterns = matcher(&["sootprint/*.jsonl"], &[]);
        assert!(patterns.is_selected("sootprint/1-run.jsonl", false));
        assert!(!patterns.is_selected("sootprint/publication/base.json", false));
    }

    #[test]
    fn invalid_patterns_are_refused() {
        for pattern in ["../*", "/etc/passwd", "a/../../b", "[z-a]", "{a"] {
            let file_patterns = FilePatterns { allow: vec![pattern.to_owned()], ignore: Vec::new() };
            let error = FileMatcher::compile(&file_patterns).err().unwrap();
            assert!(error.to_string().contains(pattern), "{error}");
        }
    }
}
