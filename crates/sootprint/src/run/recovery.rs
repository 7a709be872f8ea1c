//! Loading the footprint of a run from its ledgers: all ranks and all attempts.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::sync::lock_ignoring_poison;
use sootprint_core::{Footprint, RunStatus};

use super::error::LoadError;
use super::finish_waits::FinishWaits;
use super::recorder::LEDGER_LOSS_NOTE;
use super::timeouts::HEARTBEAT_TIMEOUT;
use crate::footprint::{FootprintBuilder, merge_ledgers};
use crate::ledger::{
    LedgerCorruption, LedgerEntry, LedgerError, LedgerId, WriterState, compare_newest_first, list_ledgers,
    list_runs, read_entries, writer_state,
};
use sootprint_core::format::error_chain;

/// How often rank 0 checks whether the other ranks have ended.
const RANK_POLL_INTERVAL: Duration = Duration::from_millis(100);

/// Loads the footprint of a run from its ledgers, with all ranks and attempts. Loads the newest run if `run` is `None`.
///
/// ```no_run
/// let footprint = sootprint::load_footprint("artifacts/digits".as_ref(), None)?;
/// println!("{} attempts, {} ranks", footprint.run.attempts, footprint.run.ranks);
/// # Ok::<(), sootprint::LoadError>(())
/// ```
///
/// # Errors
/// [`LoadError::Ledger`] if the folder of the ledgers cannot be read, if `run` has no ledger, or if none of its ledgers
/// can be read; [`LoadError::NoRun`] if the folder of the ledgers is empty. If only some of the ledgers can be read,
/// the footprint is partial and has a note.
pub fn load_footprint(dir: &Path, run: Option<&str>) -> Result<Footprint, LoadError> {
    load_footprint_from_dirs(&[dir], run)
}

/// Like [`load_footprint`], for a run whose ranks do not share a folder. Loads the newest run of the first folder if `run`
/// is `None`.
///
/// # Errors
/// The errors of [`load_footprint`].
pub fn load_footprint_from_dirs(dirs: &[&Path], run: Option<&str>) -> Result<Footprint, LoadError> {
    let first = dirs.first().copied().unwrap_or(Path::new("."));
    let run = match run {
        Some(run) => run.to_owned(),
        None => {
            list_runs(first)?.into_iter().next().ok_or_else(|| LoadError::NoRun { dir: first.to_owned() })?
        }
    };
    match list_ledgers_by_run(dirs)?.remove(&run) {
        Some(ledgers) => merge_run(&ledgers),
        None => {
            // The error names the missing file.
            let id = LedgerId { run, attempt: 1, rank: 0 };
            read_entries(first, &id, drop)?;
            Err(LoadError::NoRun { dir: first.to_owned() })
        }
    }
}

/// Loads the footprints of all runs in these folders, newest first. A run that cannot be read is an error in the list and
/// does not hide the others.
///
/// # Errors
/// [`LedgerError::Folder`] if a folder cannot be read.
pub fn load_all_footprints(dirs: &[&Path]) -> Result<Vec<Result<Footprint, LoadError>>, LedgerError> {
    let mut runs: Vec<(String, LedgerPaths)> = list_ledgers_by_run(dirs)?.into_iter().collect();
    runs.sort_unstable_by(|(one, _), (other, _)| compare_newest_first(one, other));
    Ok(runs.into_iter().map(|(_, ledgers)| merge_run(&ledgers)).collect())
}

/// The ledgers of a run, and the folder of each.
type LedgerPaths = Vec<(LedgerId, PathBuf)>;

fn list_ledgers_by_run(dirs: &[&Path]) -> Result<HashMap<String, LedgerPaths>, LedgerError> {
    // The same folder may be passed twice.
    let mut ledgers: BTreeMap<LedgerId, PathBuf> = BTreeMap::new();
    for dir in dirs {
        for id in list_ledgers(dir)? {
            ledgers.entry(id).or_insert_with(|| (*dir).to_owned());
        }
    }
    let mut runs: HashMap<String, LedgerPaths> = HashMap::new();
    for (id, dir) in ledgers {
        runs.entry(id.run.clone()).or_default().push((id, dir));
    }
    Ok(runs)
}

