//! A file of the commit: generated, or of the folder.

use std::io;
use std::sync::Arc;

use bytes::Bytes;
use hf_hub::repository::{AddSource, CommitOperation, StreamSource};

use crate::digest::{FileDigest, MAX_GIT_FILE_SIZE};
use crate::error::PushError;
use crate::local_file::LocalFile;
use crate::source_file::{ReadContext, SourceFile, SourceStreams};

/// The Hub asks for this many bytes of each file before the upload.
const PREUPLOAD_SAMPLE_LEN: usize = 512;

/// A file of the commit.
#[derive(Clone)]
pub(crate) struct UploadFile {
    /// Its path in the repository.
    pub(crate) path: String,
    /// Length in bytes.
    pub(crate) size: u64,
    /// Whether the Hub must keep the file in its storage for large files rather than in git: a large file, or weights
    /// in a binary format.
    pub(crate) belongs_in_lfs: bool,
    source: UploadContent,
}

#[derive(Clone)]
enum UploadContent {
    Bytes(Bytes, FileDigest),
    File(Arc<SourceFile>),
}

impl UploadFile {
    /// A generated text or image.
    pub(crate) fn from_bytes(path: &str, contents: impl Into<Bytes>) -> Self {
        let bytes = contents.into();
        let digest = FileDigest::from_bytes(&bytes);
        let (path, size) = (path.to_owned(), digest.size);
        let belongs_in_lfs = size > MAX_GIT_FILE_SIZE;
        Self { path, size, belongs_in_lfs, source: UploadContent::Bytes(bytes, digest) }
    }

    /// A file of the folder. Small ones are read for their hashes; large ones are read when they are sent, or to compare
    /// them with the Hub's.
    pub(crate) fn from_local_file(file: LocalFile, context: &ReadContext) -> Result<Self, PushError> {
        let LocalFile { name, path, is_weights } = file;
        let source = SourceFile::open(name.clone(), path, context.clone())?;
        let size = source.size();
        if size <= MAX_GIT_FILE_SIZE {
            source.read_digest()?;
        }
        let sample = source
            .sample(PREUPLOAD_SAMPLE_LEN)
            .map_err(|error| PushError::UnreadableFile { path: source.path().to_owned(), source: error })?;
        let belongs_in_lfs = size > MAX_GIT_FILE_SIZE || (is_weights && is_binary_sample(&sample));
        Ok(Self { path: name, size, belongs_in_lfs, source: UploadContent::File(source) })
    }

    /// The hashes, for which a large file is read if necessary.
    pub(crate) fn read_digest(&self) -> Result<&FileDigest, PushError> {
        match &self.source {
            UploadContent::Bytes(_, digest) => Ok(digest),
            UploadContent::File(file) => file.read_digest(),
        }
    }

    /// Why the file could not be sent, if this was found while it was read.
    pub(crate) fn problem(&self) -> Option<PushError> {
        match &self.source {
            UploadContent::Bytes(..) => None,
            UploadContent::File(file) => file.problem(),
        }
    }

    /// The content, if it was generated.
    pub(crate) fn generated_bytes(&self) -> Option<&Bytes> {
        match &self.source {
            UploadContent::Bytes(bytes, _) => Some(bytes),
            UploadContent::File(_) => None,
        }
    }

    /// The first bytes, from which the Hub detects whether a file is text.
    pub(crate) fn preupload_sample(&self) -> io::Result<Vec<u8>> {
        match &self.source {
            UploadContent::Bytes(bytes, _) => Ok(bytes.iter().take(PREUPLOAD_SAMPLE_LEN).copied().collect()),
            UploadContent::File(file) => file.sample(PREUPLOAD_SAMPLE_LEN),
        }
    }

    pub(crate) fn commit_operation(&self) -> CommitOperation {
        let source = match &self.source {
            UploadContent::Bytes(bytes, _) => AddSource::bytes(bytes.clone()),
            UploadContent::File(file) => {
                let streams = Arc::new(SourceStreams(Arc::clone(file)));
                AddSource::stream(StreamSource::new(streams, self.size))
            }
        };
        CommitOperation::Add { path_in_repo: self.path.clone(), source }
    }
}

/// Whether the beginning of a file is no text. It may end in the middle of a character.
fn is_binary_sample(sample: &[u8]) -> bool {
    sample.contains(&0) || std::str::from_utf8(sample).is_err_and(|error| error.error_len().is_some())
}

#[cfg(test)]
impl UploadFile {
    /// The hashes; `None` for a large file that has not been read yet.
    pub(crate) fn known_digest(&self) -> Option<&FileDigest> {
        match &self.source {
            UploadContent::Bytes(_, digest) => Some(digest),
            UploadContent::File(file) => file.known_digest(),
        }
    }

    /// Weights with a known digest and no content.
    pub(crate) fn weights_with_digest(path: &str, digest: FileDigest) -> Self {
        let (path, size) = (path.to_owned(), digest.size);
        Self { path, size, belongs_in_lfs: true, source: UploadContent::Bytes(Bytes::new(), digest) }
    }
}

#[cfg(test)]
mod tests;
