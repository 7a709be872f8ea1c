//! A file of the commit, with its hashes.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use hf_hub::repository::CommitOperation;

use crate::digest::FileDigest;
use crate::error::PushError;
use crate::files::LocalFile;
use crate::progress::{ProgressSink, PushEvent};
use crate::token::HubToken;

/// The Hub refuses larger files in git.
const MAX_GIT_FILE_SIZE: u64 = 10 << 20;

/// The Hub asks for this many bytes of each file before the upload.
const PREUPLOAD_SAMPLE_LEN: usize = 512;

/// Bytes between two progress events while a file is hashed.
const PROGRESS_STEP: u64 = 16 << 20;

/// A file of the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadFile {
    /// Its path in the repository.
    pub(crate) path: String,
    pub(crate) digest: FileDigest,
    /// Whether the Hub must keep the file in its storage for large files rather than in git: a large file, or weights
    /// in a binary format.
    pub(crate) belongs_in_lfs: bool,
    source: UploadContent,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum UploadContent {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl UploadFile {
    /// A generated text or image.
    pub(crate) fn from_bytes(path: &str, contents: impl Into<Vec<u8>>) -> Self {
        let bytes = contents.into();
        let digest = FileDigest::from_bytes(&bytes);
        let belongs_in_lfs = digest.size > MAX_GIT_FILE_SIZE;
        Self { path: path.to_owned(), digest, belongs_in_lfs, source: UploadContent::Bytes(bytes) }
    }

    /// A file of the folder, which is read once for its hashes. Files other than weights are searched for the token on
    /// the way, and refused if they contain it.
    pub(crate) fn from_local_file(
        file: LocalFile,
        progress: &ProgressSink,
        token: &HubToken,
    ) -> Result<Self, PushError> {
        let LocalFile { name, path, is_weights } = file;
        let mut hash_progress = HashProgress { path: &name, progress, reported_bytes: 0 };
        let mut scanner = (!is_weights).then(|| TokenScanner::new(token));
        let mut is_binary = false;
        let digest = FileDigest::from_file(&path, &mut |chunk, before, total| {
            hash_progress.report(before, total);
            is_binary |= before == 0 && is_binary_sample(&chunk[..chunk.len().min(PREUPLOAD_SAMPLE_LEN)]);
            if let Some(scanner) = &mut scanner {
                scanner.scan(chunk);
            }
        });
        match digest {
            Ok(_) if scanner.is_some_and(|scanner| scanner.is_found) => Err(PushError::TokenInFile { path }),
            Ok(digest) => {
                progress.emit(&PushEvent::Hashing {
                    path: name.clone(),
                    done: digest.size,
                    total: digest.size,
                });
                let belongs_in_lfs = digest.size > MAX_GIT_FILE_SIZE || (is_weights && is_binary);
                Ok(Self { path: name, digest, belongs_in_lfs, source: UploadContent::File(path) })
            }
            Err(source) => Err(PushError::UnreadableFile { path, source }),
        }
    }

    /// The first bytes, from which the Hub detects whether a file is text.
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

/// Whether the beginning of a file is no text. It may end in the middle of a character.
fn is_binary_sample(sample: &[u8]) -> bool {
    sample.contains(&0) || std::str::from_utf8(sample).is_err_and(|error| error.error_len().is_some())
}

/// Reports how much of a file has been hashed, at most once per [`PROGRESS_STEP`].
struct HashProgress<'a> {
    path: &'a str,
    progress: &'a ProgressSink,
    reported_bytes: u64,
}

impl HashProgress<'_> {
    fn report(&mut self, done: u64, total: u64) {
        if done == 0 || done - self.reported_bytes >= PROGRESS_STEP {
            self.reported_bytes = done;
            self.progress.emit(&PushEvent::Hashing { path: self.path.to_owned(), done, total });
        }
    }
}

/// Searches a stream of chunks for the token.
struct TokenScanner<'a> {
    token: &'a [u8],
    /// The end of the previous chunk, which may contain the beginning of the token.
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

#[cfg(test)]
impl UploadFile {
    /// Weights with a known digest and no content.
    pub(crate) fn weights_with_digest(path: &str, digest: FileDigest) -> Self {
        Self { path: path.to_owned(), digest, belongs_in_lfs: true, source: UploadContent::Bytes(Vec::new()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        // The token crosses the boundary between two chunks of 1 MiB.
        let mut text = vec![b' '; (1 << 20) - 4];
        text.extend_from_slice(b"hf_secret }");
        assert!(matches!(file(&text, false), Err(PushError::TokenInFile { .. })));
        assert!(file(b"hf_secre", false).is_ok());
    }
}
