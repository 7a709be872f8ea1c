//! Whether the Hub has what was sent.
//!
//! hf-hub puts weights into the commit itself when the Hub offers it no way to the storage, with a line in the log
//! and no error. And a file may be written while it is sent. So the commit is looked at afterwards: the Hub names
//! each file by git's id of its bytes, or of the pointer with their SHA-256, which is computed here from the folder.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::PathBuf;

use hf_hub::repository::{CommitOperation, RepoTreeEntry};

use crate::digest::Digest;
use crate::error::PublishError;
use crate::events::{Event, Listener};
use crate::files::LocalFile;
use crate::published::PublishedFile;
use crate::token::Token;

/// A file of the commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Sent {
    /// Its path in the repository.
    pub(crate) path: String,
    pub(crate) digest: Digest,
    is_weights: bool,
    source: Source,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Source {
    Bytes(Vec<u8>),
    File(PathBuf),
}

impl Sent {
    /// A text or a picture that was made here.
    pub(crate) fn bytes(path: &str, contents: impl Into<Vec<u8>>) -> Self {
        let bytes = contents.into();
        let digest = Digest::of_bytes(&bytes);
        Self { path: path.to_owned(), digest, is_weights: false, source: Source::Bytes(bytes) }
    }

    /// A file of the folder, which is read once to know its hashes. One that holds the token is refused; weights are
    /// not searched for it.
    pub(crate) fn file(file: LocalFile, listener: &Listener, token: &Token) -> Result<Self, PublishError> {
        let LocalFile { name, path, is_weights } = file;
        let mut reading = Reading { path: &name, listener, told: 0 };
        let mut search = (!is_weights).then(|| Search::new(token));
        let digest = Digest::of_file(&path, &mut |chunk, before, total| {
            reading.tell(before, total);
            if let Some(search) = &mut search {
                search.look_at(chunk);
            }
        });
        match digest {
            Ok(_) if search.is_some_and(|search| search.found) => Err(PublishError::TokenInFile { path }),
            Ok(digest) => {
                listener.tell(&Event::Hashing { path: name.clone(), done: digest.size, total: digest.size });
                Ok(Self { path: name, digest, is_weights, source: Source::File(path) })
            }
            Err(source) => Err(PublishError::File { path, source }),
        }
    }

    /// Whether a Hub that puts it into git itself would do wrong.
    pub(crate) fn belongs_into_storage(&self) -> bool {
        self.is_weights || self.digest.size > LARGEST_IN_GIT
    }

    /// The first bytes, by which the Hub sees whether a file is a text.
    pub(crate) fn sample(&self) -> io::Result<Vec<u8>> {
        let mut sample = Vec::new();
        match &self.source {
            Source::Bytes(bytes) => sample.extend(bytes.iter().take(SAMPLE)),
            Source::File(path) => {
                File::open(path)?.take(SAMPLE as u64).read_to_end(&mut sample)?;
            }
        }
        Ok(sample)
    }

    pub(crate) fn operation(&self) -> CommitOperation {
        match &self.source {
            Source::Bytes(bytes) => CommitOperation::add_bytes(&*self.path, bytes.clone()),
            Source::File(path) => CommitOperation::add_file(&*self.path, path),
        }
    }
}

/// Above this the Hub refuses a file in git, and weights are to be in its storage anyway.
const LARGEST_IN_GIT: u64 = 10 << 20;

/// So many bytes of each file the Hub wants to see beforehand.
const SAMPLE: usize = 512;

/// Tells how far a file has been read, not more often than anybody can look.
struct Reading<'a> {
    path: &'a str,
    listener: &'a Listener,
    told: u64,
}

impl Reading<'_> {
    fn tell(&mut self, done: u64, total: u64) {
        if done == 0 || done - self.told >= 16 << 20 {
            self.told = done;
            self.listener.tell(&Event::Hashing { path: self.path.to_owned(), done, total });
        }
    }
}

/// Looks for the token in bytes that come in chunks.
struct Search<'a> {
    token: &'a [u8],
    /// The end of the bytes before, in which the token may have begun.
    tail: Vec<u8>,
    found: bool,
}

impl<'a> Search<'a> {
    fn new(token: &'a Token) -> Self {
        Self { token: token.expose().as_bytes(), tail: Vec::new(), found: false }
    }

