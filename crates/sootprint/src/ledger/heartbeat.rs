//! The heartbeat: the state of a run at its last second, in two slots that are written alternately.
//!
//! A process that is killed while it writes one slot leaves the other intact. Slots start at multiples of the page
//! size, and the reader tries each page, so it does not need the size of a slot.

use std::path::Path;

use sootprint_core::file::read_bytes;

use super::entry::LedgerEntry;
use super::line;

const PAGE_SIZE: usize = 4096;

/// Longer than two slots of a machine with a thousand components.
const MAX_LEN: u64 = 4 << 20;
const MAX_SLOT_LEN: usize = 1 << 20;

/// The newest intact slot; `None` if there is no file or no intact slot.
pub(super) fn read_newest(path: &Path) -> Option<LedgerEntry> {
    let bytes = read_bytes(path, MAX_LEN).ok()?;
    // Each line is found once, from the end, so that the time grows with the length only.
    let mut end = None;
    let slots = (0..bytes.len()).step_by(PAGE_SIZE).rev().filter_map(|start| {
        let page = &bytes[start..bytes.len().min(start + PAGE_SIZE)];
        end = page.iter().position(|byte| *byte == b'\n').map(|end| start + end).or(end);
        // A longer line would be read once for each of its pages.
        let end = end.filter(|end| end - start <= MAX_SLOT_LEN)?;
        let entry = line::decode(&bytes[start..=end])?;
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
