//! Git object ids of files, folders and commits, as printed by `git hash-object`, `git write-tree` and `git
//! commit-tree`.
//!
//! The Hub uses them as the `oid` of a file or folder, the `ETag` of a regular file and the id of a commit.

use std::fmt;

use sha1::{Digest, Sha1};

/// The id of a git object: the SHA-1 of its type, length and content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ObjectId([u8; 20]);

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&hex_encode(&self.0))
    }
}

/// The id of a file with this content.
pub(crate) fn blob_id(content: &[u8]) -> ObjectId {
    object_id("blob", content)
}

/// An entry of a folder.
pub(crate) enum TreeEntry<'a> {
    /// A non-executable file.
    File(&'a str, ObjectId),
    /// A folder.
    Folder(&'a str, ObjectId),
}

/// The id of a folder with these entries.
pub(crate) fn tree_id(mut entries: Vec<TreeEntry<'_>>) -> ObjectId {
    // Git compares a folder as if its name ended in a slash: `foo.txt` sorts before the folder `foo`.
    entries.sort_by_key(|entry| match entry {
        TreeEntry::File(name, _) => (*name).to_owned(),
        TreeEntry::Folder(name, _) => format!("{name}/"),
    });
    let mut content = Vec::new();
    for entry in entries {
        let (mode, name, id) = match entry {
            TreeEntry::File(name, id) => ("100644", name, id),
            TreeEntry::Folder(name, id) => ("40000", name, id),
        };
        content.extend_from_slice(format!("{mode} {name}\0").as_bytes());
        content.extend_from_slice(&id.0);
    }
    object_id("tree", &content)
}

/// The id of a commit of this tree, created by the hub's only user at `seconds` of Unix time.
pub(crate) fn commit_id(tree: ObjectId, parent: Option<&str>, seconds: i64, message: &str) -> ObjectId {
    let parent = parent.map(|id| format!("parent {id}\n")).unwrap_or_default();
    let signature = format!("loopback <loopback@localhost> {seconds} +0000");
    object_id(
        "commit",
        format!("tree {tree}\n{parent}author {signature}\ncommitter {signature}\n\n{message}\n").as_bytes(),
    )
}

/// Bytes in lower-case hexadecimal, as used by git and LFS.
pub(crate) fn hex_encode(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn object_id(kind: &str, content: &[u8]) -> ObjectId {
    let mut hash = Sha1::new();
    hash.update(format!("{kind} {}\0", content.len()));
    hash.update(content);
    ObjectId(hash.finalize().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    // The expected ids were printed by git 2: hash-object, write-tree and commit-tree.

    #[test]
    fn blob_id_matches_git() {
        assert_eq!(blob_id(b"hello\n").to_string(), "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(blob_id(b"").to_string(), "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391");
    }

    #[test]
    fn tree_is_sorted_like_git() {
        let folder = tree_id(vec![TreeEntry::File("b", blob_id(b"x"))]);
        assert_eq!(folder.to_string(), "da981995a0f17908b3f6795c1e0c28a7e96b8a11");
        let root = tree_id(vec![
            TreeEntry::Folder("foo", folder),
            TreeEntry::File("foo.txt", blob_id(b"y")),
            TreeEntry::File("a.txt", blob_id(b"hello\n")),
        ]);
        assert_eq!(root.to_string(), "045ecd347f19d7f7b1fe5181f252c7826a118708");
    }

    #[test]
    fn commit_id_matches_git() {
        let root = tree_id(vec![
            TreeEntry::File("a.txt", blob_id(b"hello\n")),
            TreeEntry::File("foo.txt", blob_id(b"y")),
            TreeEntry::Folder("foo", tree_id(vec![TreeEntry::File("b", blob_id(b"x"))])),
        ]);
        let first = commit_id(root, None, 1_700_000_000, "A title\n\nA description");
        assert_eq!(first.to_string(), "574973afadf84a875f7661704ec1158467d76336");
        let second = commit_id(root, Some(&first.to_string()), 1_700_000_001, "Again");
        assert_eq!(second.to_string(), "feefb4ddf6f8cbf0127b8df8eb3264e8e658d6f8");
    }
}
