//! Creates ledgers: for a new run, or for another attempt of an unfinished run.

use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::Path;

use jiff::Timestamp;

use super::entry::{LedgerEntry, RunHeader};
use super::error::LedgerError;
use super::file_lock::acquire_lock;
use super::line;
use super::paths::{LedgerId, new_run_id, next_run_number, shared_run_id};
use super::read::read_header;
use super::run_selection::{busy_run, create_dir_and_list, find_launch_run, next_attempt};
use super::store::FileStore;
use super::writer::Ledger;
use crate::distributed::RankInfo;

/// A ledger whose first header is written. A second header follows when the components are known.
#[derive(Debug)]
pub(crate) struct OpenLedger {
    pub(crate) ledger: Ledger,
    pub(crate) id: LedgerId,
}

/// Creates the ledger of a new run, next to those of older runs.
///
/// The ranks of one launch find the same run without communication: each joins the run that was started by another rank
/// of its launch, or creates the next one, whose id is derived from the launch.
///
/// # Errors
/// [`LedgerError::Busy`] if another process records a run in this folder.
pub(crate) fn create_ledger(
    dir: &Path,
    now: Timestamp,
    launch: &RankInfo,
    header: &RunHeader,
) -> Result<OpenLedger, LedgerError> {
    let ids = create_dir_and_list(dir)?;
    if let Some(run) = busy_run(dir, &ids, launch) {
        return Err(LedgerError::Busy { dir: dir.to_owned(), run });
    }
    create_new_run(dir, now, launch, header, &ids)
}

/// Like [`create_ledger`], but also succeeds while another process records a run in this folder.
pub(crate) fn create_alongside(
    dir: &Path,
    now: Timestamp,
    launch: &RankInfo,
    header: &RunHeader,
) -> Result<OpenLedger, LedgerError> {
    create_new_run(dir, now, launch, header, &create_dir_and_list(dir)?)
}

/// Creates the ledger for the next attempt of the newest run; `None` if there is no run, or if it is complete.
///
/// # Errors
/// [`LedgerError::Busy`] if another process records that run.
pub(crate) fn resume_ledger(
    dir: &Path,
    launch: &RankInfo,
    header: &RunHeader,
) -> Result<Option<OpenLedger>, LedgerError> {
    let Some(id) = next_attempt(dir, launch, None)? else { return Ok(None) };
    let run = id.run.clone();
    match create_file(dir, id, launch, header) {
        // Another process created the same attempt first.
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            Err(LedgerError::Busy { dir: dir.to_owned(), run })
        }
        result => result.map(Some),
    }
}

fn create_new_run(
    dir: &Path,
    now: Timestamp,
    launch: &RankInfo,
    header: &RunHeader,
    ids: &[LedgerId],
) -> Result<OpenLedger, LedgerError> {
    let number = next_run_number(ids, |id| read_header(dir, id).is_some());
    if launch.ranks > 1 {
        let run = find_launch_run(dir, now, launch, ids)
            .unwrap_or_else(|| shared_run_id(number, &launch.launch_id()));
        return create_file(dir, LedgerId { run, attempt: 1, rank: launch.rank }, launch, header);
    }
    loop {
        let run = new_run_id(number, now);
        match create_file(dir, LedgerId { run, attempt: 1, rank: 0 }, launch, header) {
            Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            result => return result,
        }
    }
}

fn create_file(
    dir: &Path,
    id: LedgerId,
    launch: &RankInfo,
    header: &RunHeader,
) -> Result<OpenLedger, LedgerError> {
    let path = id.ledger_path(dir);
    let file = OpenOptions::new().append(true).create_new(true).open(&path);
    let file = file.map_err(|source| LedgerError::Folder { path: path.clone(), source })?;
    acquire_lock(&file);
    // Written before the hardware is opened, which may take a second with NVML: other ranks of the launch read the
    // header to find the run.
    let mut header = header.clone();
    (header.run, header.task.attempt) = (id.run.clone(), id.attempt);
    let written = line::encode(&LedgerEntry::Header(Box::new(header)))
        .and_then(|line| (&file).write_all(line.as_bytes()));
    written.map_err(|source| LedgerError::Folder { path: path.clone(), source })?;
    let store = FileStore::new(file, dir.to_owned(), id.clone(), launch.clone());
    let ledger = Ledger::start(store).map_err(|source| LedgerError::Thread { path, source })?;
    Ok(OpenLedger { ledger, id })
}
