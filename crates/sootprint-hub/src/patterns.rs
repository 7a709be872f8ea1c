//! Which files are sent beyond the usual ones, which are not, and which never are.

use globset::{GlobBuilder, GlobMatcher};

use crate::error::PublishError;
use crate::staging::FOLDER;

/// Names of files that hold credentials, whatever the patterns say.
const SECRETS: [&str; 15] = [
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

/// What was asked for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    pub(crate) allow: Vec<String>,
    pub(crate) ignore: Vec<String>,
}

/// The patterns, read.
pub(crate) struct Patterns {
    allow: Vec<GlobMatcher>,
    ignore: Vec<GlobMatcher>,
    secrets: Vec<GlobMatcher>,
    /// Whether a pattern names the ledgers' folder: `*` alone does not ask for them.
    with_ledgers: bool,
}

impl Patterns {
    /// # Errors
    /// [`PublishError::Pattern`] for what is no pattern, or leads out of the folder.
    pub(crate) fn read(asked: &Asked) -> Result<Self, PublishError> {
        let all = |patterns: &[String]| -> Result<Vec<GlobMatcher>, PublishError> {
            patterns.iter().map(|pattern| read(pattern)).collect()
        };
        let ledgers = format!("{FOLDER}/");
        Ok(Self {
            allow: all(&asked.allow)?,
            ignore: all(&asked.ignore)?,
            secrets: SECRETS.iter().map(|pattern| read(pattern)).collect::<Result<_, _>>()?,
            with_ledgers: asked.allow.iter().any(|pattern| pattern.starts_with(&ledgers)),
        })
    }

    /// Whether files that are not on the usual list may be sent, so that folders are looked into.
    pub(crate) fn asks_for_more(&self) -> bool {
        !self.allow.is_empty()
    }

    /// Whether a file is sent that is on the usual list, or is not. Its path has `/` between its parts.
    pub(crate) fn takes(&self, path: &str, is_usual: bool) -> bool {
        let is_asked_for = is_usual || matches(&self.allow, path);
        is_asked_for && !self.never(path) && !matches(&self.ignore, path)
    }

    /// What is hidden (`.git`, `.env`), what holds credentials, and what sootprint keeps for itself.
    pub(crate) fn never(&self, path: &str) -> bool {
        let mut parts = path.split('/');
        let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
        let is_ours = path.strip_prefix(FOLDER).and_then(|rest| rest.strip_prefix('/'));
        parts.any(|part| part.starts_with('.') || part.is_empty())
            || matches(&self.secrets, &name)
            || is_ours.is_some_and(|rest| !self.with_ledgers || rest.starts_with("publication/"))
    }
}

/// As Python's client reads them: `*` goes over slashes, too, and `folder/` is everything in it.
fn read(pattern: &str) -> Result<GlobMatcher, PublishError> {
    let refuse = |reason: String| PublishError::Pattern { pattern: pattern.to_owned(), reason };
    if pattern.starts_with('/') || pattern.split(['/', '\\']).any(|part| part == "..") {
        return Err(refuse("it leads out of the folder".to_owned()));
    }
    let whole = if pattern.ends_with('/') { format!("{pattern}*") } else { pattern.to_owned() };
    let glob = GlobBuilder::new(&whole).literal_separator(false).build();
    glob.map(|glob| glob.compile_matcher()).map_err(|error| refuse(error.kind().to_string()))
}

fn matches(patterns: &[GlobMatcher], path: &str) -> bool {
    patterns.iter().any(|pattern| pattern.is_match(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn patterns(allow: &[&str], ignore: &[&str]) -> Patterns {
        let owned = |patterns: &[&str]| patterns.iter().map(|pattern| (*pattern).to_owned()).collect();
        Patterns::read(&Asked { allow: owned(allow), ignore: owned(ignore) }).unwrap()
    }

    #[test]
    fn patterns_add_and_take_away_and_ignore_goes_first() {
        let patterns = patterns(&["onnx/", "*.txt"], &["*.bpk", "onnx/old*"]);
        for (path, is_usual, takes) in [
            ("model.safetensors", true, true),
            ("model.bpk", true, false),
            ("onnx/model.onnx", false, true),
            ("onnx/old.onnx", false, false),
            ("notes/vocabulary.txt", false, true),
            ("experiment.log", false, false),
        ] {
            assert_eq!(patterns.takes(path, is_usual), takes, "{path}");
        }
    }

    #[test]
    fn what_nobody_may_see_is_never_taken() {
        let patterns = patterns(&["*", ".git/", "sootprint*"], &[]);
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
            assert!(!patterns.takes(path, false), "{path}");
            assert!(!patterns.takes(path, true), "{path}");
        }
        assert!(patterns.takes("tokenizer.model", false));
    }

    #[test]
    fn a_ledger_is_taken_when_it_is_asked_for_by_its_folder() {
        let patterns = patterns(&["sootprint/*.jsonl"], &[]);
        assert!(patterns.takes("sootprint/1-run.jsonl", false));
        assert!(!patterns.takes("sootprint/publication/base.json", false));
    }

    #[test]
    fn a_pattern_out_of_the_folder_and_one_that_is_none_are_refused() {
        for pattern in ["../*", "/etc/passwd", "a/../../b", "[z-a]", "{a"] {
            let asked = Asked { allow: vec![pattern.to_owned()], ignore: Vec::new() };
            let error = Patterns::read(&asked).err().unwrap();
            assert!(error.to_string().contains(pattern), "{error}");
        }
    }
}
