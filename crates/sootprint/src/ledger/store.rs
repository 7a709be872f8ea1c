//! The two files of a ledger, as used by the writer thread.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::error::LedgerError;
use super::paths::{LedgerId, ledger_dir};
use super::run_selection::next_attempt;
use crate::distributed::RankInfo;

/// The storage of a ledger. Tests replace it with a faulty one.
pub(super) trait LedgerStore: Send {
    /// Appends to the ledger.
    fn append(&mut self, text: &[u8]) -> io::Result<()>;
    /// Writes a heartbeat slot that starts at this byte.
    fn write_heartbeat(&mut self, start: u64, text: &[u8]) -> io::Result<()>;
    /// Waits until both files are on disk.
    fn sync(&mut self) -> io::Result<()>;
    /// Turns the ledger into the next attempt of an earlier run and returns its new id; `None` if there is no run to
    /// resume. Burn reports only at launch that it continues from a checkpoint, when this ledger already exists.
    fn resume(&mut self) -> Result<Option<LedgerId>, LedgerError>;
    /// Removes the heartbeat, which is redundant once the ledger is complete.
    fn remove_heartbeat(&mut self);
}

/// A ledger and its heartbeat in the run's folder.
#[derive(Debug)]
pub(super) struct FileStore {
    ledger: File,
    /// Created with the first heartbeat.
    heartbeat: Option<File>,
    /// Whether the directory entries of both files are on disk.
    is_dir_synced: bool,
    dir: PathBuf,
    id: LedgerId,
    launch: RankInfo,
}

impl FileStore {
    /// A store for a ledger that is open for appending.
    pub(super) const fn new(ledger: File, dir: PathBuf, id: LedgerId, launch: RankInfo) -> Self {
        Self { ledger, heartbeat: None, is_dir_synced: false, dir, id, launch }
    }

    /// Writes to an unlinked file succeed but are lost.
    fn check_file_exists(&self) -> io::Result<()> {
        let (on_disk, opened) = (fs::metadata(self.id.ledger_path(&self.dir))?, self.ledger.metadata()?);
        if is_same_file(&on_disk, &opened) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl LedgerStore for FileStore {
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.check_file_exists()?;
        self.ledger.write_all(text)
    }

    fn write_heartbeat(&mut self, start: u64, text: &[u8]) -> io::Result<()> {
        let file = match &mut self.heartbeat {
            Some(file) => file,
            None => {
                let path = self.id.heartbeat_path(&self.dir);
                let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
                self.is_dir_synced = false;
                self.heartbeat.insert(file)
            }
        };
        file.seek(SeekFrom::Start(start))?;
        file.write_all(text)
    }

    fn sync(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_dir_synced, true) {
            // Systems that cannot synchronise a folder keep directory entries durable themselves.
            let _ = File::open(ledger_dir(&self.dir)).and_then(|folder| folder.sync_all());
        }
        self.ledger.sync_data()?;
        self.heartbeat.as_ref().map_or(Ok(()), File::sync_data)
    }

    fn resume(&mut self) -> Result<Option<LedgerId>, LedgerError> {
        let Some(next) = next_attempt(&self.dir, &self.launch, Some(&self.id.run))? else {
            return Ok(None);
        };
        let (from, to) = (self.id.ledger_path(&self.dir), next.ledger_path(&self.dir));
        // Unlike a rename, a hard link never replaces an existing file. The lock stays with the file.
        let moved = fs::hard_link(&from, &to).and_then(|()| fs::remove_file(&from));
        moved.map_err(|source| LedgerError::Folder { path: to, source })?;
        if self.heartbeat.is_some() {
            // If this fails, later heartbeats are not found by a reader; the ledger itself is complete.
            let _ = fs::rename(self.id.heartbeat_path(&self.dir), next.heartbeat_path(&self.dir));
        }
        self.id = next.clone();
        self.is_dir_synced = false;
        Ok(Some(next))
    }

    fn remove_heartbeat(&mut self) {
        if self.heartbeat.take().is_some() {
            // A heartbeat that remains is older than the ledger's last line and is ignored.
            let _ = fs::remove_file(self.id.heartbeat_path(&self.dir));
        }
    }
}

#[cfg(unix)]
fn is_same_file(on_disk: &fs::Metadata, opened: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (on_disk.dev(), on_disk.ino()) == (opened.dev(), opened.ino())
}

#[cfg(not(unix))]
fn is_same_file(_on_disk: &fs::Metadata, _opened: &fs::Metadata) -> bool {
    true
}
