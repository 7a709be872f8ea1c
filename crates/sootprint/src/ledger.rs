//! The record of a run on disk: JSON Lines that are only appended, each with a checksum, and a heartbeat file.
//!
//! The footprint can always be rebuilt from it. A ledger contains device names and UUIDs and is never published.
//!
//! - Each process writes one file per attempt. No two processes append to the same file, so a torn line is always the
//!   last one, and the file's lock shows whether its process still runs.
//! - Totals are cumulative. A damaged line is skipped, because the entries after it contain everything up to their own
//!   time.
//! - Most minutes are recorded as an `energy` entry. Complete totals of ten components per minute would take 1.5 MB a
//!   day, so they are written every thirtieth minute, at the end, and with every heartbeat.
//! - A line that could not be written is counted and not retried: a full disk may have space again, and the next totals
//!   cover the loss.

mod create;
mod entry;
mod error;
mod file_lock;
mod heartbeat;
mod line;
mod paths;
mod process_info;
mod read;
mod run_selection;
mod store;
#[cfg(test)]
mod tests;
mod validation;
mod writer;

pub(crate) use create::{OpenLedger, create_alongside, create_ledger, resume_ledger};
pub(crate) use entry::{LedgerEntry, OpenEpoch, PhaseTotal, RunHeader, SCHEMA, WorkCounts};
pub use error::LedgerError;
pub use paths::list_runs;
pub(crate) use paths::{LedgerId, compare_newest_first, list_ledgers};
pub(crate) use process_info::ProcessInfo;
pub(crate) use read::{LedgerCorruption, WriterState, read_entries, writer_state};
#[cfg(test)]
pub(crate) use tests::read_ledger;
#[cfg(test)]
pub(crate) use writer::{Ledger, WriteLoss};
