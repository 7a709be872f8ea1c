//! The hashes that identify the content of a file on the Hub.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use sha1::Sha1;
use sha2::{Digest as _, Sha256};
use sootprint_core::format::hex;

/// Bytes per read.
const CHUNK_SIZE: usize = 1 << 20;

/// The length and the hashes of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FileDigest {
    /// Length in bytes.
    pub(crate) size: u64,
    /// SHA-256 in hexadecimal, which identifies large files.
    pub(crate) sha256: String,
    /// The object id that `git hash-object` prints, which identifies small files.
    pub(crate) git_oid: String,
}

impl FileDigest {
    /// Reads a file once, in chunks. `on_chunk` gets each chunk, the number of bytes before it, and the length of the
    /// file.
    pub(crate) fn from_file(path: &Path, on_chunk: &mut dyn FnMut(&[u8], u64, u64)) -> io::Result<Self> {
        let file = File::open(path)?;
        let size = file.metadata()?.len();
        Self::from_reader(file, size, on_chunk)
    }

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
        Self::from_bytes(pointer.as_bytes()).git_oid
    }

    fn from_reader(
        mut source: impl Read,
        size: u64,
        on_chunk: &mut dyn FnMut(&[u8], u64, u64),
    ) -> io::Result<Self> {
        let mut hasher = FileHasher::new(size);
        let mut chunk = vec![0; CHUNK_SIZE];
        let mut read = 0;
        loop {
            match source.read(&mut chunk) {
                Ok(0) if read == size => return Ok(hasher.finish()),
                Ok(0) => return Err(io::Error::other("file changed while being read")),
                Ok(length) => {
                    hasher.update(&chunk[..length]);
                    on_chunk(&chunk[..length], read, size);
                    read += length as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Computes both hashes. git's object id includes the length, which must therefore be given first.
struct FileHasher {
    size: u64,
    sha256: Sha256,
    git: Sha1,
}

impl FileHasher {
    fn new(size: u64) -> Self {
        Self { size, sha256: Sha256::new(), git: Sha1::new_with_prefix(format!("blob {size}\0")) }
    }

    fn update(&mut self, bytes: &[u8]) {
        self.sha256.update(bytes);
        self.git.update(bytes);
    }

    fn finish(self) -> FileDigest {
        FileDigest {
            size: self.size,
            sha256: hex(&self.sha256.finalize()),
            git_oid: hex(&self.git.finalize()),
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
        assert_eq!(digest.git_oid, "ce013625030ba8dba906f756967f9e9ca394464a");
        assert_eq!(digest.sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    }

    #[test]
    fn chunked_file_digest_matches_bytes() {
        let bytes: Vec<u8> = (0..2 * CHUNK_SIZE + 3).map(|index| (index % 251) as u8).collect();
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), &bytes).unwrap();
        assert_eq!(
            FileDigest::from_file(file.path(), &mut |_, _, _| {}).unwrap(),
            FileDigest::from_bytes(&bytes)
        );
        let mut seen = Vec::new();
        FileDigest::from_file(file.path(), &mut |chunk, before, size| {
            assert_eq!((before, size), (seen.len() as u64, bytes.len() as u64));
            seen.extend_from_slice(chunk);
        })
        .unwrap();
        assert!(seen == bytes);
    }

    #[test]
    fn wrong_length_is_an_error() {
        assert!(FileDigest::from_reader(&b"hello"[..], 6, &mut |_, _, _| {}).is_err());
    }

    /// `flax_model.msgpack` in the example of `list_repo_tree` in the documentation of `huggingface_hub`.
    #[test]
    fn lfs_pointer_oid_matches_hub() {
        let digest = FileDigest {
            size: 497_764_107,
            sha256: "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9".to_owned(),
            git_oid: String::new(),
        };
        assert_eq!(digest.lfs_pointer_oid(), "8095a62ccb4d806da7666fcda07467e2d150218e");
    }
}
