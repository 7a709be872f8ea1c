//! Beginning a ledger: of a new run beside the older ones, or of a further attempt of a run that did not end well.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::line;
use super::paths::{
    LedgerId, ledger_dir, list_ledgers, new_run_id, next_run_number, run_number, shared_run_id,
};
use super::read::{is_locked, read_ledger};
use super::store::FileStore;
use super::{Ledger, LedgerEntry, LedgerError, RunHeader, RunStatus};
use crate::distributed::RankInfo;

/// Without a launcher's word which launch it is, ranks that start within so long of each other belong together.
const SAME_LAUNCH_WITHIN: SignedDuration = SignedDuration::from_mins(10);

/// How often the first line of another rank's new ledger is looked for, 2 ms apart.
const HEADER_RETRIES: u32 = 50;

/// A ledger that has its first line, which says whose it is; another one follows when the boards are known.
#[derive(Debug)]
pub(crate) struct OpenLedger {
    pub(crate) ledger: Ledger,
    pub(crate) id: LedgerId,
}

/// Begins the ledger of a new run beside those of older runs.
///
/// The ranks of one launch find the same run without asking each other: the one that is there already with their
/// launch and not with their rank, else the next.
///
/// # Errors
/// [`LedgerError::Busy`] when another process records a run there.
pub(crate) fn create_ledger(
    dir: &Path,
    now: Timestamp,
    launch: &RankInfo,
    header: &RunHeader,
) -> Result<OpenLedger, LedgerError> {
    let ids = create_dir_and_list(dir)?;
    if let Some(run) = busy_run(dir, &ids, launch.rank) {
        return Err(LedgerError::Busy { dir: dir.to_owned(), run });
    }
    create_new_run(dir, now, launch, header, &ids)
}

/// As [`begin`], whether another process records a run there or not.
pub(crate) fn create_alongside(
    dir: &Path,
    now: Timestamp,
    launch: &RankInfo,
    header: &RunHeader,
) -> Result<OpenLedger, LedgerError> {
    create_new_run(dir, now, launch, header, &create_dir_and_list(dir)?)
}

/// Begins the next attempt of the newest run; none when there is no run, or when it is complete.
///
/// # Errors
/// [`LedgerError::Busy`] when another process is at it.
pub(crate) fn resume_ledger(
    dir: &Path,
    launch: &RankInfo,
    header: &RunHeader,
) -> Result<Option<OpenLedger>, LedgerError> {
    let Some(id) = next_attempt(dir, launch, None)? else { return Ok(None) };
    let run = id.run.clone();
    match create_file(dir, id, launch, header) {
        // Another process was a moment faster.
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            Err(LedgerError::Busy { dir: dir.to_owned(), run })
        }
        result => result.map(Some),
    }
}

/// The ledger of the next attempt of the newest run but for `except`; none when there is none to go on with.
pub(super) fn next_attempt(
    dir: &Path,
    launch: &RankInfo,
    except: Option<&str>,
) -> Result<Option<LedgerId>, LedgerError> {
    let mut ids = create_dir_and_list(dir)?;
    ids.retain(|name| Some(name.run.as_str()) != except);
    let newest_id = ids.iter().max_by_key(|name| (run_number(&name.run), &name.run));
    let Some(run) = newest_id.map(|name| name.run.clone()) else { return Ok(None) };
    ids.retain(|name| name.run == run);
    if busy_run(dir, &ids, launch.rank).is_some() {
        return Err(LedgerError::Busy { dir: dir.to_owned(), run });
    }
    let summaries: Vec<LedgerSummary> =
        ids.iter().filter_map(|name| LedgerSummary::read(dir, name)).collect();
    if is_complete(&summaries, launch) {
        return Ok(None);
    }
    let newest = ids.iter().map(|name| name.attempt).max().unwrap_or(0);
    let own_attempt = ids.iter().filter(|name| name.rank == launch.rank).map(|name| name.attempt).max();
    let is_of_launch =
        |record: &&LedgerSummary| launch.is_launch_known() && record.launch_id() == launch.launch_id();
    let launch_attempt = summaries.iter().filter(is_of_launch).map(|record| record.id.attempt).max();
    let attempt = match (launch_attempt, own_attempt) {
        // The one that other ranks of this launch have begun.
        (Some(launch_attempt), own_attempt) if own_attempt.is_none_or(|ours| ours < launch_attempt) => {
            launch_attempt
        }
        // Where nobody tells one launch from the next, each rank counts its own.
        (_, Some(own_attempt)) if launch.ranks > 1 && !launch.is_launch_known() => own_attempt + 1,
        _ => newest + 1,
    };
    Ok(Some(LedgerId { run, attempt, rank: launch.rank }))
}

