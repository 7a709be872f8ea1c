//! Selects the run and the attempt of a new ledger from the ledgers that are already in the folder.

use std::collections::HashMap;
use std::fs;
use std::path::Path;
use std::slice;
use std::thread;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use sootprint_core::RunStatus;
use sootprint_core::file::open_regular_file;

use super::entry::{LedgerEntry, RunHeader};
use super::error::LedgerError;
use super::file_lock::{LockState, lock_state};
use super::paths::{
    LedgerId, MAX_ATTEMPTS, compare_newest_first, ledger_dir, list_ledgers, run_number, shared_run_id,
};
use super::read::{WriterState, read_entries, read_header, writer_state};
use crate::distributed::RankInfo;

/// If the launcher provides no launch id, ranks that start within this time of each other belong together.
const SAME_LAUNCH_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// Retries for reading the first line of another rank's new ledger.
const HEADER_RETRIES: u32 = 50;
const HEADER_RETRY_INTERVAL: Duration = Duration::from_millis(2);

/// The ledger id for the next attempt of the newest run other than `except`; `None` if there is no such run, or if it
/// is complete or has the highest possible attempt. In a job array, only runs with the same index count.
///
/// # Errors
/// [`LedgerError::Busy`] if another process still records that run with this rank.
pub(super) fn next_attempt(
    dir: &Path,
    launch: &RankInfo,
    except: Option<&str>,
) -> Result<Option<LedgerId>, LedgerError> {
    let mut ids = create_dir_and_list(dir)?;
    ids.retain(|id| Some(id.run.as_str()) != except);
    ids.sort_by(|one, other| compare_newest_first(&one.run, &other.run));
    let mut runs = ids.chunk_by(|one, other| one.run == other.run);
    let newest = runs.find(|ledgers| is_same_array_task(dir, ledgers, launch));
    let Some(run) = newest.map(|ledgers| ledgers[0].run.clone()) else { return Ok(None) };
    ids.retain(|id| id.run == run);
    if busy_run(dir, &ids, launch).is_some() {
        return Err(LedgerError::Busy { dir: dir.to_owned(), run });
    }
    let summaries: Vec<LedgerSummary> = ids.iter().filter_map(|id| LedgerSummary::read(dir, id)).collect();
    if is_complete(&summaries, launch) {
        return Ok(None);
    }
    let newest = ids.iter().map(|id| id.attempt).max().unwrap_or(0);
    let own_attempt = ids.iter().filter(|id| id.rank == launch.rank).map(|id| id.attempt).max();
    let is_of_launch =
        |summary: &&LedgerSummary| launch.is_launch_known() && summary.launch_id() == launch.launch_id();
    let launch_attempt = summaries.iter().filter(is_of_launch).map(|summary| summary.id.attempt).max();
    let attempt = match (launch_attempt, own_attempt) {
        // Join the attempt that other ranks of this launch have started.
        (Some(launch_attempt), own_attempt) if own_attempt.is_none_or(|own| own < launch_attempt) => {
            launch_attempt
        }
        // Launches cannot be distinguished, so each rank counts its own attempts.
        (_, Some(own_attempt)) if launch.ranks > 1 && !launch.is_launch_known() => own_attempt + 1,
        _ => newest + 1,
    };
    Ok((attempt <= MAX_ATTEMPTS).then_some(LedgerId { run, attempt, rank: launch.rank }))
}

/// The run that other ranks of this launch have started, if this rank is not part of it yet.
pub(super) fn find_launch_run(
    dir: &Path,
    now: Timestamp,
    launch: &RankInfo,
    ids: &[LedgerId],
) -> Option<String> {
    let launch_run_id = shared_run_id(0, &launch.launch_id());
    let is_of_launch = |id: &&LedgerId| without_number(&id.run) == without_number(&launch_run_id);
    let newest = ids.iter().filter(is_of_launch).max_by_key(|id| run_number(&id.run))?;
    let mut run_ids = ids.iter().filter(|id| id.run == newest.run);
    if run_ids.clone().any(|id| id.rank == launch.rank) {
        return None;
    }
    let is_recent = |id: &LedgerId| {
        let summary = LedgerSummary::read(dir, id)?;
        let started: Timestamp = summary.header.started.parse().ok()?;
        Some(summary.status.is_none() && now.duration_since(started).abs() <= SAME_LAUNCH_WITHIN)
    };
    // A ledger without a readable header has just been created.
    (launch.is_launch_known() || run_ids.all(|id| is_recent(id).unwrap_or(true))).then(|| newest.run.clone())
}

