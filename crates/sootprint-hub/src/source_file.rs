//! A file of the folder: hashed, searched for secrets and sent from the same handle.
//!
//! hf-hub reads a file twice: for its SHA-256, and to send it. The hashes and the search are done during the first of
//! these passes, so that large files are not read a third time. A file that changes after the first pass is an error
//! during the second one, before the commit.

use std::fs::{self, File, Metadata};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::SystemTime;

use bytes::Bytes;
use futures_util::stream;
use hf_hub::HFError;
use hf_hub::repository::{SourceByteStream, StreamFactory};
use sootprint_core::sync::lock_ignoring_poison;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinHandle, spawn_blocking};

use crate::digest::{FileDigest, FileHasher, MAX_GIT_FILE_SIZE};
use crate::error::PushError;
use crate::progress::{ProgressSink, PushEvent};
use crate::secret_scan::{Secret, SecretScanner};
use crate::token::HubToken;

/// Bytes per read. The storage client's memory depends on it.
const BLOCK_LEN: usize = 1 << 20;

/// Bytes between two progress events while a file is hashed.
const PROGRESS_STEP: u64 = 16 << 20;

/// What all files of a push share.
#[derive(Clone)]
pub(crate) struct ReadContext {
    pub(crate) token: HubToken,
    pub(crate) progress: ProgressSink,
    /// Files are sent one after the other: each file in transfer takes up to 128 MB.
    pub(crate) transfer: Arc<Semaphore>,
}

impl ReadContext {
    pub(crate) fn new(token: HubToken, progress: ProgressSink) -> Self {
        Self { token, progress, transfer: Arc::new(Semaphore::new(1)) }
    }
}

/// An open file of the folder.
pub(crate) struct SourceFile {
    /// Its path in the repository.
    name: String,
    path: PathBuf,
    /// `None` for a small file, so that a folder of many files does not exceed the limit on open files. Such a file is
    /// opened again for each pass, and must be the same one.
    file: Option<Arc<File>>,
    stamp: FileStamp,
    context: ReadContext,
    digest: OnceLock<FileDigest>,
    /// Why the file cannot be sent, found while hf-hub reads it.
    problem: Mutex<Option<FileProblem>>,
}

/// Why a file cannot be sent.
#[derive(Debug, Clone, Copy)]
enum FileProblem {
    Secret(Secret),
    Changed,
}

impl SourceFile {
    /// Opens a file. `path` has no links; one that was put in its place since is refused.
    pub(crate) fn open(name: String, path: PathBuf, context: ReadContext) -> Result<Arc<Self>, PushError> {
        let open = || {
            let file = File::open(&path)?;
            let stamp = FileStamp::new(&file.metadata()?);
            let is_same =
                fs::symlink_metadata(&path).is_ok_and(|it| it.is_file() && FileStamp::new(&it) == stamp);
            Ok((file, stamp, is_same && fs::canonicalize(&path)? == path))
        };
        match open() {
            Ok((file, stamp, true)) => {
                let (digest, problem) = (OnceLock::new(), Mutex::new(None));
                let file = (stamp.length > MAX_GIT_FILE_SIZE).then(|| Arc::new(file));
                Ok(Arc::new(Self { name, path, file, stamp, context, digest, problem }))
            }
            Ok(_) => Err(PushError::FileChanged { path }),
            Err(source) => Err(PushError::UnreadableFile { path, source }),
        }
    }

