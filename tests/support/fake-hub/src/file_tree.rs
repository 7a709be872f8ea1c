//! The files of a repository at one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::error::RepositoryError;
use crate::git::{self, ObjectId, TreeEntry};
use crate::lfs::LfsFile;

/// All files of one commit, by path. Cheap to clone, because the contents are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct FileTree {
    files: BTreeMap<String, RepositoryFile>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum RepositoryFile {
    /// Kept in git, in the memory of this process.
    Regular(Arc<[u8]>),
    /// Kept in the storage.
    Lfs(LfsFile),
}

/// One change of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum FileChange {
    /// Adds or replaces the file.
    Put { path: String, file: RepositoryFile },
    /// Removes one file, which must exist.
    DeleteFile { path: String },
    /// Removes all files below a folder, which must exist.
    DeleteFolder { path: String },
}

/// An entry of a folder listing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum ListingEntry<'a> {
    File { path: &'a str, file: &'a RepositoryFile },
    Folder { path: &'a str, id: ObjectId },
}

impl RepositoryFile {
    /// A file kept in git.
    pub(crate) fn regular(content: impl Into<Arc<[u8]>>) -> Self {
        RepositoryFile::Regular(content.into())
    }

    /// The id of the git blob: the content, or the LFS pointer.
    pub(crate) fn id(&self) -> ObjectId {
        match self {
            RepositoryFile::Regular(content) => git::blob_id(content),
            RepositoryFile::Lfs(file) => git::blob_id(file.pointer().as_bytes()),
        }
    }

    /// Length of the content in bytes, for both kinds of file.
    pub(crate) fn size(&self) -> u64 {
        match self {
            RepositoryFile::Regular(content) => content.len() as u64,
            RepositoryFile::Lfs(file) => file.size,
        }
    }
}

impl FileTree {
    /// The file at this path.
    pub(crate) fn get(&self, path: &str) -> Option<&RepositoryFile> {
        self.files.get(path)
    }

    /// All files, by path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &RepositoryFile)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// Applies the changes; fails if git does not allow a path or a file to delete does not exist.
    pub(crate) fn apply(&mut self, change: FileChange) -> Result<(), RepositoryError> {
        match change {
            FileChange::Put { path, file } => {
                if !is_valid_path(&path) {
                    return Err(RepositoryError::InvalidPath(path));
                }
                self.files.insert(path, file);
            }
            FileChange::DeleteFile { path } => {
                if self.files.remove(&path).is_none() {
                    return Err(RepositoryError::FileNotFound(path));
                }
            }
            FileChange::DeleteFolder { path } => {
                let prefix = format!("{}/", path.trim_end_matches('/'));
                let before = self.files.len();
                self.files.retain(|file, _| !file.starts_with(&prefix));
                if self.files.len() == before {
                    return Err(RepositoryError::FileNotFound(path));
                }
            }
        }
        Ok(())
    }

    /// The paths whose files differ from `older`, including deleted ones, in order.
    pub(crate) fn changed_since(&self, older: &FileTree) -> Vec<String> {
        let paths: BTreeSet<&String> = self.files.keys().chain(older.files.keys()).collect();
        paths.into_iter().filter(|path| self.get(path) != older.get(path)).cloned().collect()
    }

    /// The entries of a folder (`""` is the root), with `recursive` including its subfolders; `None` if it
    /// does not exist.
    pub(crate) fn list(&self, folder: &str, recursive: bool) -> Option<Vec<ListingEntry<'_>>> {
        let prefix = folder_prefix(folder);
        let mut entries = BTreeMap::new();
        for (path, file) in self.files_under(&prefix) {
            let mut depth = 0;
            for (at, _) in path.match_indices('/').filter(|(at, _)| *at >= prefix.len()) {
                if depth == 0 || recursive {
                    let path = &path[..at];
                    entries
                        .entry(path)
                        .or_insert_with(|| ListingEntry::Folder { path, id: self.tree_id(path) });
                }
                depth += 1;
            }
            if depth == 0 || recursive {
                entries.insert(path, ListingEntry::File { path, file });
            }
        }
        if entries.is_empty() && !folder.is_empty() { None } else { Some(entries.into_values().collect()) }
    }

    /// The file or folder at this path.
    pub(crate) fn entry<'a>(&'a self, path: &'a str) -> Option<ListingEntry<'a>> {
        if let Some(file) = self.get(path) {
            return Some(ListingEntry::File { path, file });
        }
        self.files_under(&folder_prefix(path)).next()?;
        Some(ListingEntry::Folder { path, id: self.tree_id(path) })
    }

    /// The id of a folder; `""` is the root.
    pub(crate) fn tree_id(&self, folder: &str) -> ObjectId {
        let prefix = folder_prefix(folder);
        let mut folders = BTreeSet::new();
        let mut entries = Vec::new();
        for (path, file) in self.files_under(&prefix) {
            match path[prefix.len()..].split_once('/') {
                None => entries.push(TreeEntry::File(&path[prefix.len()..], file.id())),
                Some((name, _)) if folders.insert(name) => {
                    entries.push(TreeEntry::Folder(name, self.tree_id(&format!("{prefix}{name}"))));
                }
                Some(_) => {}
            }
        }
        git::tree_id(entries)
    }

    fn files_under<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a RepositoryFile)> {
        self.iter().filter(move |(path, _)| path.starts_with(prefix))
    }
}

