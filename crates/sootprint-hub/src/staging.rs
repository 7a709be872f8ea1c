//! What is kept in the run's folder between publications, in `sootprint/publication`.
//!
//! Nothing here is ever published: see [`crate::files`]. A folder that takes no files costs the merge with the last
//! publication and the memory of a commit whose answer was lost, and a warning says so; it fails no publication.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Beside the ledgers of the folder's runs.
pub(crate) const SOOTPRINT_DIR: &str = "sootprint";
const STAGING_SUBDIR: &str = "publication";

const STAGED_FILE: &str = "staged.json";
const MERGE_BASE_FILE: &str = "base.json";
const PENDING_COMMIT_FILE: &str = "attempt.json";
const CONFLICT_FILE: &str = "conflict.json";
/// For people: both cards in one text, with marks where they disagree.
const CONFLICT_TEXT_FILE: &str = "README.conflict.md";

/// A publication that did not come about. The folder has everything that it needs: publish again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct StagedPush {
    /// The repository, `owner/name`.
    pub repo: String,
    /// The branch.
    pub branch: String,
    /// Why it was not published.
    pub reason: String,
    /// Since when, RFC 3339 in UTC.
    pub since: String,
}

/// What is staged in a run's folder, if anything is.
///
/// A publication that fails is staged, and the next one that succeeds takes it away.
///
/// ```
/// assert_eq!(sootprint_hub::staged_push("a/folder/that/is/not/there"), None);
/// ```
#[must_use]
pub fn staged_push(dir: impl AsRef<Path>) -> Option<StagedPush> {
    StagingDir::new(dir.as_ref()).read(STAGED_FILE)
}

/// A branch of a repository of a Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PushTarget {
    pub(crate) endpoint: String,
    pub(crate) repo: String,
    pub(crate) branch: String,
}

/// The card of the last publication, which both cards of today come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MergeBase {
    pub(crate) target: PushTarget,
    pub(crate) commit: String,
    pub(crate) card: String,
}

/// A commit that is being made, written before it is sent: its answer may be lost, and this process with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct PendingCommit {
    pub(crate) target: PushTarget,
    pub(crate) id: String,
    pub(crate) pull_request: bool,
    /// A hash over all paths and bytes.
    pub(crate) content: String,
    pub(crate) card: String,
    /// Whether nothing in the card was written by others on the Hub alone.
    pub(crate) is_local: bool,
}

/// A card of the Hub that could not be merged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredConflict {
    target: PushTarget,
    theirs: String,
}

/// The place for all of them.
#[derive(Debug, Clone)]
pub(crate) struct StagingDir {
    path: PathBuf,
}

impl StagingDir {
    pub(crate) fn new(dir: &Path) -> Self {
        Self { path: dir.join(SOOTPRINT_DIR).join(STAGING_SUBDIR) }
    }

    /// Says that the publication waits for the next one, and why.
    pub(crate) fn stage(&self, repo: &str, branch: &str, reason: &str) {
        let since = jiff::Timestamp::now().to_string();
        let staged = StagedPush { repo: repo.into(), branch: branch.into(), reason: reason.into(), since };
        self.write(STAGED_FILE, &staged);
    }

    pub(crate) fn merge_base(&self, target: &PushTarget) -> Option<MergeBase> {
        self.read(MERGE_BASE_FILE).filter(|base: &MergeBase| base.target == *target)
    }

    pub(crate) fn pending_commit(&self, target: &PushTarget) -> Option<PendingCommit> {
        self.read(PENDING_COMMIT_FILE).filter(|attempt: &PendingCommit| attempt.target == *target)
    }

    pub(crate) fn save_pending_commit(&self, attempt: &PendingCommit) {
        self.write(PENDING_COMMIT_FILE, attempt);
    }

    pub(crate) fn save_merge_base(&self, base: &MergeBase) {
        self.write(MERGE_BASE_FILE, base);
    }

