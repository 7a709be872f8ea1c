//! The text of a line: the entry's JSON, and the CRC-32 of exactly that text.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::entry::LedgerEntry;
use super::validation::validate;

#[derive(Serialize, Deserialize)]
struct ChecksummedLine<'a> {
    crc: u32,
    #[serde(borrow)]
    line: &'a RawValue,
}

/// An entry as a line, including the newline.
pub(super) fn encode(entry: &LedgerEntry) -> io::Result<String> {
    let line = RawValue::from_string(serde_json::to_string(entry)?)?;
    let crc = crc32fast::hash(line.get().as_bytes());
    let mut text = serde_json::to_string(&ChecksummedLine { crc, line: &line })?;
    text.push('\n');
    Ok(text)
}

/// The entry of a line; `None` if the line is incomplete, its checksum is wrong or its contents are impossible.
pub(super) fn decode(line: &[u8]) -> Option<LedgerEntry> {
    try_decode(line).ok()
}

/// The entry of a line.
pub(super) fn try_decode(line: &[u8]) -> Result<LedgerEntry, LineError> {
    let text =
        str::from_utf8(line).ok().and_then(|text| text.strip_suffix('\n')).ok_or(LineError::Damaged)?;
    let ChecksummedLine { crc, line } = serde_json::from_str(text).map_err(|_| LineError::Damaged)?;
    if crc32fast::hash(line.get().as_bytes()) != crc {
        return Err(LineError::Damaged);
    }
    let entry: LedgerEntry =
        serde_json::from_str(line.get()).map_err(|error| LineError::InvalidValue(error.to_string()))?;
    validate(&entry).map_err(LineError::InvalidValue)?;
    Ok(entry)
}

/// Why a line has no entry.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum LineError {
    /// The line is incomplete, or its checksum is wrong.
    Damaged,
    /// The line is what its writer wrote, and its contents are impossible.
    InvalidValue(String),
}