fn folder_prefix(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!("{folder}/") }
}

/// Git allows no empty, relative or `.git` component in a path.
fn is_valid_path(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file_tree(files: &[(&str, &str)]) -> FileTree {
        let mut snapshot = FileTree::default();
        for (path, content) in files {
            let file = RepositoryFile::regular(content.as_bytes());
            snapshot.apply(FileChange::Put { path: (*path).to_owned(), file }).unwrap();
        }
        snapshot
    }

    fn entry_paths(entries: &[ListingEntry<'_>]) -> Vec<String> {
        let path = |entry: &ListingEntry<'_>| match entry {
            ListingEntry::File { path, .. } => (*path).to_owned(),
            ListingEntry::Folder { path, .. } => format!("{path}/"),
        };
        entries.iter().map(path).collect()
    }

    #[test]
    fn root_tree_id_matches_git() {
        let files = file_tree(&[("a.txt", "hello\n"), ("foo.txt", "y"), ("foo/b", "x")]);
        assert_eq!(files.tree_id("").to_string(), "045ecd347f19d7f7b1fe5181f252c7826a118708");
        assert_eq!(files.tree_id("foo").to_string(), "da981995a0f17908b3f6795c1e0c28a7e96b8a11");
    }

    #[test]
    fn listing_is_flat_or_recursive() {
        let files = file_tree(&[("README.md", ""), ("a/b/c", ""), ("a/d", ""), ("ab", "")]);
        assert_eq!(entry_paths(&files.list("", false).unwrap()), ["README.md", "a/", "ab"]);
        assert_eq!(
            entry_paths(&files.list("", true).unwrap()),
            ["README.md", "a/", "a/b/", "a/b/c", "a/d", "ab"]
        );
        assert_eq!(entry_paths(&files.list("a", false).unwrap()), ["a/b/", "a/d"]);
        assert_eq!(files.list("b", true), None);
        assert_eq!(FileTree::default().list("", true), Some(Vec::new()));
    }

    #[test]
    fn entry_is_file_folder_or_none() {
        let files = file_tree(&[("a/b", "x")]);
        assert!(matches!(files.entry("a/b"), Some(ListingEntry::File { path: "a/b", .. })));
        assert!(matches!(files.entry("a"), Some(ListingEntry::Folder { path: "a", .. })));
        assert_eq!(files.entry("b"), None);
    }

    #[test]
    fn deleting_missing_path_is_rejected() {
        let mut files = file_tree(&[("a/b", "x"), ("a/c", "y"), ("ab", "z")]);
        let nothing = FileChange::DeleteFile { path: "a".to_owned() };
        assert_eq!(files.apply(nothing), Err(RepositoryError::FileNotFound("a".to_owned())));
        files.apply(FileChange::DeleteFolder { path: "a/".to_owned() }).unwrap();
        assert_eq!(files, file_tree(&[("ab", "z")]));
        let again = FileChange::DeleteFolder { path: "a".to_owned() };
        assert_eq!(files.apply(again), Err(RepositoryError::FileNotFound("a".to_owned())));
    }

    #[test]
    fn invalid_git_path_is_rejected() {
        for path in ["", "/a", "a/", "a//b", "../a", "a/./b", ".git/config"] {
            let change = FileChange::Put { path: path.to_owned(), file: RepositoryFile::regular(*b"x") };
            assert_eq!(FileTree::default().apply(change), Err(RepositoryError::InvalidPath(path.to_owned())));
        }
    }

    #[test]
    fn changed_since_lists_every_change() {
        let older = file_tree(&[("edited", "1"), ("deleted", "2"), ("same", "3")]);
        let newer = file_tree(&[("edited", "one"), ("added", "4"), ("same", "3")]);
        assert_eq!(newer.changed_since(&older), ["added", "deleted", "edited"]);
        assert!(newer.changed_since(&newer).is_empty());
    }
}