    pub(crate) fn size(&self) -> u64 {
        self.stamp.length
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The first bytes.
    pub(crate) fn sample(&self, length: usize) -> io::Result<Vec<u8>> {
        let mut sample = vec![0; length];
        let read = read_full_at(&*self.handle()?, &mut sample, 0)?;
        sample.truncate(read);
        Ok(sample)
    }

    /// The hashes, if the file has been read.
    #[cfg(test)]
    pub(crate) fn known_digest(&self) -> Option<&FileDigest> {
        self.digest.get()
    }

    /// Reads the file for its hashes, unless it has been read already, and searches it for secrets.
    pub(crate) fn read_digest(&self) -> Result<&FileDigest, PushError> {
        if let Some(digest) = self.digest.get() {
            return Ok(digest);
        }
        let unreadable = |source| PushError::UnreadableFile { path: self.path.clone(), source };
        let handle = self.handle().map_err(|error| self.problem().unwrap_or_else(|| unreadable(error)))?;
        let mut pass = FirstPass::new(self);
        let mut offset = 0;
        loop {
            let block = read_block(&handle, offset).map_err(unreadable)?;
            if block.is_empty() {
                break;
            }
            pass.update(&block);
            offset += block.len() as u64;
        }
        self.finish_pass(&handle, Some(pass), offset);
        match (self.problem(), self.digest.get()) {
            (Some(error), _) => Err(error),
            (None, Some(digest)) => Ok(digest),
            (None, None) => Err(PushError::FileChanged { path: self.path.clone() }),
        }
    }

    /// The error that stopped hf-hub from reading the file.
    pub(crate) fn problem(&self) -> Option<PushError> {
        let problem = *lock_ignoring_poison(&self.problem);
        problem.map(|problem| match problem {
            FileProblem::Secret(Secret::Token) => PushError::TokenInFile { path: self.path.clone() },
            FileProblem::Secret(Secret::PrivateKey) => {
                PushError::PrivateKeyInFile { path: self.path.clone() }
            }
            FileProblem::Changed => PushError::FileChanged { path: self.path.clone() },
        })
    }

    /// The open file. A small one is opened again; another file in its place counts as a change.
    fn handle(&self) -> io::Result<Arc<File>> {
        if let Some(file) = &self.file {
            return Ok(Arc::clone(file));
        }
        let file = File::open(&self.path);
        let is_same = |file: &File| file.metadata().is_ok_and(|it| FileStamp::new(&it) == self.stamp);
        if !file.as_ref().is_ok_and(is_same) {
            *lock_ignoring_poison(&self.problem) = Some(FileProblem::Changed);
            return Err(io::Error::other("the file was replaced"));
        }
        file.map(Arc::new)
    }

    /// Ends a pass that has read `length` bytes. Returns whether the file may be sent.
    fn finish_pass(&self, handle: &File, first: Option<FirstPass>, length: u64) -> bool {
        let is_same = handle.metadata().is_ok_and(|it| FileStamp::new(&it) == self.stamp);
        let mut problem = lock_ignoring_poison(&self.problem);
        if !is_same || length != self.size() {
            *problem = Some(FileProblem::Changed);
        } else if let Some(first) = first {
            let (digest, secret) = first.finish();
            *problem = secret.map(FileProblem::Secret);
            // Two passes may run at the same time; both have read the same bytes.
            let _ = self.digest.set(digest);
            self.context.progress.emit(&self.hashing_event(length));
        }
        problem.is_none()
    }

    fn hashing_event(&self, done: u64) -> PushEvent {
        PushEvent::Hashing { path: self.name.clone(), done, total: self.size() }
    }
}

/// Hashes a file and searches it.
struct FirstPass {
    hasher: FileHasher,
    scanner: SecretScanner,
    progress: ProgressSink,
    name: String,
    read: u64,
    total: u64,
}

impl FirstPass {
    fn new(file: &SourceFile) -> Self {
        let pass = Self {
            hasher: FileHasher::new(file.size()),
            scanner: SecretScanner::new(&file.context.token),
            progress: file.context.progress.clone(),
            name: file.name.clone(),
            read: 0,
            total: file.size(),
        };
        pass.progress.emit(&file.hashing_event(0));
        pass
    }

    fn update(&mut self, block: &[u8]) {
        self.hasher.update(block);
        self.scanner.scan(block);
        let steps = self.read / PROGRESS_STEP;
        self.read += block.len() as u64;
        if self.read / PROGRESS_STEP > steps && self.read < self.total {
            let path = self.name.clone();
            self.progress.emit(&PushEvent::Hashing { path, done: self.read, total: self.total });
        }
    }