/// The ledgers of the folder, which is made; one that cannot be listed may still take a new file.
fn create_dir_and_list(dir: &Path) -> Result<Vec<LedgerId>, LedgerError> {
    let path = ledger_dir(dir);
    fs::create_dir_all(&path).map_err(|source| LedgerError::Folder { path, source })?;
    Ok(list_ledgers(dir).unwrap_or_default())
}

/// The newest run, when another process writes its ledger of this rank.
fn busy_run(dir: &Path, ids: &[LedgerId], rank: u32) -> Option<String> {
    let own = ids.iter().filter(|id| id.rank == rank);
    let newest = own.max_by_key(|name| (run_number(&name.run), &name.run, name.attempt))?;
    let file = File::open(newest.ledger_path(dir)).ok()?;
    is_locked(&file).then(|| newest.run.clone())
}

fn create_new_run(
    dir: &Path,
    now: Timestamp,
    launch: &RankInfo,
    header: &RunHeader,
    ids: &[LedgerId],
) -> Result<OpenLedger, LedgerError> {
    let number = next_run_number(ids);
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

/// The run that other ranks of this launch have begun.
fn find_launch_run(dir: &Path, now: Timestamp, launch: &RankInfo, ids: &[LedgerId]) -> Option<String> {
    let launch_run_id = shared_run_id(0, &launch.launch_id());
    let is_of_launch = |name: &&LedgerId| {
        name.run.split_once('-').map(|it| it.1) == launch_run_id.split_once('-').map(|it| it.1)
    };
    let newest = ids.iter().filter(is_of_launch).max_by_key(|name| run_number(&name.run))?;
    let mut run_ids = ids.iter().filter(|name| name.run == newest.run);
    if run_ids.clone().any(|name| name.rank == launch.rank) {
        return None;
    }
    let is_recent = |name: &LedgerId| {
        let record = LedgerSummary::read(dir, name)?;
        let started: Timestamp = record.header.started.parse().ok()?;
        Some(record.status.is_none() && now.duration_since(started).abs() <= SAME_LAUNCH_WITHIN)
    };
    // A ledger without a line yet has only just been begun.
    (launch.is_launch_known() || run_ids.all(|name| is_recent(name).unwrap_or(true)))
        .then(|| newest.run.clone())
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
    // At once, so that the other ranks know whose it is while the boards are still being opened.
    let mut header = header.clone();
    (header.run, header.task.attempt) = (id.run.clone(), id.attempt);
    let written = line::encode(&LedgerEntry::Header(Box::new(header)))
        .and_then(|line| (&file).write_all(line.as_bytes()));
    written.map_err(|source| LedgerError::Folder { path: path.clone(), source })?;
    let files = FileStore::new(file, dir.to_owned(), id.clone(), launch.clone());
    let ledger = Ledger::start(files).map_err(|source| LedgerError::Thread { path, source })?;
    Ok(OpenLedger { ledger, id })
}

/// Another rank may be looking at the new file, which it does under a lock of its own for a moment. A file system
/// without locks only loses the difference between running and killed.
fn acquire_lock(file: &File) {
    for _ in 0..50 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
            Ok(()) | Err(TryLockError::Error(_)) => return,
        }
    }
}

/// How a ledger begins and ends.
struct LedgerSummary {
    id: LedgerId,
    header: Box<RunHeader>,
    /// None without a last line.
    status: Option<RunStatus>,
}

impl LedgerSummary {
    /// None of a ledger that cannot be read: it says nothing. One that has only just been begun is waited for.
    fn read(dir: &Path, id: &LedgerId) -> Option<Self> {
        let mut contents = read_ledger(dir, id);
        for _ in 0..HEADER_RETRIES {
            if !matches!(contents, Err(LedgerError::MissingHeader { .. })) {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
            contents = read_ledger(dir, id);
        }
        let contents = contents.ok()?;
        let status = contents.entries.iter().rev().find_map(|entry| match entry {
            LedgerEntry::End { outcome, .. } => Some(*outcome),
            _ => None,
        });
        Some(Self { id: id.clone(), header: contents.header, status })
    }

    fn launch_id(&self) -> String {
        self.header.task.launch.clone().unwrap_or_default()
    }
}

/// Whether every rank of the newest attempt came to its end: a finished run is never appended to.
fn is_complete(summaries: &[LedgerSummary], launch: &RankInfo) -> bool {
    let Some(attempt) = summaries.iter().map(|record| record.id.attempt).max() else { return false };
    let newest: Vec<_> = summaries.iter().filter(|record| record.id.attempt == attempt).collect();
    // Of this very launch: a faster rank has come to its end already.
    if launch.is_launch_known() && newest.iter().any(|record| record.launch_id() == launch.launch_id()) {
        return false;
    }
    let expected = newest.iter().map(|record| record.header.task.ranks).max().unwrap_or(1);
    newest.len() >= expected as usize
        && newest.iter().all(|record| record.status == Some(RunStatus::Completed))
}
