//! The hashes that identify the content of a file on the Hub.

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use sootprint_core::format::hex;

/// The Hub refuses larger files in git.
pub(crate) const MAX_GIT_FILE_SIZE: u64 = 10 << 20;

/// The length and the hashes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileDigest {
    /// Length in bytes.
    pub(crate) size: u64,
    /// SHA-256 in hexadecimal, which identifies large files.
    pub(crate) sha256: String,
    /// The object id that `git hash-object` prints, which identifies small files. `None` for a file that is too large
    /// for git.
    pub(crate) git_oid: Option<String>,
}

impl FileDigest {
    pub(crate) fn from_bytes(bytes: &[u8]) -> Self {
        let mut hasher = FileHasher::new(bytes.len() as u64);
        hasher.update(bytes);
        hasher.finish()
    }

    /// The object id of the LFS pointer, which git keeps in place of a file in the Hub's storage.
    ///
    /// <https://github.com/git-lfs/git-lfs/blob/main/docs/spec.md>
    pub(crate) fn lfs_pointer_oid(&self) -> String {
        let Self { sha256, size, .. } = self;
        let pointer =
            format!("version https://git-lfs.github.com/spec/v1\noid sha256:{sha256}\nsize {size}\n");
        git_object_id(pointer.as_bytes())
    }
}

fn git_object_id(bytes: &[u8]) -> String {
    let header = Sha1::new_with_prefix(format!("blob {}\0", bytes.len()));
    hex(&header.chain_update(bytes).finalize())
}

/// Computes both hashes. git's object id includes the length, which must therefore be given first.
pub(crate) struct FileHasher {
    size: u64,
    sha256: Sha256,
    git: Option<Sha1>,
}

impl FileHasher {
    pub(crate) fn new(size: u64) -> Self {
        let is_small = size <= MAX_GIT_FILE_SIZE;
        let git = is_small.then(|| Sha1::new_with_prefix(format!("blob {size}\0")));
        Self { size, sha256: Sha256::new(), git }
    }

    pub(crate) fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        if let Some(git) = &mut self.git {
            git.update(bytes);
        }
    }

    pub(crate) fn finish(self) -> FileDigest {
        FileDigest {
            size: self.size,
            sha256: hex(&self.sha256.finalize()),
            git_oid: self.git.map(|git| hex(&git.finalize())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_matches_git_and_sha256sum() {
        let digest = FileDigest::from_bytes(b"hello\n");
        assert_eq!(digest.size, 6);
        assert_eq!(digest.git_oid.as_deref(), Some("ce013625030ba8dba906f756967f9e9ca394464a"));
        assert_eq!(digest.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    }

    #[test]
    fn large_file_has_no_git_id() {
        assert!(FileHasher::new(MAX_GIT_FILE_SIZE).finish().git_oid.is_some());
        assert_eq!(FileHasher::new(MAX_GIT_FILE_SIZE + 1).finish().git_oid, None);
    }

    /// `flax_model.msgpack` in the example of `list_repo_tree` in the documentation of `huggingface_hub`.
    #[test]
    fn lfs_pointer_oid_matches_hub() {
        let digest = FileDigest {
            size: 497_764_107,
            sha256: "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9".to_owned(),
            git_oid: None,
        };
        assert_eq!(digest.lfs_pointer_oid(), "8095a62ccb4d806da7666fcda07467e2d150218e");
    }
}
