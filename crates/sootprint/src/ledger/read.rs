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
use super::validation::EntryOrder;
use super::{heartbeat, line};

/// Longer than the last line of a machine with a hundred GPUs.
const TAIL_LEN: u64 = 1 << 16;

/// Seven years of a machine with eight GPUs.
const MAX_LEN: u64 = 1 << 30;

/// A series of 16 MB, the longest that a user can pass, is half as long.
const MAX_LINE_LEN: u64 = 1 << 27;

/// What [`read_entries`] found besides the entries.
#[derive(Debug)]
pub(crate) struct LedgerCondition {
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

/// Reads the ledger of one process. Passes all intact entries to `visit`: the header first, and last the heartbeat if
/// the ledger has no last line.
pub(crate) fn read_entries(
    dir: &Path,
    id: &LedgerId,
    mut visit: impl FnMut(LedgerEntry),
) -> Result<LedgerCondition, LedgerError> {
    let path = id.ledger_path(dir);
    let read_error = |source| LedgerError::Read { path: path.clone(), source };
    let file = open_regular_file(&path).map_err(read_error)?;
    // The lock is tested before reading: once it is free, all lines are in the file.
    let mut condition = LedgerCondition {
        corruption: None,
        unknown_entries: 0,
        is_open: lock_state(&file) == LockState::Held,
    };
    let mut reader = io::BufReader::new(file.take(MAX_LEN + 1));
    let (mut line, mut read) = (Vec::new(), 0);
    let mut order = EntryOrder::default();
    let (mut has_header, mut has_end) = (false, false);
    for number in 1.. {
        line.clear();
        let length = (&mut reader).take(MAX_LINE_LEN + 1).read_until(b'\n', &mut line).map_err(read_error)?;
        read += length as u64;
        if length as u64 > MAX_LINE_LEN || read > MAX_LEN || order.epochs > MAX_EPOCHS {
            return Err(LedgerError::TooLarge { path });
        }
        if length == 0 {
            break;
        }
        let entry = line::try_decode(&line)
            .and_then(|entry| order.check(&entry).map(|()| entry).map_err(LineError::InvalidValue));
        match entry {
            Err(LineError::InvalidValue(reason)) => {
                return Err(LedgerError::InvalidValue { path, line: number, reason });
            }
            Ok(LedgerEntry::Header(header)) if header.schema != SCHEMA => {
                return Err(LedgerError::Schema { path, found: header.schema });
            }
            Ok(LedgerEntry::Unknown) if has_header => condition.unknown_entries += 1,
            Ok(entry) if has_header || matches!(entry, LedgerEntry::Header(_)) => {
                has_header = true;
                has_end = matches!(entry, LedgerEntry::End { .. });
                visit(entry);
                condition.corruption.iter_mut().for_each(|corruption| corruption.is_tail = false);
            }
            Ok(_) | Err(_) if !has_header => break,
            // The writer starts a new line after one that may be torn.
            _ if line == b"\n" => {}
            _ => {
                let first = LedgerCorruption { first: number, lines: 0, is_tail: true };
                let corruption = condition.corruption.get_or_insert(first);
                corruption.lines += 1;
                corruption.is_tail &= corruption.lines == 1;
            }
        }
    }
    if !has_header {
        return Err(LedgerError::MissingHeader { path });
    }
    if !has_end {
        heartbeat::read_newest(&id.heartbeat_path(dir)).into_iter().for_each(visit);
    }
    Ok(condition)
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