    fn finish(self) -> (FileDigest, Option<Secret>) {
        (self.hasher.finish(), self.scanner.finish())
    }
}

/// Gives hf-hub the bytes of an open file, as often as it asks.
pub(crate) struct SourceStreams(pub(crate) Arc<SourceFile>);

impl StreamFactory for SourceStreams {
    fn open(&self) -> SourceByteStream {
        let file = Arc::clone(&self.0);
        let first = file.digest.get().is_none().then(|| FirstPass::new(&file));
        let is_first_pass = first.is_some();
        let state =
            StreamState { file, handle: None, is_first_pass, first, offset: 0, next: None, permit: None };
        Box::pin(stream::unfold(Some(state), |state| async {
            let mut state = state?;
            match state.next_block().await {
                Ok(Some(block)) => Some((Ok(block), Some(state))),
                Ok(None) => None,
                Err(error) => Some((Err(HFError::from(error)), None)),
            }
        }))
    }
}

type BlockTask = JoinHandle<io::Result<(Bytes, Option<FirstPass>)>>;

/// A pass over a file. The next block is read, hashed and searched while hf-hub handles the current one.
struct StreamState {
    file: Arc<SourceFile>,
    handle: Option<Arc<File>>,
    is_first_pass: bool,
    /// `None` while a task has it, and in later passes.
    first: Option<FirstPass>,
    /// The end of the blocks that were returned.
    offset: u64,
    next: Option<BlockTask>,
    /// Held during a later pass, in which the file is sent.
    permit: Option<OwnedSemaphorePermit>,
}

impl StreamState {
    async fn next_block(&mut self) -> io::Result<Option<Bytes>> {
        if !self.is_first_pass && self.permit.is_none() {
            let transfer = Arc::clone(&self.file.context.transfer);
            self.permit = Some(transfer.acquire_owned().await.map_err(io::Error::other)?);
        }
        let handle = match self.handle.take() {
            Some(handle) => handle,
            None => self.file.handle()?,
        };
        self.handle = Some(Arc::clone(&handle));
        let task = match self.next.take() {
            Some(task) => task,
            None => self.read_ahead(&handle, self.offset),
        };
        let (block, first) = task.await.map_err(io::Error::other)??;
        self.first = first;
        if block.is_empty() {
            let may_be_sent = self.file.finish_pass(&handle, self.first.take(), self.offset);
            return if may_be_sent { Ok(None) } else { Err(io::Error::other("this file cannot be sent")) };
        }
        self.offset += block.len() as u64;
        self.next = Some(self.read_ahead(&handle, self.offset));
        Ok(Some(block))
    }

    fn read_ahead(&mut self, handle: &Arc<File>, offset: u64) -> BlockTask {
        let (handle, mut first) = (Arc::clone(handle), self.first.take());
        spawn_blocking(move || {
            let block = read_block(&handle, offset)?;
            if let Some(first) = &mut first {
                first.update(&block);
            }
            Ok((block, first))
        })
    }
}

/// Identifies a file and its state: a change of the content changes one of these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct FileStamp {
    length: u64,
    modified: Option<SystemTime>,
    /// Device, inode, and the time of the last change of any kind.
    #[cfg(unix)]
    identity: (u64, u64, i64, i64),
}

impl FileStamp {
    fn new(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        use std::os::unix::fs::MetadataExt as _;
        Self {
            length: metadata.len(),
            modified: metadata.modified().ok(),
            #[cfg(unix)]
            identity: (metadata.dev(), metadata.ino(), metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

fn read_block(file: &File, offset: u64) -> io::Result<Bytes> {
    let mut block = vec![0; BLOCK_LEN];
    let read = read_full_at(file, &mut block, offset)?;
    block.truncate(read);
    Ok(block.into())
}

/// Reads until the buffer is full or the file ends. Does not use the file's cursor, because passes may run at the same
/// time.
fn read_full_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut read = 0;
    while read < buffer.len() {
        match read_at(file, &mut buffer[read..], offset + read as u64) {
            Ok(0) => break,
            Ok(length) => read += length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(read)
}

#[cfg(unix)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buffer, offset)
}

#[cfg(windows)]
fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buffer, offset)
}
