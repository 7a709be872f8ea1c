//! What changes when a file is replaced, besides its contents.

use std::fmt;
use std::path::Path;

/// A property of a card's file that could not be kept when the file was replaced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileChange {
    /// The file belongs to the current user now, because only root can give a file away.
    Owner,
    /// The file has the group of the current user now, because the user is not a member of the old group.
    Group,
    /// The file had this many other hard links. They still lead to the old card.
    HardLinks(u64),
}

impl fmt::Display for FileChange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner => f.write_str("the card now belongs to the current user"),
            Self::Group => f.write_str("the card now has the group of the current user"),
            Self::HardLinks(1) => f.write_str("another hard link to the card still has the old text"),
            Self::HardLinks(count) => {
                write!(f, "{count} other hard links to the card still have the old text")
            }
        }
    }
}

/// Runs `replace` and returns the changes of the file at `path` that it causes. Only Unix reports owners and links.
///
/// # Errors
/// The error of `replace`.
#[cfg(unix)]
pub(crate) fn changes_by<E>(
    path: &Path,
    replace: impl FnOnce() -> Result<(), E>,
) -> Result<Vec<FileChange>, E> {
    use std::os::unix::fs::MetadataExt as _;

    let before = std::fs::metadata(path);
    replace()?;
    let (Ok(before), Ok(after)) = (before, std::fs::metadata(path)) else { return Ok(Vec::new()) };
    let links = before.nlink().saturating_sub(1);
    let changes = [
        (before.uid() != after.uid(), FileChange::Owner),
        (before.gid() != after.gid(), FileChange::Group),
        (links > 0, FileChange::HardLinks(links)),
    ];
    Ok(changes.into_iter().filter_map(|(is_changed, change)| is_changed.then_some(change)).collect())
}

#[cfg(not(unix))]
pub(crate) fn changes_by<E>(
    _path: &Path,
    replace: impl FnOnce() -> Result<(), E>,
) -> Result<Vec<FileChange>, E> {
    replace().map(|()| Vec::new())
}
