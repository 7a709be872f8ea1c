//! The text of a line: the entry's JSON, and the CRC-32 of exactly that text.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::entry::LedgerEntry;

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

/// The entry of a line; `None` if the line is incomplete or its checksum is wrong.
pub(super) fn decode(line: &[u8]) -> Option<LedgerEntry> {
    let text = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let ChecksummedLine { crc, line } = serde_json::from_str(text).ok()?;
    (crc32fast::hash(line.get().as_bytes()) == crc).then(|| serde_json::from_str(line.get()).ok())?
}
