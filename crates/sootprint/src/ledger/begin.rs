//! Beginning a ledger: of a new run beside the older ones, or of a further attempt of a run that did not end well.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::folder::{Name, folder, names, new_run_id, next_number, number_of, shared_run_id};
use super::line;
use super::read::{is_open, read};
use super::store::Files;
use super::{Entry, Ledger, LedgerError, Opened, Outcome};
use crate::launch::Launch;

/// Without a launcher's word which launch it is, ranks that start within so long of each other belong together.
const TOGETHER: SignedDuration = SignedDuration::from_mins(10);

/// How often the first line of another rank's new ledger is looked for, 2 ms apart.
const FIRST_LINE: u32 = 50;

/// A ledger that has its first line, which says whose it is; another one follows when the boards are known.
#[derive(Debug)]
pub(crate) struct Begun {
    pub(crate) ledger: Ledger,
    pub(crate) name: Name,
}

/// Begins the ledger of a new run beside those of older runs.
///
/// The ranks of one launch find the same run without asking each other: the one that is there already with their
/// launch and not with their rank, else the next.
///
/// # Errors
/// [`LedgerError::Busy`] when another process records a run there.
pub(crate) fn begin(
    dir: &Path,
    now: Timestamp,
    launch: &Launch,
    first: &Opened,
) -> Result<Begun, LedgerError> {
    let names = listed(dir)?;
    if let Some(run) = busy(dir, &names, launch.rank) {
        return Err(LedgerError::Busy { dir: dir.to_owned(), run });
    }
    create_new(dir, now, launch, first, &names)
}

/// As [`begin`], whether another process records a run there or not.
pub(crate) fn begin_beside(
    dir: &Path,
    now: Timestamp,
    launch: &Launch,
    first: &Opened,
) -> Result<Begun, LedgerError> {
    create_new(dir, now, launch, first, &listed(dir)?)
}

/// Begins the next attempt of the newest run; none when there is no run, or when it is complete.
///
/// # Errors
/// [`LedgerError::Busy`] when another process is at it.
pub(crate) fn resume(dir: &Path, launch: &Launch, first: &Opened) -> Result<Option<Begun>, LedgerError> {
    let Some(name) = next_attempt(dir, launch, None)? else { return Ok(None) };
    let run = name.run.clone();
    match create(dir, name, launch, first) {
        // Another process was a moment faster.
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {
            Err(LedgerError::Busy { dir: dir.to_owned(), run })
        }
        begun => begun.map(Some),
    }
}

/// The ledger of the next attempt of the newest run but for `except`; none when there is none to go on with.
pub(super) fn next_attempt(
    dir: &Path,
    launch: &Launch,
    except: Option<&str>,
) -> Result<Option<Name>, LedgerError> {
    let mut names = listed(dir)?;
    names.retain(|name| Some(name.run.as_str()) != except);
    let newest = names.iter().max_by_key(|name| (number_of(&name.run), &name.run));
    let Some(run) = newest.map(|name| name.run.clone()) else { return Ok(None) };
    names.retain(|name| name.run == run);
    if busy(dir, &names, launch.rank).is_some() {
        return Err(LedgerError::Busy { dir: dir.to_owned(), run });
    }
    let records: Vec<Record> = names.iter().filter_map(|name| Record::read(dir, name)).collect();
    if is_complete(&records, launch) {
        return Ok(None);
    }
    let newest = names.iter().map(|name| name.attempt).max().unwrap_or(0);
    let ours = names.iter().filter(|name| name.rank == launch.rank).map(|name| name.attempt).max();
    let is_of_launch = |record: &&Record| launch.is_known() && record.launch() == launch.id();
    let begun = records.iter().filter(is_of_launch).map(|record| record.name.attempt).max();
    let attempt = match (begun, ours) {
        // The one that other ranks of this launch have begun.
        (Some(begun), ours) if ours.is_none_or(|ours| ours < begun) => begun,
        // Where nobody tells one launch from the next, each rank counts its own.
        (_, Some(ours)) if launch.ranks > 1 && !launch.is_known() => ours + 1,
        _ => newest + 1,
    };
    Ok(Some(Name { run, attempt, rank: launch.rank }))
}

/// The ledgers of the folder, which is made; one that cannot be listed may still take a new file.
fn listed(dir: &Path) -> Result<Vec<Name>, LedgerError> {
    let folder = folder(dir);
    fs::create_dir_all(&folder).map_err(|source| LedgerError::Folder { path: folder, source })?;
    Ok(names(dir).unwrap_or_default())
}

/// The newest run, when another process writes its ledger of this rank.
fn busy(dir: &Path, names: &[Name], rank: u32) -> Option<String> {
    let own = names.iter().filter(|name| name.rank == rank);
    let newest = own.max_by_key(|name| (number_of(&name.run), &name.run, name.attempt))?;
    let file = File::open(newest.ledger(dir)).ok()?;
    is_open(&file).then(|| newest.run.clone())
}

