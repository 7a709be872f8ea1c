//! State that is kept between pushes, in `sootprint/publication` of the run's folder.
//!
//! None of these files is ever pushed: see [`crate::file_matcher`]. If the folder is not writable, a warning is
//! logged and the push continues; the three-way merge and the search for a commit with a lost response are then not
//! available.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use sootprint_card::CardTemplate;
use sootprint_core::file::write_atomic;

use crate::error::PushError;

/// The folder of sootprint's own files; it also contains the ledgers.
pub(crate) const SOOTPRINT_DIR: &str = "sootprint";
pub(crate) const STAGING_SUBDIR: &str = "publication";

const STAGED_FILE: &str = "staged.json";
const MERGE_BASES_FILE: &str = "bases.json";
const PUSHED_FILES_FILE: &str = "pushed.json";
const PENDING_COMMIT_FILE: &str = "attempt.json";
const CONFLICT_FILE: &str = "conflict.json";
/// The most branches whose last card is kept.
const MAX_MERGE_BASES: usize = 20;

/// Both versions of the card in one text, with conflict markers, for the user to edit.
const CONFLICT_TEXT_FILE: &str = "README.conflict.md";

/// A push that failed. The folder contains everything that is needed to push again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StagedPush {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// The error of the push, with its causes.
    pub reason: String,
    /// The time of the failure in UTC, in RFC 3339 format.
    pub since: String,
    /// The options of the push. A push that is repeated without them may publish something else.
    #[serde(default)]
    pub options: StagedOptions,
}

impl StagedPush {
    /// Whether it went to this repository, whose name the Hub compares without case.
    pub(crate) fn is_of_repository(&self, repo: &str) -> bool {
        self.repo.eq_ignore_ascii_case(repo)
    }

    fn is_of(&self, repo: &str, branch: &str) -> bool {
        self.is_of_repository(repo) && self.branch == branch
    }
}

/// The options of a [`StagedPush`]; see the methods of [`ModelUpload`](crate::ModelUpload) with the same names.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct StagedOptions {
    /// Whether a private repository was asked for. The next push to the repository creates it as a private one, whether
    /// or not it asks for that.
    pub private: bool,
    /// Whether a pull request was to be opened.
    pub open_pull_request: bool,
    /// Whether only the card was to be sent.
    pub card_only: bool,
    /// Whether files of earlier pushes were to be removed.
    pub remove_old_files: bool,
    /// Whether the emissions of the base model were to be included.
    pub include_base_model_emissions: bool,
    /// The relation to the base model, as in the card.
    pub relation: Option<String>,
    /// The allow patterns.
    pub allow_patterns: Vec<String>,
    /// The ignore patterns.
    pub ignore_patterns: Vec<String>,
    /// The title of the commit.
    pub commit_message: Option<String>,
    /// The text before the summary in the commit's description.
    pub commit_description: Option<String>,
    /// The content of a new card. The next push to the repository uses it if it gives none itself.
    pub card_template: CardTemplate,
}

/// Returns the record of the last failed push of a run's folder. `None` if there is none.
///
/// If a push fails but may succeed later, for example because there was no network, such a record is written into the
/// folder, and the push counts as *staged*. The next successful push deletes the record.
///
/// ```
/// assert_eq!(sootprint_hub::staged_push("a/folder/that/is/not/there"), None);
/// ```
#[must_use]
pub fn staged_push(dir: impl AsRef<Path>) -> Option<StagedPush> {
    StagingDir::new(dir.as_ref()).staged().ok()?.pop()
}

/// A branch of a repository on a Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushTarget {
    pub(crate) endpoint: String,
    pub(crate) repo: String,
    pub(crate) branch: String,
}

/// The card of the last push: the common ancestor of the local and the remote card.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeBase {
    pub(crate) target: PushTarget,
    pub(crate) commit: String,
    pub(crate) card: String,
}

/// The files that pushes put on a branch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct PushedFiles {
    target: PushTarget,
    files: Vec<PushedFile>,
}

/// A file that a push put on the Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushedFile {
    pub(crate) path: String,
    /// The id of the file's blob, or of its LFS pointer.
    pub(crate) oid: String,
}

/// A commit that is about to be sent. It is saved first, because the response may be lost, and this process with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingCommit {
    pub(crate) target: PushTarget,
    pub(crate) id: String,
    pub(crate) pull_request: bool,
    /// A hash of all paths and contents.
    pub(crate) content: String,
    pub(crate) card: String,
    /// Whether the card contains no edit that was made on the Hub only.
    pub(crate) is_local: bool,
}

