//! The two files of a ledger, as the writing thread uses them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::LedgerError;
use super::create::next_attempt;
use super::paths::{LedgerId, ledger_dir};
use crate::distributed::RankInfo;

/// What the writing thread needs of a disk.
pub(super) trait LedgerStore: Send {
    /// Appends to the ledger.
    fn append(&mut self, text: &[u8]) -> io::Result<()>;
    /// Writes a slot of the heartbeat, which begins at this byte.
    fn write_heartbeat(&mut self, start: u64, text: &[u8]) -> io::Result<()>;
    /// Waits until the disk has both files.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes the ledger that of the next attempt of an earlier run, and says which; none when there is none.
    fn resume(&mut self) -> Result<Option<LedgerId>, LedgerError>;
    /// Removes the heartbeat: the ledger says it all.
    fn remove_heartbeat(&mut self);
}

/// The files. The system unlocks the ledger when its process ends, however that ends.
#[derive(Debug)]
pub(super) struct FileStore {
    ledger: File,
    /// Made with the first beat.
    heartbeat: Option<File>,
    /// Whether the disk has the names of both files too.
    is_dir_synced: bool,
    dir: PathBuf,
    id: LedgerId,
    launch: RankInfo,
}

impl FileStore {
    /// Of a ledger that is open for appending.
    pub(super) const fn new(ledger: File, dir: PathBuf, id: LedgerId, launch: RankInfo) -> Self {
        Self { ledger, heartbeat: None, is_dir_synced: false, dir, id, launch }
    }

    /// A file that was removed takes what is written, and nobody finds it again.
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
            // Where the system synchronises no folders, it keeps their names by itself.
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
        // A link never takes the place of a file that is there, and the lock stays with the file.
        let moved = fs::hard_link(&from, &to).and_then(|()| fs::remove_file(&from));
        moved.map_err(|source| LedgerError::Folder { path: to, source })?;
        if self.heartbeat.is_some() {
            // Without it the next beats go to a file that nobody finds; the lines are there all the same.
            let _ = fs::rename(self.id.heartbeat_path(&self.dir), next.heartbeat_path(&self.dir));
        }
        self.id = next.clone();
        self.is_dir_synced = false;
        Ok(Some(next))
    }

    fn remove_heartbeat(&mut self) {
        if self.heartbeat.take().is_some() {
            // One that stays is older than the ledger's last line, and counts as nothing.
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
fn is_same_file(_there: &fs::Metadata, _ours: &fs::Metadata) -> bool {
    true
}