    /// The commit was found, or is known not to have been made.
    pub(crate) fn clear_pending_commit(&self) {
        self.remove(PENDING_COMMIT_FILE);
    }

    /// Everything is published: nothing is staged or in conflict any more.
    pub(crate) fn clear(&self) {
        [STAGED_FILE, PENDING_COMMIT_FILE, CONFLICT_FILE, CONFLICT_TEXT_FILE]
            .into_iter()
            .for_each(|name| self.remove(name));
    }

    /// Keeps both texts for whoever mends the conflict, and returns the file to look at.
    pub(crate) fn save_conflict(&self, target: &PushTarget, theirs: &str, conflict_text: &str) -> PathBuf {
        self.write(CONFLICT_FILE, &StoredConflict { target: target.clone(), theirs: theirs.into() });
        let path = self.path.join(CONFLICT_TEXT_FILE);
        log_write_error(&path, write_atomic(&path, conflict_text.as_bytes()));
        path
    }

    /// The card of the Hub that the folder's card has been made to agree with.
    ///
    /// Deleting the text of the conflict says that it has been looked at, and the folder's card has what is wanted of
    /// both. A card that changed on the Hub since is another one.
    pub(crate) fn resolved_conflict(&self, target: &PushTarget) -> Option<String> {
        let conflict: StoredConflict = self.read(CONFLICT_FILE)?;
        let is_open = self.path.join(CONFLICT_TEXT_FILE).exists();
        (!is_open && conflict.target == *target).then_some(conflict.theirs)
    }

    /// What cannot be read is as if it were not there.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.path.join(name)).ok()?).ok()
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) {
        let path = self.path.join(name);
        let written = serde_json::to_vec_pretty(value).map_err(io::Error::other);
        log_write_error(&path, written.and_then(|json| write_atomic(&path, &json)));
    }

    fn remove(&self, name: &str) {
        let path = self.path.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => log_write_error(&path, removed),
        }
    }
}

/// The path itself is left out of the log, which may be shown to anybody.
fn log_write_error(path: &Path, result: io::Result<()>) {
    if let Err(error) = result {
        let name = path.file_name().unwrap_or_default().display();
        tracing::warn!("{name} in the run's folder cannot be written: {error}");
    }
}

/// Creates or replaces a file whole or not at all. Permissions are kept; a new file gets those of any new file.
pub(crate) fn write_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = fs::metadata(path).ok().map(|metadata| metadata.permissions());
    let file = write_temp_file(path, bytes)?;
    if let Some(permissions) = old {
        file.as_file().set_permissions(permissions)?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Creates a file whole or not at all, and never over one that appeared meanwhile.
pub(crate) fn create_atomic(path: &Path, bytes: &[u8]) -> io::Result<()> {
    write_temp_file(path, bytes)?.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

fn write_temp_file(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".sootprint-");
    // The user's umask takes away from it; temporary files are private otherwise.
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666));
    let mut file = builder.tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    Ok(file)
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
        staging.stage("me/digits", "main", "offline");
        let found = staged_push(dir.path()).unwrap();
        assert_eq!((found.repo.as_str(), found.reason.as_str()), ("me/digits", "offline"));
        assert!(found.since.parse::<jiff::Timestamp>().is_ok());
        staging.clear();
        assert_eq!(staged_push(dir.path()), None);
    }

    #[test]
    fn merge_base_of_other_branch_ignored() {
        let dir = tempfile::tempdir().unwrap();
        let staging = StagingDir::new(dir.path());
        let base = MergeBase { target: push_target("main"), commit: "1".into(), card: "# Digits\n".into() };
        staging.save_merge_base(&base);
        assert_eq!(staging.merge_base(&push_target("main")), Some(base));
        assert_eq!(staging.merge_base(&push_target("next")), None);
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
        staging.stage("me/digits", "main", "offline");
        assert_eq!(staged_push(file.path()), None);
    }
}