/// A remote card that could not be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredConflict {
    target: PushTarget,
    theirs: String,
}

/// The folder of these files.
#[derive(Debug, Clone)]
pub(crate) struct StagingDir {
    path: PathBuf,
}

impl StagingDir {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { path: dir.join(SOOTPRINT_DIR).join(STAGING_SUBDIR) }
    }

    /// Records a push that failed, and why.
    pub(crate) fn stage(&self, repo: &str, branch: &str, reason: &str, options: StagedOptions) {
        let since = jiff::Timestamp::now().to_string();
        // A record that cannot be read is an error of the next push, so it is not replaced.
        let Ok(mut staged) = self.staged() else { return };
        staged.retain(|push| !push.is_of(repo, branch));
        staged.push(StagedPush {
            repo: repo.into(),
            branch: branch.into(),
            reason: reason.into(),
            since,
            options,
        });
        self.write(STAGED_FILE, &staged);
    }

    /// The pushes of this folder that failed and have not succeeded since, newest last.
    ///
    /// # Errors
    /// If there is a record that cannot be read: it may say that a repository is private.
    pub(crate) fn staged(&self) -> Result<Vec<StagedPush>, PushError> {
        let path = self.path.join(STAGED_FILE);
        let damaged = |source| PushError::UnreadableFile { path: path.clone(), source };
        match fs::read(&path) {
            Ok(bytes) => serde_json::from_slice(&bytes).map_err(|error| damaged(error.into())),
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                Ok(Vec::new())
            }
            Err(error) => Err(damaged(error)),
        }
    }

    pub(crate) fn merge_base(&self, target: &PushTarget) -> Option<MergeBase> {
        self.merge_bases().into_iter().find(|base| base.target == *target)
    }

    /// The repositories that the folder was pushed to.
    pub(crate) fn earlier_repositories(&self) -> Vec<String> {
        self.merge_bases().into_iter().map(|base| base.target.repo).collect()
    }

    /// The cards of the last pushes to each branch, newest last.
    fn merge_bases(&self) -> Vec<MergeBase> {
        self.read(MERGE_BASES_FILE).unwrap_or_default()
    }

    pub(crate) fn pending_commit(&self, target: &PushTarget) -> Option<PendingCommit> {
        self.read(PENDING_COMMIT_FILE).filter(|pending: &PendingCommit| pending.target == *target)
    }

    pub(crate) fn save_pending_commit(&self, pending: &PendingCommit) {
        self.write(PENDING_COMMIT_FILE, pending);
    }

    pub(crate) fn save_merge_base(&self, base: MergeBase) {
        let mut bases = self.merge_bases();
        bases.retain(|it| it.target != base.target);
        bases.drain(..bases.len().saturating_sub(MAX_MERGE_BASES - 1));
        bases.push(base);
        self.write(MERGE_BASES_FILE, &bases);
    }

    /// The files that pushes of this folder put on a branch.
    pub(crate) fn pushed_files(&self, target: &PushTarget) -> Vec<PushedFile> {
        let all: Vec<PushedFiles> = self.read(PUSHED_FILES_FILE).unwrap_or_default();
        all.into_iter().find(|pushed| pushed.target == *target).map(|pushed| pushed.files).unwrap_or_default()
    }

    pub(crate) fn save_pushed_files(&self, target: &PushTarget, files: Vec<PushedFile>) {
        let mut all: Vec<PushedFiles> = self.read(PUSHED_FILES_FILE).unwrap_or_default();
        all.retain(|pushed| pushed.target != *target);
        all.drain(..all.len().saturating_sub(MAX_MERGE_BASES - 1));
        all.push(PushedFiles { target: target.clone(), files });
        self.write(PUSHED_FILES_FILE, &all);
    }

    /// Call this once the commit was found, or is certain not to exist.
    pub(crate) fn clear_pending_commit(&self) {
        self.remove(PENDING_COMMIT_FILE);
    }

    /// Removes the state of failed attempts after a successful push to this repository and branch.
    pub(crate) fn clear(&self, repo: &str, branch: &str) {
        if let Ok(mut staged) = self.staged() {
            staged.retain(|push| !push.is_of(repo, branch));
            match staged.is_empty() {
                true => self.remove(STAGED_FILE),
                false => self.write(STAGED_FILE, &staged),
            }
        }
        [PENDING_COMMIT_FILE, CONFLICT_FILE, CONFLICT_TEXT_FILE]
            .into_iter()
            .for_each(|name| self.remove(name));
    }

    /// Saves both versions, and returns the file with the conflict markers.
    pub(crate) fn save_conflict(&self, target: &PushTarget, theirs: &str, conflict_text: &str) -> PathBuf {
        self.write(CONFLICT_FILE, &StoredConflict { target: target.clone(), theirs: theirs.into() });
        self.write_bytes(CONFLICT_TEXT_FILE, conflict_text.as_bytes());
        self.path.join(CONFLICT_TEXT_FILE)
    }

    /// The remote card whose conflict with the local card the user has resolved.
    ///
    /// The user confirms the resolution by deleting the file with the conflict markers; nothing in the card itself could
    /// show that both versions were considered. A remote card that has changed since is a new conflict.
    pub(crate) fn resolved_conflict(&self, target: &PushTarget) -> Option<String> {
        let conflict: StoredConflict = self.read(CONFLICT_FILE)?;
        let is_open = self.path.join(CONFLICT_TEXT_FILE).exists();
        (!is_open && conflict.target == *target).then_some(conflict.theirs)
    }

    /// A file that cannot be read or parsed counts as missing.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.path.join(name)).ok()?).ok()
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) {
        match serde_json::to_vec_pretty(value) {
            Ok(json) => self.write_bytes(name, &json),
            Err(error) => log_error("write", name, Err(error.into())),
        }
    }

    fn write_bytes(&self, name: &str, bytes: &[u8]) {
        let written =
            fs::create_dir_all(&self.path).and_then(|()| write_atomic(&self.path.join(name), bytes));
        log_error("write", name, written);
    }

    fn remove(&self, name: &str) {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => log_error("remove", name, removed),
        }
    }
}

