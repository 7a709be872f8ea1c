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
pub(crate) const FOLDER: &str = "sootprint";
const PLACE: &str = "publication";

const STAGED: &str = "staged.json";
const BASE: &str = "base.json";
const ATTEMPT: &str = "attempt.json";
const CONFLICT: &str = "conflict.json";
/// For people: both cards in one text, with marks where they disagree.
const CONFLICT_TEXT: &str = "README.conflict.md";

/// A publication that did not come about. The folder has everything that it needs: publish again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Staged {
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
/// assert_eq!(sootprint_hub::staged("a/folder/that/is/not/there"), None);
/// ```
#[must_use]
pub fn staged(dir: impl AsRef<Path>) -> Option<Staged> {
    Staging::of(dir.as_ref()).read(STAGED)
}

/// A branch of a repository of a Hub.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Target {
    pub(crate) endpoint: String,
    pub(crate) repo: String,
    pub(crate) branch: String,
}

/// The card of the last publication, which both cards of today come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Base {
    pub(crate) target: Target,
    pub(crate) commit: String,
    pub(crate) card: String,
}

/// A commit that is being made, written before it is sent: its answer may be lost, and this process with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attempt {
    pub(crate) target: Target,
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
struct Conflict {
    target: Target,
    theirs: String,
}

/// The place for all of them.
#[derive(Debug, Clone)]
pub(crate) struct Staging {
    place: PathBuf,
}

impl Staging {
    pub(crate) fn of(dir: &Path) -> Self {
        Self { place: dir.join(FOLDER).join(PLACE) }
    }

    /// Says that the publication waits for the next one, and why.
    pub(crate) fn stage(&self, repo: &str, branch: &str, reason: &str) {
        let since = jiff::Timestamp::now().to_string();
        let staged = Staged { repo: repo.into(), branch: branch.into(), reason: reason.into(), since };
        self.write(STAGED, &staged);
    }

    pub(crate) fn base(&self, target: &Target) -> Option<Base> {
        self.read(BASE).filter(|base: &Base| base.target == *target)
    }

    pub(crate) fn attempt(&self, target: &Target) -> Option<Attempt> {
        self.read(ATTEMPT).filter(|attempt: &Attempt| attempt.target == *target)
    }

    pub(crate) fn begin(&self, attempt: &Attempt) {
        self.write(ATTEMPT, attempt);
    }

    pub(crate) fn keep(&self, base: &Base) {
        self.write(BASE, base);
    }

    /// The commit was found, or is known not to have been made.
    pub(crate) fn forget_attempt(&self) {
        self.remove(ATTEMPT);
    }

    /// Everything is published: nothing is staged or in conflict any more.
    pub(crate) fn clear(&self) {
        [STAGED, ATTEMPT, CONFLICT, CONFLICT_TEXT].into_iter().for_each(|name| self.remove(name));
    }

    /// Keeps both texts for whoever mends the conflict, and returns the file to look at.
    pub(crate) fn conflict(&self, target: &Target, theirs: &str, marked: &str) -> PathBuf {
        self.write(CONFLICT, &Conflict { target: target.clone(), theirs: theirs.into() });
        let path = self.place.join(CONFLICT_TEXT);
        report(&path, write_whole(&path, marked.as_bytes()));
        path
    }

    /// The card of the Hub that the folder's card has been made to agree with.
    ///
    /// Deleting the text of the conflict says that it has been looked at, and the folder's card has what is wanted of
    /// both. A card that changed on the Hub since is another one.
    pub(crate) fn settled(&self, target: &Target) -> Option<String> {
        let conflict: Conflict = self.read(CONFLICT)?;
        let is_open = self.place.join(CONFLICT_TEXT).exists();
        (!is_open && conflict.target == *target).then_some(conflict.theirs)
    }

    /// What cannot be read is as if it were not there.
    fn read<T: DeserializeOwned>(&self, name: &str) -> Option<T> {
        serde_json::from_slice(&fs::read(self.place.join(name)).ok()?).ok()
    }

    fn write<T: Serialize>(&self, name: &str, value: &T) {
        let path = self.place.join(name);
        let written = serde_json::to_vec_pretty(value).map_err(io::Error::other);
        report(&path, written.and_then(|json| write_whole(&path, &json)));
    }

    fn remove(&self, name: &str) {
        let path = self.place.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => report(&path, removed),
        }
    }
}

/// The path itself is left out of the log, which may be shown to anybody.
fn report(path: &Path, done: io::Result<()>) {
    if let Err(error) = done {
        let name = path.file_name().unwrap_or_default().display();
        tracing::warn!("{name} in the run's folder cannot be written: {error}");
    }
}

/// Creates or replaces a file whole or not at all. Permissions are kept; a new file gets those of any new file.
pub(crate) fn write_whole(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let old = fs::metadata(path).ok().map(|metadata| metadata.permissions());
    let file = temporary(path, bytes)?;
    if let Some(permissions) = old {
        file.as_file().set_permissions(permissions)?;
    }
    file.persist(path).map(drop).map_err(|error| error.error)
}

/// Creates a file whole or not at all, and never over one that appeared meanwhile.
pub(crate) fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    temporary(path, bytes)?.persist_noclobber(path).map(drop).map_err(|error| error.error)
}

fn temporary(path: &Path, bytes: &[u8]) -> io::Result<tempfile::NamedTempFile> {
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

    fn target(branch: &str) -> Target {
        Target { endpoint: "http://hub".into(), repo: "me/digits".into(), branch: branch.into() }
    }

    #[test]
    fn what_is_staged_is_read_until_it_is_cleared() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::of(dir.path());
        staging.stage("me/digits", "main", "offline");
        let found = staged(dir.path()).unwrap();
        assert_eq!((found.repo.as_str(), found.reason.as_str()), ("me/digits", "offline"));
        assert!(found.since.parse::<jiff::Timestamp>().is_ok());
        staging.clear();
        assert_eq!(staged(dir.path()), None);
    }

    #[test]
    fn a_base_of_another_branch_is_none() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::of(dir.path());
        let base = Base { target: target("main"), commit: "1".into(), card: "# Digits\n".into() };
        staging.keep(&base);
        assert_eq!(staging.base(&target("main")), Some(base));
        assert_eq!(staging.base(&target("next")), None);
    }

    #[test]
    fn a_conflict_is_settled_when_its_text_is_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let staging = Staging::of(dir.path());
        let text = staging.conflict(&target("main"), "theirs", "<<<<<<<");
        assert_eq!(staging.settled(&target("main")), None);
        fs::remove_file(text).unwrap();
        assert_eq!(staging.settled(&target("main")).as_deref(), Some("theirs"));
        assert_eq!(staging.settled(&target("next")), None);
    }

    #[test]
    fn a_folder_that_takes_no_files_fails_nothing() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let staging = Staging::of(file.path());
        staging.stage("me/digits", "main", "offline");
        assert_eq!(staged(file.path()), None);
    }
}
