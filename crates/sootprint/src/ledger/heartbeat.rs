//! What a run used up to the last second, in two slots that are written in turn.
//!
//! A process that dies while it writes one slot leaves the other whole. A slot begins at a multiple of the page's
//! size, and what reads it looks at each of them: how large a slot is need not be known.

use std::fs;
use std::path::Path;

use super::{LedgerEntry, line};

const PAGE_SIZE: usize = 4096;

/// How large a slot has to be for lines that may grow a little.
pub(super) const fn slot_size(line: usize) -> usize {
    (2 * line).div_ceil(PAGE_SIZE) * PAGE_SIZE
}

/// The newest whole slot; none where there is none.
pub(super) fn read_newest(path: &Path) -> Option<LedgerEntry> {
    let bytes = fs::read(path).ok()?;
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