    fn look_at(&mut self, chunk: &[u8]) {
        self.tail.extend_from_slice(chunk);
        self.found |= self.tail.windows(self.token.len()).any(|window| window == self.token);
        let kept = self.tail.len().saturating_sub(self.token.len() - 1);
        self.tail.drain(..kept);
    }
}

/// Compares a file with what the Hub says of the commit's files.
pub(crate) fn stored(sent: &Sent, entries: &[RepoTreeEntry]) -> Result<PublishedFile, Discrepancy> {
    let entry = entries.iter().find_map(|entry| match entry {
        RepoTreeEntry::File { path, oid, lfs, xet_hash, .. } if *path == sent.path => {
            Some((oid, lfs.is_some() || xet_hash.is_some()))
        }
        _ => None,
    });
    let (oid, is_lfs) = entry.ok_or(Discrepancy::Missing)?;
    if sent.is_weights && !is_lfs {
        return Err(Discrepancy::InGit);
    }
    let expected = if is_lfs { sent.digest.pointer_id() } else { sent.digest.git_id.clone() };
    if *oid != expected {
        return Err(Discrepancy::OtherBytes);
    }
    Ok(PublishedFile::new(sent, is_lfs))
}

/// How a file in a commit differs from the one that was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Discrepancy {
    /// The commit does not have it.
    #[error("is missing; publish again")]
    Missing,
    /// Weights lie in git itself, which makes the repository heavy for ever.
    #[error(
        "lies in git, not in the storage for large files; remove it there, and ask the Hub why it offers no storage"
    )]
    InGit,
    /// It has other bytes than the file in the folder.
    #[error(
        "has other bytes than the file in the folder had; was it written while it was sent? publish again"
    )]
    OtherBytes,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `flax_model.msgpack` and `merges.txt` as the documentation of `huggingface_hub` shows them.
    fn entries() -> Vec<RepoTreeEntry> {
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

    fn weights(path: &str) -> Sent {
        let digest = Digest {
            size: 497_764_107,
            sha256: "d88b0d6a6ff9c3f8151f9d3228f57092aaea997f09af009eefd7373a77b5abb9".to_owned(),
            git_id: "ce013625030ba8dba906f756967f9e9ca394464a".to_owned(),
        };
        Sent { path: path.to_owned(), digest, is_weights: true, source: Source::Bytes(Vec::new()) }
    }

    #[test]
    fn files_are_known_by_git_s_id_of_their_bytes_or_of_their_pointer() {
        let file = stored(&weights("flax_model.safetensors"), &entries()).unwrap();
        assert!(file.is_lfs);
        assert_eq!(file.size, 497_764_107);
        let file = stored(&Sent::bytes("config.json", "hello\n".to_owned()), &entries()).unwrap();
        assert!(!file.is_lfs);
    }

    #[test]
    fn a_file_that_holds_the_token_is_refused_and_one_that_does_not_is_read() {
        let token = Token::new("hf_secret").unwrap();
        let file = |bytes: &[u8], is_weights| {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("config.json");
            std::fs::write(&path, bytes).unwrap();
            let file = LocalFile { name: "config.json".to_owned(), path, is_weights };
            Sent::file(file, &Listener::default(), &token)
        };
        // Over the edge of a chunk of one MiB.
        let mut text = vec![b' '; (1 << 20) - 4];
        text.extend_from_slice(b"hf_secret }");
        assert!(matches!(file(&text, false), Err(PublishError::TokenInFile { .. })));
        assert!(file(b"hf_secre", false).is_ok());
    }

    #[test]
    fn other_bytes_are_noticed() {
        let mut changed = weights("flax_model.safetensors");
        changed.digest.size += 1;
        assert_eq!(stored(&changed, &entries()), Err(Discrepancy::OtherBytes));
        let changed = Sent::bytes("config.json", "hello".to_owned());
        assert_eq!(stored(&changed, &entries()), Err(Discrepancy::OtherBytes));
    }

    #[test]
    fn weights_in_git_are_noticed_although_their_bytes_are_right() {
        assert_eq!(stored(&weights("config.json"), &entries()), Err(Discrepancy::InGit));
    }

    #[test]
    fn a_missing_file_is_noticed() {
        for path in ["missing.json", "tokenizer.json"] {
            let sent = Sent::bytes(path, "hello\n".to_owned());
            assert_eq!(stored(&sent, &entries()), Err(Discrepancy::Missing));
        }
    }
}
