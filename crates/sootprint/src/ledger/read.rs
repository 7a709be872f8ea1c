//! Reads ledgers, including incomplete and damaged ones.

use std::fs;
use std::io::{self, BufRead as _, Read as _, Seek as _, SeekFrom};
use std::path::Path;
use std::time::SystemTime;

use sootprint_core::file::open_regular_file;
use sootprint_core::limits::MAX_EPOCHS;

use super::entry::{LedgerEntry, RunHeader, SCHEMA};
use super::error::LedgerError;
use super::file_lock::{LockState, lock_state};
use super::line::LineError;
use super::paths::LedgerId;
use super::{heartbeat, line};

/// Longer than the last line of a machine with a hundred GPUs.
const TAIL_LEN: u64 = 1 << 16;

/// Seven years of a machine with eight GPUs.
const MAX_LEN: u64 = 1 << 30;

/// The contents of a ledger.
#[derive(Debug)]
pub(crate) struct LedgerContents {
    /// The first line.
    pub(crate) header: Box<RunHeader>,
    /// All intact lines after it, followed by the heartbeat if the ledger has no last line.
    pub(crate) entries: Vec<LedgerEntry>,
    pub(crate) corruption: Option<LedgerCorruption>,
    /// The number of entries of kinds that this version does not know.
    pub(crate) unknown_entries: usize,
    /// Whether its process is still running.
    pub(crate) is_open: bool,
}

/// The damaged lines of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct LedgerCorruption {
    /// The number of the first damaged line, starting at 1.
    pub(crate) first: usize,
    /// The number of damaged lines.
    pub(crate) lines: usize,
    /// Whether only the last line is damaged, as after a process was killed while writing.
    pub(crate) is_tail: bool,
}

/// Reads the ledger of one process.
pub(crate) fn read_ledger(dir: &Path, id: &LedgerId) -> Result<LedgerContents, LedgerError> {
    let path = id.ledger_path(dir);
    // The lock is tested before reading: once it is free, all lines are in the file.
    let open = || -> io::Result<(bool, Option<Vec<u8>>)> {
        let file = open_regular_file(&path)?;
        let is_open = lock_state(&file) == LockState::Held;
        let mut bytes = Vec::new();
        file.take(MAX_LEN + 1).read_to_end(&mut bytes)?;
        Ok((is_open, Some(bytes).filter(|bytes| bytes.len() as u64 <= MAX_LEN)))
    };
    let (is_open, bytes) = open().map_err(|source| LedgerError::Read { path: path.clone(), source })?;
    let too_large = || LedgerError::TooLarge { path: path.clone() };
    let bytes = bytes.ok_or_else(too_large)?;
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n').enumerate();
    let header = match lines.next().map_or(Err(LineError::Damaged), |(_, text)| line::try_decode(text)) {
        Ok(LedgerEntry::Header(header)) if header.schema == SCHEMA => header,
        Ok(LedgerEntry::Header(header)) => return Err(LedgerError::Schema { path, found: header.schema }),
        Err(LineError::InvalidValue(reason)) => {
            return Err(LedgerError::InvalidValue { path, line: 1, reason });
        }
        _ => return Err(LedgerError::MissingHeader { path }),
    };
    let mut entries = Vec::new();
    let mut corruption: Option<LedgerCorruption> = None;
    let mut unknown_entries = 0;
    let mut epochs = 0;
    for (index, text) in lines {
        match line::try_decode(text) {
            Ok(LedgerEntry::Unknown) => unknown_entries += 1,
            Ok(LedgerEntry::Header(header)) if header.schema != SCHEMA => {
                return Err(LedgerError::Schema { path, found: header.schema });
            }
            Ok(entry) => {
                epochs += usize::from(matches!(entry, LedgerEntry::Epoch { .. }));
                if epochs > MAX_EPOCHS {
                    return Err(too_large());
                }
                entries.push(entry);
                corruption.iter_mut().for_each(|corruption| corruption.is_tail = false);
            }
            // The writer starts a new line after one that may be torn.
            Err(_) if text == b"\n" => {}
            Err(LineError::InvalidValue(reason)) => {
                return Err(LedgerError::InvalidValue { path, line: index + 1, reason });
            }
            Err(LineError::Damaged) => {
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
    Ok(LedgerContents { header, entries, corruption, unknown_entries, is_open })
}

/// Reads only the header of a ledger. `None` if there is none.
pub(super) fn read_header(dir: &Path, id: &LedgerId) -> Option<Box<RunHeader>> {
    let mut first_line = Vec::new();
    let file = open_regular_file(&id.ledger_path(dir)).ok()?;
    io::BufReader::new(file.take(TAIL_LEN)).read_until(b'\n', &mut first_line).ok()?;
    match line::decode(&first_line)? {
        LedgerEntry::Header(header) => Some(header),
        _ => None,
    }
}

/// The state of the process that writes a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WriterState {
    /// The ledger has its last line.
    Closed,
    /// The process is running.
    Active,
    /// The process ended without writing the last line.
    Exited,
    /// The file system does not support locks: the length of the ledger, and the modification time of the heartbeat,
    /// both of which change while the process runs.
    LockUnsupported(u64, Option<SystemTime>),
}

/// Reads only the end of a ledger; `None` if there is no ledger.
pub(crate) fn writer_state(dir: &Path, id: &LedgerId) -> Option<WriterState> {
    let mut file = open_regular_file(&id.ledger_path(dir)).ok()?;
    let length = file.metadata().ok()?.len();
    file.seek(SeekFrom::Start(length.saturating_sub(TAIL_LEN))).ok()?;
    let mut tail = Vec::new();
    file.read_to_end(&mut tail).ok()?;
    let last = tail.split_inclusive(|byte| *byte == b'\n').next_back().and_then(line::decode);
    if matches!(last, Some(LedgerEntry::End { .. })) {
        return Some(WriterState::Closed);
    }
    let heartbeat_time = || fs::metadata(id.heartbeat_path(dir)).and_then(|it| it.modified()).ok();
    Some(match lock_state(&file) {
        LockState::Held => WriterState::Active,
        LockState::Free => WriterState::Exited,
        LockState::Unsupported => WriterState::LockUnsupported(length, heartbeat_time()),
    })
}
