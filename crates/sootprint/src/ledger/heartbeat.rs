//! The heartbeat: the state of a run at its last second, in two slots that are written alternately.
//!
//! A process that is killed while it writes one slot leaves the other intact. Slots start at multiples of the page
//! size, and the reader tries each page, so it does not need the size of a slot.

use std::fs;
use std::path::Path;

use super::entry::LedgerEntry;
use super::line;

const PAGE_SIZE: usize = 4096;

/// The newest intact slot; `None` if there is no file or no intact slot.
pub(super) fn read_newest(path: &Path) -> Option<LedgerEntry> {
    // Opening a FIFO would block.
    let bytes = fs::metadata(path).ok().filter(fs::Metadata::is_file).and_then(|_| fs::read(path).ok())?;
    let slots = (0..bytes.len()).step_by(PAGE_SIZE).filter_map(|start| {
        let slot = &bytes[start..];
        let end = slot.iter().position(|byte| *byte == b'\n')?;
        let entry = line::decode(&slot[..=end])?;
        match entry {
            LedgerEntry::Heartbeat { at, .. } => Some((at, entry)),
            _ => None,
        }
    });
    slots.max_by(|(one, _), (other, _)| one.total_cmp(other)).map(|(_, entry)| entry)
}

/// The size of a slot in bytes: twice the first line, rounded up to whole pages, because lines may grow.
pub(super) const fn slot_size(line: usize) -> usize {
    (2 * line).div_ceil(PAGE_SIZE) * PAGE_SIZE
}
