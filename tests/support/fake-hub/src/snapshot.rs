//! The files of a repository at one commit.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::git::{self, ObjectId, TreeEntry};
use crate::lfs::LfsFile;
use crate::repository::Refusal;

/// All files of one commit, by path. Cheap to clone: the contents are shared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Snapshot {
    files: BTreeMap<String, File>,
}

/// One file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum File {
    /// Kept in git, so in this process.
    Regular(Arc<[u8]>),
    /// Kept in the storage.
    Lfs(LfsFile),
}

/// One line of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Adds the file or replaces it.
    Put { path: String, file: File },
    /// Removes one file, which must exist.
    DeleteFile { path: String },
    /// Removes all files below a folder, which must exist.
    DeleteFolder { path: String },
}

/// What a listing of a folder shows.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    File { path: &'a str, file: &'a File },
    Folder { path: &'a str, id: ObjectId },
}

impl File {
    /// A file kept in git.
    pub(crate) fn regular(content: impl Into<Arc<[u8]>>) -> Self {
        File::Regular(content.into())
    }

    /// The id of what git keeps: the content, or the pointer in its place.
    pub(crate) fn id(&self) -> ObjectId {
        match self {
            File::Regular(content) => git::blob(content),
            File::Lfs(file) => git::blob(file.pointer().as_bytes()),
        }
    }

    /// Length of the content in bytes, wherever it is kept.
    pub(crate) fn size(&self) -> u64 {
        match self {
            File::Regular(content) => content.len() as u64,
            File::Lfs(file) => file.size,
        }
    }
}

impl Snapshot {
    /// The file at this path.
    pub(crate) fn get(&self, path: &str) -> Option<&File> {
        self.files.get(path)
    }

    /// All files, by path.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &File)> {
        self.files.iter().map(|(path, file)| (path.as_str(), file))
    }

    /// Changes the files, or refuses: the path is not one that git takes, or what is to be deleted is not there.
    pub(crate) fn apply(&mut self, change: Change) -> Result<(), Refusal> {
        match change {
            Change::Put { path, file } => {
                if !is_valid(&path) {
                    return Err(Refusal::BadPath(path));
                }
                self.files.insert(path, file);
            }
            Change::DeleteFile { path } => {
                if self.files.remove(&path).is_none() {
                    return Err(Refusal::NoFile(path));
                }
            }
            Change::DeleteFolder { path } => {
                let prefix = format!("{}/", path.trim_end_matches('/'));
                let before = self.files.len();
                self.files.retain(|file, _| !file.starts_with(&prefix));
                if self.files.len() == before {
                    return Err(Refusal::NoFile(path));
                }
            }
        }
        Ok(())
    }

    /// The paths whose files differ from `older`, deleted ones included, in order.
    pub(crate) fn changed_since(&self, older: &Snapshot) -> Vec<String> {
        let paths: BTreeSet<&String> = self.files.keys().chain(older.files.keys()).collect();
        paths.into_iter().filter(|path| self.get(path) != older.get(path)).cloned().collect()
    }

    /// What lies in a folder (`""` is the root), and with `recursive` below it; nothing when there is no such folder.
    pub(crate) fn list(&self, folder: &str, recursive: bool) -> Option<Vec<Entry<'_>>> {
        let prefix = prefix_of(folder);
        let mut entries = BTreeMap::new();
        for (path, file) in self.below(&prefix) {
            let mut depth = 0;
            for (at, _) in path.match_indices('/').filter(|(at, _)| *at >= prefix.len()) {
                if depth == 0 || recursive {
                    let path = &path[..at];
                    entries.entry(path).or_insert_with(|| Entry::Folder { path, id: self.tree_id(path) });
                }
                depth += 1;
            }
            if depth == 0 || recursive {
                entries.insert(path, Entry::File { path, file });
            }
        }
        if entries.is_empty() && !folder.is_empty() { None } else { Some(entries.into_values().collect()) }
    }

    /// The file or folder at this path.
    pub(crate) fn entry<'a>(&'a self, path: &'a str) -> Option<Entry<'a>> {
        if let Some(file) = self.get(path) {
            return Some(Entry::File { path, file });
        }
        self.below(&prefix_of(path)).next()?;
        Some(Entry::Folder { path, id: self.tree_id(path) })
    }

    /// The id of a folder; `""` is the root.
    pub(crate) fn tree_id(&self, folder: &str) -> ObjectId {
        let prefix = prefix_of(folder);
        let mut folders = BTreeSet::new();
        let mut entries = Vec::new();
        for (path, file) in self.below(&prefix) {
            match path[prefix.len()..].split_once('/') {
                None => entries.push(TreeEntry::File(&path[prefix.len()..], file.id())),
                Some((name, _)) if folders.insert(name) => {
                    entries.push(TreeEntry::Folder(name, self.tree_id(&format!("{prefix}{name}"))));
                }
                Some(_) => {}
            }
        }
        git::tree(entries)
    }

    fn below<'a>(&'a self, prefix: &str) -> impl Iterator<Item = (&'a str, &'a File)> {
        self.iter().filter(move |(path, _)| path.starts_with(prefix))
    }
}

