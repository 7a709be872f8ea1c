//! Whether the Hub has what was sent.
//!
//! hf-hub puts weights into the commit itself when the Hub offers it no way to the storage, with a line in the log
//! and no error. And a file may be written while it is sent. So the commit is looked at afterwards: the Hub names
//! each file by git's id of its bytes, or of the pointer with their SHA-256, which is computed here from the folder.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use hf_hub::repository::{CommitOperation, RepoTreeEntry};

use crate::digest::FileDigest;
use crate::error::PushError;
use crate::files::LocalFile;
use crate::progress::{ProgressSink, PushEvent};
use crate::push_report::UploadedFile;
use crate::token::HubToken;

/// A file of the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadFile {
    /// Its path in the repository.
    pub(crate) path: String,
    pub(crate) digest: FileDigest,
    is_weights: bool,
    source: UploadContent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum UploadContent {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl UploadFile {
    /// A text or a picture that was made here.
    pub(crate) fn from_bytes(path: &str, contents: impl Into<Vec<u8>>) -> Self {
        let bytes = contents.into();
        let digest = FileDigest::from_bytes(&bytes);
        Self { path: path.to_owned(), digest, is_weights: false, source: UploadContent::Bytes(bytes) }
    }

    /// A file of the folder, which is read once to know its hashes. One that holds the token is refused; weights are
    /// not searched for it.
    pub(crate) fn from_local_file(
        file: LocalFile,
        progress: &ProgressSink,
        token: &HubToken,
    ) -> Result<Self, PushError> {
        let LocalFile { name, path, is_weights } = file;
        let mut hash_progress = HashProgress { path: &name, progress, reported_bytes: 0 };
        let mut scanner = (!is_weights).then(|| TokenScanner::new(token));
        let digest = FileDigest::from_file(&path, &mut |chunk, before, total| {
            hash_progress.report(before, total);
            if let Some(search) = &mut scanner {
                search.scan(chunk);
            }
        });
        match digest {
            Ok(_) if scanner.is_some_and(|search| search.is_found) => Err(PushError::TokenInFile { path }),
            Ok(digest) => {
                progress.emit(&PushEvent::Hashing {
                    path: name.clone(),
                    done: digest.size,
                    total: digest.size,
                });
                Ok(Self { path: name, digest, is_weights, source: UploadContent::File(path) })
            }
            Err(source) => Err(PushError::UnreadableFile { path, source }),
        }
    }

    /// Whether a Hub that puts it into git itself would do wrong.
    pub(crate) fn belongs_in_lfs(&self) -> bool {
        self.is_weights || self.digest.size > MAX_GIT_FILE_SIZE
    }

    /// The first bytes, by which the Hub sees whether a file is a text.
    pub(crate) fn preupload_sample(&self) -> io::Result<Vec<u8>> {
        let mut sample = Vec::new();
        match &self.source {
            UploadContent::Bytes(bytes) => sample.extend(bytes.iter().take(PREUPLOAD_SAMPLE_LEN)),
            UploadContent::File(path) => {
                File::open(path)?.take(PREUPLOAD_SAMPLE_LEN as u64).read_to_end(&mut sample)?;
            }
        }
        Ok(sample)
    }

    pub(crate) fn commit_operation(&self) -> CommitOperation {
        match &self.source {
            UploadContent::Bytes(bytes) => CommitOperation::add_bytes(&*self.path, bytes.clone()),
            UploadContent::File(path) => CommitOperation::add_file(&*self.path, path),
        }
    }
}

/// Above this the Hub refuses a file in git, and weights are to be in its storage anyway.
const MAX_GIT_FILE_SIZE: u64 = 10 << 20;

/// So many bytes of each file the Hub wants to see beforehand.
const PREUPLOAD_SAMPLE_LEN: usize = 512;

/// Tells how far a file has been read, not more often than anybody can look.
struct HashProgress<'a> {
    path: &'a str,
    progress: &'a ProgressSink,
    reported_bytes: u64,
}

impl HashProgress<'_> {
    fn report(&mut self, done: u64, total: u64) {
        if done == 0 || done - self.reported_bytes >= 16 << 20 {
            self.reported_bytes = done;
            self.progress.emit(&PushEvent::Hashing { path: self.path.to_owned(), done, total });
        }
    }
}

/// Looks for the token in bytes that come in chunks.
struct TokenScanner<'a> {
    token: &'a [u8],
    /// The end of the bytes before, in which the token may have begun.
    tail: Vec<u8>,
    is_found: bool,
}

impl<'a> TokenScanner<'a> {
    fn new(token: &'a HubToken) -> Self {
        Self { token: token.expose().as_bytes(), tail: Vec::new(), is_found: false }
    }

    fn scan(&mut self, chunk: &[u8]) {
        self.tail.extend_from_slice(chunk);
        self.is_found |= self.tail.windows(self.token.len()).any(|window| window == self.token);
        let kept = self.tail.len().saturating_sub(self.token.len() - 1);
        self.tail.drain(..kept);
    }
}

