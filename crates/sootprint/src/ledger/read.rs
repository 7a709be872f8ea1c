//! Reading a ledger back, whatever happened to it.

use std::fs::{self, File, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use super::folder::Name;
use super::{Entry, LedgerError, Opened, heartbeat, line};

/// What a ledger holds.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The first line.
    pub(crate) opened: Box<Opened>,
    /// All good lines after it, and the heartbeat where that is newer.
    pub(crate) entries: Vec<Entry>,
    pub(crate) damage: Option<Damage>,
    /// Whether its process still writes.
    pub(crate) is_open: bool,
}

/// What cannot be read of a ledger. Each line says what came before it, so that little is lost with one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Damage {
    /// The number of the first bad line, from 1.
    pub(crate) first: usize,
    /// How many are bad.
    pub(crate) lines: usize,
    /// Whether the last line is the only bad one, as when a process is killed while it writes.
    pub(crate) is_tail: bool,
}

/// Reads the ledger of one process.
pub(crate) fn read(dir: &Path, name: &Name) -> Result<Recovered, LedgerError> {
    let path = name.ledger(dir);
    // The lock first: one that is free has all of its lines, and one that ends meanwhile may have its last.
    let open = || -> io::Result<(bool, Vec<u8>)> { Ok((is_open(&File::open(&path)?), fs::read(&path)?)) };
    let (is_open, bytes) = open().map_err(|source| LedgerError::Read { path: path.clone(), source })?;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    let opened = match lines.next().and_then(|(_, text)| line::parsed(text)) {
        Some(Entry::Opened(opened)) if opened.schema == super::SCHEMA => opened,
        Some(Entry::Opened(opened)) => return Err(LedgerError::Schema { path, found: opened.schema }),
        _ => return Err(LedgerError::NoBeginning { path }),
    };
    let mut entries = Vec::new();
    let mut damage: Option<Damage> = None;
    for (index, text) in lines {
        match line::parsed(text) {
            Some(entry) => {
                entries.push(entry);
                damage.iter_mut().for_each(|damage| damage.is_tail = false);
            }
            // A writer begins anew after a line that may be torn.
            None if text == b"\n" => {}
            None => {
                let damage = damage.get_or_insert(Damage { first: index + 1, lines: 0, is_tail: true });
                damage.lines += 1;
                damage.is_tail &= damage.lines == 1;
            }
        }
    }
    if !matches!(entries.last(), Some(Entry::Closed { .. })) {
        entries.extend(heartbeat::read(&name.heartbeat(dir)));
    }
    Ok(Recovered { opened, entries, damage, is_open })
}

/// Whether a process holds the ledger's lock.
///
/// A file system without locks only loses the difference between running and killed.
pub(super) fn is_open(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// How a ledger stands that another process writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// It has its last line.
    Closed,
    /// Its process is at it.
    Locked,
    /// Its process is gone.
    Gone,
    /// The file system knows no locks: so long the ledger was, and then the heartbeat was written.
    Unlocked(u64, Option<SystemTime>),
}

/// Looks at the end of a ledger alone; none where there is no ledger.
pub(crate) fn ending(dir: &Path, name: &Name) -> Option<Ending> {
    let mut file = File::open(name.ledger(dir)).ok()?;
    let length = file.metadata().ok()?.len();
    // The last line of a machine with a hundred boards is shorter.
    file.seek(SeekFrom::Start(length.saturating_sub(1 << 16))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let last = tail.split_inclusive(|byte| *byte == b'\n').next_back().and_then(line::parsed);
    if matches!(last, Some(Entry::Closed { .. })) {
        return Some(Ending::Closed);
    }
    let beat = || fs::metadata(name.heartbeat(dir)).and_then(|it| it.modified()).ok();
    Some(match file.try_lock_shared() {
        Err(TryLockError::WouldBlock) => Ending::Locked,
        Ok(()) => Ending::Gone,
        Err(TryLockError::Error(_)) => Ending::Unlocked(length, beat()),
    })
}
