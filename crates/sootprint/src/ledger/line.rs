//! A line: an entry's text as it stands, and the CRC-32 of that text.

use std::io;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::LedgerEntry;

#[derive(Serialize, Deserialize)]
struct ChecksummedLine<'a> {
    crc: u32,
    #[serde(borrow)]
    line: &'a RawValue,
}

/// The entry as a line, with its end.
pub(super) fn encode(entry: &LedgerEntry) -> io::Result<String> {
    let line = RawValue::from_string(serde_json::to_string(entry)?)?;
    let crc = crc32fast::hash(line.get().as_bytes());
    let mut text = serde_json::to_string(&ChecksummedLine { crc, line: &line })?;
    text.push('\n');
    Ok(text)
}

/// The entry of a whole line whose checksum holds.
pub(super) fn decode(line: &[u8]) -> Option<LedgerEntry> {
    let text = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let ChecksummedLine { crc, line } = serde_json::from_str(text).ok()?;
    (crc32fast::hash(line.get().as_bytes()) == crc).then(|| serde_json::from_str(line.get()).ok())?
}
