//! Reading a ledger back, whatever happened to it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use super::paths::LedgerId;
use super::{LedgerEntry, LedgerError, RunHeader, heartbeat, line};

/// What a ledger holds.
#[derive(Debug)]
pub(crate) struct LedgerContents {
    /// The first line.
    pub(crate) header: Box<RunHeader>,
    /// All good lines after it, and the heartbeat where that is newer.
    pub(crate) entries: Vec<LedgerEntry>,
    pub(crate) corruption: Option<LedgerCorruption>,
    /// Whether its process still writes.
    pub(crate) is_open: bool,
}

/// What cannot be read of a ledger. Each line says what came before it, so that little is lost with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LedgerCorruption {
    /// The number of the first bad line, from 1.
    pub(crate) first: usize,
    /// How many are bad.
    pub(crate) lines: usize,
    /// Whether the last line is the only bad one, as when a process is killed while it writes.
    pub(crate) is_tail: bool,
}

/// Reads the ledger of one process.
pub(crate) fn read_ledger(dir: &Path, id: &LedgerId) -> Result<LedgerContents, LedgerError> {
    let path = id.ledger_path(dir);
    // The lock first: one that is free has all of its lines, and one that ends meanwhile may have its last.
    let open = || -> io::Result<(bool, Vec<u8>)> { Ok((is_locked(&File::open(&path)?), fs::read(&path)?)) };
    let (is_open, bytes) = open().map_err(|source| LedgerError::Read { path: path.clone(), source })?;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    let header = match lines.next().and_then(|(_, text)| line::decode(text)) {
        Some(LedgerEntry::Header(header)) if header.schema == super::SCHEMA => header,
        Some(LedgerEntry::Header(header)) => return Err(LedgerError::Schema { path, found: header.schema }),
        _ => return Err(LedgerError::MissingHeader { path }),
    };
    let mut entries = Vec::new();
    let mut corruption: Option<LedgerCorruption> = None;
    for (index, text) in lines {
        match line::decode(text) {
            Some(entry) => {
                entries.push(entry);
                corruption.iter_mut().for_each(|damage| damage.is_tail = false);
            }
            // A writer begins anew after a line that may be torn.
            None if text == b"\n" => {}
            None => {
                let corruption =
                    corruption.get_or_insert(LedgerCorruption { first: index + 1, lines: 0, is_tail: true });
                corruption.lines += 1;
                corruption.is_tail &= corruption.lines == 1;
            }
        }
    }
    if !matches!(entries.last(), Some(LedgerEntry::End { .. })) {
        entries.extend(heartbeat::read_newest(&id.heartbeat_path(dir)));
    }
    Ok(LedgerContents { header, entries, corruption, is_open })
}

/// Whether a process holds the ledger's lock.
///
/// A file system without locks only loses the difference between running and killed.
pub(super) fn is_locked(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// How a ledger stands that another process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// It has its last line.
    Closed,
    /// Its process is at it.
    Active,
    /// Its process is gone.
    Exited,
    /// The file system knows no locks: so long the ledger was, and then the heartbeat was written.
    LockUnsupported(u64, Option<SystemTime>),
}

/// Looks at the end of a ledger alone; none where there is no ledger.
pub(crate) fn writer_state(dir: &Path, id: &LedgerId) -> Option<WriterState> {
    let mut file = File::open(id.ledger_path(dir)).ok()?;
    let length = file.metadata().ok()?.len();
    // The last line of a machine with a hundred boards is shorter.
    file.seek(SeekFrom::Start(length.saturating_sub(1 << 16))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let last = tail.split_inclusive(|byte| *byte == b'\n').next_back().and_then(line::decode);
    if matches!(last, Some(LedgerEntry::End { .. })) {
        return Some(WriterState::Closed);
    }
    let heartbeat_time = || fs::metadata(id.heartbeat_path(dir)).and_then(|it| it.modified()).ok();
    Some(match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => WriterState::Active,
        Ok(()) => WriterState::Exited,
        Err(TryLockError::Error(_)) => WriterState::LockUnsupported(length, heartbeat_time()),
    })
}