/// The newest run, if another process holds the lock of its ledger for this rank. Another task of a job array does not
/// count.
pub(super) fn busy_run(dir: &Path, ids: &[LedgerId], launch: &RankInfo) -> Option<String> {
    let own = ids.iter().filter(|id| id.rank == launch.rank);
    let newest = own.max_by_key(|id| (run_number(&id.run), &id.run, id.attempt))?;
    let file = open_regular_file(&newest.ledger_path(dir)).ok()?;
    let is_busy =
        lock_state(&file) == LockState::Held && is_same_array_task(dir, slice::from_ref(newest), launch);
    is_busy.then(|| newest.run.clone())
}

/// Whether the ledgers of a run belong to the task of the job array that this process is. A ledger without a header may
/// belong to it if its process is running and has just created it.
fn is_same_array_task(dir: &Path, ledgers: &[LedgerId], launch: &RankInfo) -> bool {
    match ledgers.iter().find_map(|id| read_header(dir, id)) {
        Some(header) => header.task.array_index == launch.array_index,
        None => ledgers.iter().any(|id| writer_state(dir, id) == Some(WriterState::Active)),
    }
}

/// Creates the folder of the ledgers and lists them. A folder that cannot be listed counts as empty, since it may still
/// be writable.
pub(super) fn create_dir_and_list(dir: &Path) -> Result<Vec<LedgerId>, LedgerError> {
    let path = ledger_dir(dir);
    fs::create_dir_all(&path).map_err(|source| LedgerError::Folder { path, source })?;
    Ok(list_ledgers(dir).unwrap_or_default())
}

/// Header and outcome of a ledger.
struct LedgerSummary {
    id: LedgerId,
    header: Box<RunHeader>,
    /// `None` without an `end` entry.
    status: Option<RunStatus>,
}

impl LedgerSummary {
    /// Reads a ledger, and waits for the header of one that has just been created. `None` if it cannot be read.
    fn read(dir: &Path, id: &LedgerId) -> Option<Self> {
        for _ in 0..HEADER_RETRIES {
            match Self::try_read(dir, id) {
                Err(LedgerError::MissingHeader { .. }) => thread::sleep(HEADER_RETRY_INTERVAL),
                summary => return summary.ok().flatten(),
            }
        }
        None
    }

    fn try_read(dir: &Path, id: &LedgerId) -> Result<Option<Self>, LedgerError> {
        let (mut header, mut status) = (None, None);
        read_entries(dir, id, |entry| match entry {
            LedgerEntry::Header(first) if header.is_none() => header = Some(first),
            LedgerEntry::End { outcome, .. } => status = Some(outcome),
            _ => {}
        })?;
        Ok(header.map(|header| Self { id: id.clone(), header, status }))
    }

    fn launch_id(&self) -> String {
        self.header.task.launch.clone().unwrap_or_default()
    }
}

/// Whether all ranks of the newest attempt have completed. A completed run is never continued.
fn is_complete(summaries: &[LedgerSummary], launch: &RankInfo) -> bool {
    let Some(attempt) = summaries.iter().map(|summary| summary.id.attempt).max() else { return false };
    let newest: Vec<_> = summaries.iter().filter(|summary| summary.id.attempt == attempt).collect();
    // The newest attempt belongs to this launch, without this rank: a faster rank may have completed it already.
    let is_of_launch = |summary: &&&LedgerSummary| summary.launch_id() == launch.launch_id();
    let has_joined = newest.iter().filter(is_of_launch).any(|summary| summary.id.rank == launch.rank);
    if launch.is_launch_known() && newest.iter().any(|summary| is_of_launch(&summary)) && !has_joined {
        return false;
    }
    // A single rank may have been restarted without the others, or all of them with fewer ranks.
    let expected = newest.iter().map(|summary| summary.header.task.ranks).max().unwrap_or(1);
    let mut by_rank: HashMap<u32, &LedgerSummary> = HashMap::new();
    for summary in summaries {
        let newest = by_rank.entry(summary.id.rank).or_insert(summary);
        if newest.id.attempt < summary.id.attempt {
            *newest = summary;
        }
    }
    let has_completed =
        |rank| by_rank.get(&rank).is_some_and(|summary| summary.status == Some(RunStatus::Completed));
    (0..expected).all(has_completed)
}

fn without_number(run: &str) -> Option<&str> {
    run.split_once('-').map(|(_, rest)| rest)
}