fn merge_run(ledgers: &[(LedgerId, PathBuf)]) -> Result<Footprint, LoadError> {
    let mut builders = Vec::with_capacity(ledgers.len());
    let mut unreadable = Vec::new();
    for (result, (id, _)) in read_all_ledgers(ledgers).into_iter().zip(ledgers) {
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

/// The footprint at the end of a run: of this process if it is the only one, otherwise of all ranks and attempts.
pub(crate) fn merge_ranks(
    dir: &Path,
    ledger_id: &LedgerId,
    ranks: u32,
    timeout: Duration,
    waits: &FinishWaits,
    own_footprint: Footprint,
) -> Footprint {
    if ranks > 1 {
        wait_for_ranks(dir, ledger_id, ranks, timeout, waits);
    } else if ledger_id.attempt == 1 {
        return own_footprint;
    }
    match load_footprint(dir, Some(&ledger_id.run)) {
        // Lost lines are noted in this process only.
        Ok(mut footprint) => {
            let losses = own_footprint.notes.into_iter().filter(|note| note.starts_with(LEDGER_LOSS_NOTE));
            footprint.notes.extend(losses);
            footprint
        }
        Err(error) => {
            tracing::warn!("cannot read the other ledgers of the run: {}", error_chain(&error));
            own_footprint
        }
    }
}

/// Waits until the other ranks of this attempt have ended, in any way.
fn wait_for_ranks(dir: &Path, ledger_id: &LedgerId, ranks: u32, timeout: Duration, waits: &FinishWaits) {
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
        if pending_ranks.is_empty() || Instant::now() >= deadline || waits.has_ended() {
            return;
        }
        thread::sleep(RANK_POLL_INTERVAL);
    }
}

/// Reads the ledgers on all CPUs: a thousand ledgers of a day are 200 MB of text.
fn read_all_ledgers(
    ledgers: &[(LedgerId, PathBuf)],
) -> Vec<Result<(FootprintBuilder, RunStatus), LedgerError>> {
    let read_one = |(id, dir): &(LedgerId, PathBuf)| {
        let (mut builder, is_open) = read_builder(dir, id)?;
        let unclosed_status = if is_open { RunStatus::Running } else { RunStatus::Killed };
        // A resumed run's file was renamed after its header was written, so the file name is authoritative.
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
            lock_ignoring_poison(&results).push((index, result));
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // If no thread can be started, the current one reads all ledgers.
            let _ = thread::Builder::new().name("sootprint-merge".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    results.sort_unstable_by_key(|(index, _)| *index);
    results.into_iter().map(|(_, result)| result).collect()
}

/// The sum of a ledger's entries, and whether its process is still running.
fn read_builder(dir: &Path, id: &LedgerId) -> Result<(FootprintBuilder, bool), LedgerError> {
    let mut builder: Option<FootprintBuilder> = None;
    let condition = read_entries(dir, id, |entry| match (&mut builder, entry) {
        (Some(builder), entry) => builder.apply(entry),
        (None, LedgerEntry::Header(header)) => builder = Some(FootprintBuilder::new(header)),
        (None, _) => {}
    })?;
    let mut builder = builder.ok_or_else(|| LedgerError::MissingHeader { path: id.ledger_path(dir) })?;
    match condition.unknown_entries {
        0 => {}
        1 => builder.add_note("1 ledger entry of a newer version of sootprint is ignored".to_owned()),
        count => {
            builder.add_note(format!("{count} ledger entries of a newer version of sootprint are ignored"))
        }
    }
    match condition.corruption {
        // The process is still writing that line.
        Some(LedgerCorruption { is_tail: true, .. }) if condition.is_open => {}
        Some(LedgerCorruption { is_tail: true, first, .. }) => {
            builder.add_note(format!("ledger truncated at line {first}: the incomplete line is ignored"));
        }
        Some(LedgerCorruption { first, lines, .. }) => {
            let lines =
                if lines == 1 { "line".to_owned() } else { format!("{lines} lines, starting at line") };
            builder.add_note(format!(
                "ledger damaged in {lines} {first}: epochs and events in damaged lines are not counted"
            ));
        }
        None => {}
    }
    Ok((builder, condition.is_open))
}
