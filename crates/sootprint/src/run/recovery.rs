//! From the ledgers of a folder to one footprint: all ranks, all attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::{Footprint, RunStatus};

use super::recorder;
use crate::footprint::{FootprintBuilder, merge_ledgers};
use crate::ledger::{LedgerError, LedgerId, WriterState, list_ledgers, list_runs, read_ledger, writer_state};

/// How often the first rank looks whether the others have ended.
const RANK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// A ledger without a lock that nobody writes to for so long is that of a process that is gone. Heartbeats come each
/// second; on a shared file system they may be seen late.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(10);

/// Makes the footprint of a run again from its ledgers, of all ranks and attempts; of the newest run when `run` is none.
///
/// ```no_run
/// let footprint = sootprint::load_footprint("artifacts/digits".as_ref(), None)?;
/// println!("{} attempts, {} ranks", footprint.run.attempts, footprint.run.ranks);
/// # Ok::<(), sootprint::LoadError>(())
/// ```
///
/// # Errors
/// [`LedgerError`] with the folder or the file when there is no readable ledger. One that cannot be read beside others
/// is a note in the footprint, which is then partial.
pub fn load_footprint(dir: &Path, run: Option<&str>) -> Result<Footprint, LoadError> {
    load_footprint_from_dirs(&[dir], run)
}

/// As [`load_footprint`], from several folders, where the ranks of a run have no folder in common. Of the newest run of the
/// first folder when `run` is none.
///
/// # Errors
/// Those of [`load_footprint`].
pub fn load_footprint_from_dirs(dirs: &[&Path], run: Option<&str>) -> Result<Footprint, LoadError> {
    let first = dirs.first().copied().unwrap_or(Path::new("."));
    let no_run = || LoadError::NoRun { dir: first.to_owned() };
    let run = match run {
        Some(run) => run.to_owned(),
        None => list_runs(first)?.into_iter().next().ok_or_else(no_run)?,
    };
    let mut ledgers: BTreeMap<LedgerId, PathBuf> = BTreeMap::new();
    for dir in dirs {
        let ids = list_ledgers(dir)?.into_iter().filter(|id| id.run == run);
        // A folder that is named twice has the same ledgers twice.
        for id in ids {
            ledgers.entry(id).or_insert_with(|| (*dir).to_owned());
        }
    }
    if ledgers.is_empty() {
        // Names the file that was looked for.
        let id = LedgerId { run, attempt: 1, rank: 0 };
        read_ledger(first, &id)?;
        return Err(no_run());
    }
    let ledgers: Vec<(LedgerId, PathBuf)> = ledgers.into_iter().collect();
    let mut builders = Vec::with_capacity(ledgers.len());
    let mut unreadable = Vec::new();
    for (result, (id, _)) in read_all_ledgers(&ledgers).into_iter().zip(&ledgers) {
        match result {
            Ok(builder) => builders.push(builder),
            Err(error) if ledgers.len() == 1 => return Err(error.into()),
            Err(error) => unreadable.push((id.rank, id.attempt, error)),
        }
    }
    match unreadable.pop() {
        Some((_, _, error)) if builders.is_empty() => Err(error.into()),
        last => {
            unreadable.extend(last);
            let unreadable: Vec<_> =
                unreadable.into_iter().map(|(rank, attempt, _)| (rank, attempt)).collect();
            Ok(merge_ledgers(&builders, &unreadable))
        }
    }
}

/// The footprint at a run's end: that of this process where it was alone, else that of all ranks and attempts.
pub(super) fn merge_ranks(
    dir: &Path,
    ledger_id: &LedgerId,
    ranks: u32,
    timeout: Duration,
    own_footprint: Footprint,
) -> Footprint {
    if ranks > 1 {
        wait_for_ranks(dir, ledger_id, ranks, timeout);
    } else if ledger_id.attempt == 1 {
        return own_footprint;
    }
    match load_footprint(dir, Some(&ledger_id.run)) {
        // What was lost of the record is in the notes of this process alone.
        Ok(mut footprint) => {
            let losses = own_footprint.notes.into_iter().filter(|note| note.contains("of the run's record"));
            footprint.notes.extend(losses);
            footprint
        }
        Err(error) => {
            tracing::warn!(
                "the other parts of the run cannot be read: {}",
                sootprint_core::format::error_chain(&error)
            );
            own_footprint
        }
    }
}

/// Waits until the other ranks of this attempt have ended, however they ended.
fn wait_for_ranks(dir: &Path, ledger_id: &LedgerId, ranks: u32, timeout: Duration) {
    let deadline = Instant::now() + timeout;
    let mut pending_ranks: BTreeSet<u32> = (0..ranks).filter(|rank| *rank != ledger_id.rank).collect();
    let mut last_states: BTreeMap<u32, (WriterState, Instant)> = BTreeMap::new();
    loop {
        pending_ranks.retain(|&rank| match writer_state(dir, &LedgerId { rank, ..ledger_id.clone() }) {
            Some(WriterState::Closed | WriterState::Exited) => false,
            None => true,
            Some(state) => {
                let (before, since) = last_states.entry(rank).or_insert((state, Instant::now()));
                if *before != state {
                    (*before, *since) = (state, Instant::now());
                }
                matches!(state, WriterState::Active) || since.elapsed() < HEARTBEAT_TIMEOUT
            }
        });
        if pending_ranks.is_empty() || Instant::now() >= deadline {
            return;
        }
        thread::sleep(RANK_POLL_INTERVAL);
    }
}

/// Reads the ledgers on all processors: a thousand of a day each are a fifth of a gigabyte of text.
fn read_all_ledgers(
    ledgers: &[(LedgerId, PathBuf)],
) -> Vec<Result<(FootprintBuilder, RunStatus), LedgerError>> {
    let read_one = |(id, dir): &(LedgerId, PathBuf)| {
        let contents = read_ledger(dir, id)?;
        let unclosed_status = if contents.is_open { RunStatus::Running } else { RunStatus::Killed };
        let mut builder = recorder::builder_from_ledger(contents);
        // The file's name is what the run was found by.
        builder.header_mut().task.attempt = id.attempt;
        builder.header_mut().task.rank = id.rank;
        Ok((builder, unclosed_status))
    };
    let helpers = thread::available_parallelism().map_or(1, usize::from).min(ledgers.len()).saturating_sub(1);
    let next = AtomicUsize::new(0);
    let results = Mutex::new(Vec::with_capacity(ledgers.len()));
    let work = || {
        while let Some((index, ledger)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, ledgers.get(index)?)))
        {
            let result = read_one(ledger);
            results.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // Without a further thread this one does it all.
            let _ = thread::Builder::new().name("sootprint-merge".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// Why no footprint can be made from a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// The ledger cannot be read.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// There is no ledger.
    #[error("no run was recorded in {}; name the folder that the run was given", dir.display())]
    NoRun {
        /// The folder.
        dir: PathBuf,
    },
}