fn prefix_of(folder: &str) -> String {
    if folder.is_empty() { String::new() } else { format!("{folder}/") }
}

/// Git takes no empty, relative or `.git` part in a path.
fn is_valid(path: &str) -> bool {
    path.split('/').all(|part| !matches!(part, "" | "." | ".." | ".git"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn snapshot(files: &[(&str, &str)]) -> Snapshot {
        let mut snapshot = Snapshot::default();
        for (path, content) in files {
            let file = File::regular(content.as_bytes());
            snapshot.apply(Change::Put { path: (*path).to_owned(), file }).unwrap();
        }
        snapshot
    }

    fn paths(entries: &[Entry<'_>]) -> Vec<String> {
        let path = |entry: &Entry<'_>| match entry {
            Entry::File { path, .. } => (*path).to_owned(),
            Entry::Folder { path, .. } => format!("{path}/"),
        };
        entries.iter().map(path).collect()
    }

    #[test]
    fn the_root_has_the_id_that_git_gives_it() {
        let files = snapshot(&[("a.txt", "hello\n"), ("foo.txt", "y"), ("foo/b", "x")]);
        assert_eq!(files.tree_id("").to_string(), "045ecd347f19d7f7b1fe5181f252c7826a118708");
        assert_eq!(files.tree_id("foo").to_string(), "da981995a0f17908b3f6795c1e0c28a7e96b8a11");
    }

    #[test]
    fn a_listing_shows_one_level_or_all() {
        let files = snapshot(&[("README.md", ""), ("a/b/c", ""), ("a/d", ""), ("ab", "")]);
        assert_eq!(paths(&files.list("", false).unwrap()), ["README.md", "a/", "ab"]);
        assert_eq!(paths(&files.list("", true).unwrap()), ["README.md", "a/", "a/b/", "a/b/c", "a/d", "ab"]);
        assert_eq!(paths(&files.list("a", false).unwrap()), ["a/b/", "a/d"]);
        assert_eq!(files.list("b", true), None);
        assert_eq!(Snapshot::default().list("", true), Some(Vec::new()));
    }

    #[test]
    fn an_entry_is_a_file_a_folder_or_nothing() {
        let files = snapshot(&[("a/b", "x")]);
        assert!(matches!(files.entry("a/b"), Some(Entry::File { path: "a/b", .. })));
        assert!(matches!(files.entry("a"), Some(Entry::Folder { path: "a", .. })));
        assert_eq!(files.entry("b"), None);
    }

    #[test]
    fn deleting_needs_something_to_delete() {
        let mut files = snapshot(&[("a/b", "x"), ("a/c", "y"), ("ab", "z")]);
        let nothing = Change::DeleteFile { path: "a".to_owned() };
        assert_eq!(files.apply(nothing), Err(Refusal::NoFile("a".to_owned())));
        files.apply(Change::DeleteFolder { path: "a/".to_owned() }).unwrap();
        assert_eq!(files, snapshot(&[("ab", "z")]));
        let again = Change::DeleteFolder { path: "a".to_owned() };
        assert_eq!(files.apply(again), Err(Refusal::NoFile("a".to_owned())));
    }

    #[test]
    fn paths_that_git_refuses_are_refused() {
        for path in ["", "/a", "a/", "a//b", "../a", "a/./b", ".git/config"] {
            let change = Change::Put { path: path.to_owned(), file: File::regular(*b"x") };
            assert_eq!(Snapshot::default().apply(change), Err(Refusal::BadPath(path.to_owned())));
        }
    }

    #[test]
    fn changes_are_added_edited_and_deleted_paths() {
        let older = snapshot(&[("edited", "1"), ("deleted", "2"), ("same", "3")]);
        let newer = snapshot(&[("edited", "one"), ("added", "4"), ("same", "3")]);
        assert_eq!(newer.changed_since(&older), ["added", "deleted", "edited"]);
        assert!(newer.changed_since(&newer).is_empty());
    }
}