fn create_new(
    dir: &Path,
    now: Timestamp,
    launch: &Launch,
    first: &Opened,
    names: &[Name],
) -> Result<Begun, LedgerError> {
    let number = next_number(names);
    if launch.ranks > 1 {
        let run = joined(dir, now, launch, names).unwrap_or_else(|| shared_run_id(number, &launch.id()));
        return create(dir, Name { run, attempt: 1, rank: launch.rank }, launch, first);
    }
    loop {
        let run = new_run_id(number, now);
        match create(dir, Name { run, attempt: 1, rank: 0 }, launch, first) {
            Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::AlreadyExists => {}
            begun => return begun,
        }
    }
}

/// The run that other ranks of this launch have begun.
fn joined(dir: &Path, now: Timestamp, launch: &Launch, names: &[Name]) -> Option<String> {
    let id = shared_run_id(0, &launch.id());
    let is_of_launch =
        |name: &&Name| name.run.split_once('-').map(|it| it.1) == id.split_once('-').map(|it| it.1);
    let newest = names.iter().filter(is_of_launch).max_by_key(|name| number_of(&name.run))?;
    let mut its = names.iter().filter(|name| name.run == newest.run);
    if its.clone().any(|name| name.rank == launch.rank) {
        return None;
    }
    let is_young = |name: &Name| {
        let record = Record::read(dir, name)?;
        let started: Timestamp = record.opened.started.parse().ok()?;
        Some(record.outcome.is_none() && now.duration_since(started).abs() <= TOGETHER)
    };
    // A ledger without a line yet has only just been begun.
    (launch.is_known() || its.all(|name| is_young(name).unwrap_or(true))).then(|| newest.run.clone())
}

fn create(dir: &Path, name: Name, launch: &Launch, first: &Opened) -> Result<Begun, LedgerError> {
    let path = name.ledger(dir);
    let file = OpenOptions::new().append(true).create_new(true).open(&path);
    let file = file.map_err(|source| LedgerError::Folder { path: path.clone(), source })?;
    lock(&file);
    // At once, so that the other ranks know whose it is while the boards are still being opened.
    let mut first = first.clone();
    (first.run, first.task.attempt) = (name.run.clone(), name.attempt);
    let written =
        line::written(&Entry::Opened(Box::new(first))).and_then(|line| (&file).write_all(line.as_bytes()));
    written.map_err(|source| LedgerError::Folder { path: path.clone(), source })?;
    let files = Files::new(file, dir.to_owned(), name.clone(), launch.clone());
    let ledger = Ledger::start(files).map_err(|source| LedgerError::Thread { path, source })?;
    Ok(Begun { ledger, name })
}

/// Another rank may be looking at the new file, which it does under a lock of its own for a moment. A file system
/// without locks only loses the difference between running and killed.
fn lock(file: &File) {
    for _ in 0..50 {
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(2)),
            Ok(()) | Err(TryLockError::Error(_)) => return,
        }
    }
}

/// How a ledger begins and ends.
struct Record {
    name: Name,
    opened: Box<Opened>,
    /// None without a last line.
    outcome: Option<Outcome>,
}

impl Record {
    /// None of a ledger that cannot be read: it says nothing. One that has only just been begun is waited for.
    fn read(dir: &Path, name: &Name) -> Option<Self> {
        let mut recovered = read(dir, name);
        for _ in 0..FIRST_LINE {
            if !matches!(recovered, Err(LedgerError::NoBeginning { .. })) {
                break;
            }
            std::thread::sleep(Duration::from_millis(2));
            recovered = read(dir, name);
        }
        let recovered = recovered.ok()?;
        let outcome = recovered.entries.iter().rev().find_map(|entry| match entry {
            Entry::Closed { outcome, .. } => Some(*outcome),
            _ => None,
        });
        Some(Self { name: name.clone(), opened: recovered.opened, outcome })
    }

    fn launch(&self) -> String {
        self.opened.task.launch.clone().unwrap_or_default()
    }
}

/// Whether every rank of the newest attempt came to its end: a finished run is never appended to.
fn is_complete(records: &[Record], launch: &Launch) -> bool {
    let Some(attempt) = records.iter().map(|record| record.name.attempt).max() else { return false };
    let newest: Vec<_> = records.iter().filter(|record| record.name.attempt == attempt).collect();
    // Of this very launch: a faster rank has come to its end already.
    if launch.is_known() && newest.iter().any(|record| record.launch() == launch.id()) {
        return false;
    }
    let expected = newest.iter().map(|record| record.opened.task.ranks).max().unwrap_or(1);
    newest.len() >= expected as usize
        && newest.iter().all(|record| record.outcome == Some(Outcome::Completed))
}