/// Logs the name only: the path is private, and logs may be published.
fn log_error(operation: &str, name: &str, result: io::Result<()>) {
    if let Err(error) = result {
        tracing::warn!("cannot {operation} {name} in the run's folder: {error}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push_target(branch: &str) -> PushTarget {
        PushTarget { endpoint: "http://hub".into(), repo: "me/digits".into(), branch: branch.into() }
    }

    #[test]
    fn staged_push_is_read_until_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let staging = StagingDir::new(dir.path());
        let options = StagedOptions { private: true, ..StagedOptions::default() };
        staging.stage("me/digits", "main", "offline", options.clone());
        let found = staged_push(dir.path()).unwrap();
        assert_eq!((found.repo.as_str(), found.reason.as_str()), ("me/digits", "offline"));
        assert!(found.since.parse::<jiff::Timestamp>().is_ok());
        assert_eq!(found.options, options);
        // Another push to another repository does not replace it.
        staging.stage("me/other", "main", "offline", StagedOptions::default());
        staging.clear("me/other", "main");
        assert_eq!(staged_push(dir.path()).unwrap(), found);
        staging.clear("ME/Digits", "main");
        assert_eq!(staged_push(dir.path()), None);
        fs::write(staging.path.join(STAGED_FILE), "garbage").unwrap();
        assert!(staging.staged().is_err());
    }

    #[test]
    fn merge_base_of_other_branch_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let staging = StagingDir::new(dir.path());
        let base = |branch: &str, card: &str| MergeBase {
            target: push_target(branch),
            commit: "1".into(),
            card: card.into(),
        };
        staging.save_merge_base(base("main", "# Digits\n"));
        assert_eq!(staging.merge_base(&push_target("next")), None);
        staging.save_merge_base(base("next", "# Numbers\n"));
        assert_eq!(staging.merge_base(&push_target("main")), Some(base("main", "# Digits\n")));
        assert_eq!(staging.earlier_repositories(), ["me/digits", "me/digits"]);
        (0..30).for_each(|number| staging.save_merge_base(base(&number.to_string(), "")));
        assert_eq!(staging.merge_bases().len(), MAX_MERGE_BASES);
        assert_eq!(staging.merge_base(&push_target("29")), Some(base("29", "")));
    }

    #[test]
    fn deleting_conflict_text_resolves_conflict() {
        let dir = tempfile::tempdir().unwrap();
        let staging = StagingDir::new(dir.path());
        let text = staging.save_conflict(&push_target("main"), "theirs", "<<<<<<<");
        assert_eq!(staging.resolved_conflict(&push_target("main")), None);
        fs::remove_file(text).unwrap();
        assert_eq!(staging.resolved_conflict(&push_target("main")).as_deref(), Some("theirs"));
        assert_eq!(staging.resolved_conflict(&push_target("next")), None);
    }

    #[test]
    fn unwritable_folder_is_no_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let staging = StagingDir::new(file.path());
        staging.stage("me/digits", "main", "offline", StagedOptions::default());
        assert_eq!(staged_push(file.path()), None);
    }
}