/// Compares a file with what the Hub says of the commit's files.
pub(crate) fn verify_stored(
    file: &UploadFile,
    entries: &[RepoTreeEntry],
) -> Result<UploadedFile, VerificationError> {
    let entry = entries.iter().find_map(|entry| match entry {
        RepoTreeEntry::File { path, oid, lfs, xet_hash, .. } if *path == file.path => {
            Some((oid, lfs.is_some() || xet_hash.is_some()))
        }
        _ => None,
    });
    let (oid, is_lfs) = entry.ok_or(VerificationError::Missing)?;
    if file.is_weights && !is_lfs {
        return Err(VerificationError::StoredInGit);
    }
    let expected = if is_lfs { file.digest.lfs_pointer_oid() } else { file.digest.git_oid.clone() };
    if *oid != expected {
        return Err(VerificationError::ContentMismatch);
    }
    Ok(UploadedFile::new(file, is_lfs))
}

/// How a file in a commit differs from the one that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum VerificationError {
    /// The commit does not have it.
    #[error("is missing; publish again")]
    Missing,
    /// Weights lie in git itself, which makes the repository heavy for ever.
    #[error(
        "lies in git, not in the storage for large files; remove it there, and ask the Hub why it offers no storage"
    )]
    StoredInGit,
    /// It has other bytes than the file in the folder.
    #[error(
        "has other bytes than the file in the folder had; was it written while it was sent? publish again"
    )]
    ContentMismatch,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `flax_model.msgpack` and `merges.txt` as the documentation of `huggingface_hub` shows them.
    fn tree_entries() -> Vec<RepoTreeEntry> {
        serde_json::from_str(
            r#"[
                {"type": "file", "path": "flax_model.safetensors", "size": 497764107,
                 "oid": "8095a62ccb4d806da7666fcda07467e2d150218e",
                 "lfs": {"oid": "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9",
                         "size": 497764107, "pointerSize": 134}},
                {"type": "file", "path": "config.json", "size": 6,
                 "oid": "ce013625030ba8dba906f756967f9e9ca394464a"},
                {"type": "directory", "path": "tokenizer.json", "size": 0,
                 "oid": "ce013625030ba8dba906f756967f9e9ca394464a"}
            ]"#,
        )
        .unwrap()
    }

    fn weights_file(path: &str) -> UploadFile {
        let digest = FileDigest {
            size: 497_764_107,
            sha256: "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9".to_owned(),
            git_oid: "ce013625030ba8dba906f756967f9e9ca394464a".to_owned(),
        };
        UploadFile {
            path: path.to_owned(),
            digest,
            is_weights: true,
            source: UploadContent::Bytes(Vec::new()),
        }
    }

    #[test]
    fn files_match_git_or_pointer_oid() {
        let file = verify_stored(&weights_file("flax_model.safetensors"), &tree_entries()).unwrap();
        assert!(file.is_lfs);
        assert_eq!(file.size, 497_764_107);
        let file =
            verify_stored(&UploadFile::from_bytes("config.json", "hello\n".to_owned()), &tree_entries())
                .unwrap();
        assert!(!file.is_lfs);
    }

    #[test]
    fn file_containing_token_is_refused() {
        let token = HubToken::new("hf_secret").unwrap();
        let file = |bytes: &[u8], is_weights| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.json");
            std::fs::write(&path, bytes).unwrap();
            let file = LocalFile { name: "config.json".to_owned(), path, is_weights };
            UploadFile::from_local_file(file, &ProgressSink::default(), &token)
        };
        // Over the edge of a chunk of one MiB.
        let mut text = vec![b' '; (1 << 20) - 4];
        text.extend_from_slice(b"hf_secret }");
        assert!(matches!(file(&text, false), Err(PushError::TokenInFile { .. })));
        assert!(file(b"hf_secre", false).is_ok());
    }

    #[test]
    fn changed_content_is_detected() {
        let mut changed = weights_file("flax_model.safetensors");
        changed.digest.size += 1;
        assert_eq!(verify_stored(&changed, &tree_entries()), Err(VerificationError::ContentMismatch));
        let changed = UploadFile::from_bytes("config.json", "hello".to_owned());
        assert_eq!(verify_stored(&changed, &tree_entries()), Err(VerificationError::ContentMismatch));
    }

    #[test]
    fn weights_stored_in_git_are_detected() {
        assert_eq!(
            verify_stored(&weights_file("config.json"), &tree_entries()),
            Err(VerificationError::StoredInGit)
        );
    }

    #[test]
    fn missing_file_is_detected() {
        for path in ["missing.json", "tokenizer.json"] {
            let sent = UploadFile::from_bytes(path, "hello\n".to_owned());
            assert_eq!(verify_stored(&sent, &tree_entries()), Err(VerificationError::Missing));
        }
    }
}
