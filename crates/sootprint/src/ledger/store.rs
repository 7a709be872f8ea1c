//! The two files of a ledger, as the writing thread uses them.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use super::LedgerError;
use super::begin::next_attempt;
use super::folder::{Name, folder};
use crate::launch::Launch;

/// What the writing thread needs of a disk.
pub(super) trait Store: Send {
    /// Appends to the ledger.
    fn append(&mut self, text: &[u8]) -> io::Result<()>;
    /// Writes a slot of the heartbeat, which begins at this byte.
    fn beat(&mut self, start: u64, text: &[u8]) -> io::Result<()>;
    /// Waits until the disk has both files.
    fn sync(&mut self) -> io::Result<()>;
    /// Makes the ledger that of the next attempt of an earlier run, and says which; none when there is none.
    fn resume(&mut self) -> Result<Option<Name>, LedgerError>;
    /// Removes the heartbeat: the ledger says it all.
    fn end(&mut self);
}

/// The files. The system unlocks the ledger when its process ends, however that ends.
#[derive(Debug)]
pub(super) struct Files {
    ledger: File,
    /// Made with the first beat.
    heartbeat: Option<File>,
    /// Whether the disk has the names of both files too.
    is_listed: bool,
    dir: PathBuf,
    name: Name,
    launch: Launch,
}

impl Files {
    /// Of a ledger that is open for appending.
    pub(super) const fn new(ledger: File, dir: PathBuf, name: Name, launch: Launch) -> Self {
        Self { ledger, heartbeat: None, is_listed: false, dir, name, launch }
    }

    /// A file that was removed takes what is written, and nobody finds it again.
    fn is_there(&self) -> io::Result<()> {
        let (there, ours) = (fs::metadata(self.name.ledger(&self.dir))?, self.ledger.metadata()?);
        if is_same(&there, &ours) { Ok(()) } else { Err(io::ErrorKind::NotFound.into()) }
    }
}

impl Store for Files {
    fn append(&mut self, text: &[u8]) -> io::Result<()> {
        self.is_there()?;
        self.ledger.write_all(text)
    }

    fn beat(&mut self, start: u64, text: &[u8]) -> io::Result<()> {
        let file = match &mut self.heartbeat {
            Some(file) => file,
            None => {
                let path = self.name.heartbeat(&self.dir);
                let file = OpenOptions::new().write(true).create(true).truncate(true).open(path)?;
                self.is_listed = false;
                self.heartbeat.insert(file)
            }
        };
        file.seek(SeekFrom::Start(start))?;
        file.write_all(text)
    }

    fn sync(&mut self) -> io::Result<()> {
        if !std::mem::replace(&mut self.is_listed, true) {
            // Where the system synchronises no folders, it keeps their names by itself.
            let _ = File::open(folder(&self.dir)).and_then(|folder| folder.sync_all());
        }
        self.ledger.sync_data()?;
        self.heartbeat.as_ref().map_or(Ok(()), File::sync_data)
    }

    fn resume(&mut self) -> Result<Option<Name>, LedgerError> {
        let Some(next) = next_attempt(&self.dir, &self.launch, Some(&self.name.run))? else {
            return Ok(None);
        };
        let (from, to) = (self.name.ledger(&self.dir), next.ledger(&self.dir));
        // A link never takes the place of a file that is there, and the lock stays with the file.
        let moved = fs::hard_link(&from, &to).and_then(|()| fs::remove_file(&from));
        moved.map_err(|source| LedgerError::Folder { path: to, source })?;
        if self.heartbeat.is_some() {
            // Without it the next beats go to a file that nobody finds; the lines are there all the same.
            let _ = fs::rename(self.name.heartbeat(&self.dir), next.heartbeat(&self.dir));
        }
        self.name = next.clone();
        self.is_listed = false;
        Ok(Some(next))
    }

    fn end(&mut self) {
        if self.heartbeat.take().is_some() {
            // One that stays is older than the ledger's last line, and counts as nothing.
            let _ = fs::remove_file(self.name.heartbeat(&self.dir));
        }
    }
}

#[cfg(unix)]
fn is_same(there: &fs::Metadata, ours: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    (there.dev(), there.ino()) == (ours.dev(), ours.ino())
}

#[cfg(not(unix))]
fn is_same(_there: &fs::Metadata, _ours: &fs::Metadata) -> bool {
    true
}
