//! From the ledgers of a folder to one footprint: all ranks, all attempts.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::{Footprint, Outcome};

use super::book;
use crate::footprint::{Fold, merged};
use crate::ledger::{Ending, LedgerError, Name, ending, names, read, runs};

/// How often the first rank looks whether the others have ended.
const LOOK: Duration = Duration::from_millis(100);

/// A ledger without a lock that nobody writes to for so long is that of a process that is gone. Heartbeats come each
/// second; on a shared file system they may be seen late.
const SILENCE: Duration = Duration::from_secs(10);

/// Makes the footprint of a run again from its ledgers, of all ranks and attempts; of the newest run when `run` is none.
///
/// ```no_run
/// let footprint = sootprint::recover("artifacts/digits".as_ref(), None)?;
/// println!("{} attempts, {} ranks", footprint.run.attempts, footprint.run.ranks);
/// # Ok::<(), sootprint::RecoverError>(())
/// ```
///
/// # Errors
/// [`LedgerError`] with the folder or the file when there is no readable ledger. One that cannot be read beside others
/// is a note in the footprint, which is then partial.
pub fn recover(dir: &Path, run: Option<&str>) -> Result<Footprint, RecoverError> {
    recover_all(&[dir], run)
}

/// As [`recover`], from several folders, where the ranks of a run have no folder in common. Of the newest run of the
/// first folder when `run` is none.
///
/// # Errors
/// Those of [`recover`].
pub fn recover_all(dirs: &[&Path], run: Option<&str>) -> Result<Footprint, RecoverError> {
    let first = dirs.first().copied().unwrap_or(Path::new("."));
    let nothing = || RecoverError::NoRun { dir: first.to_owned() };
    let run = match run {
        Some(run) => run.to_owned(),
        None => runs(first)?.into_iter().next().ok_or_else(nothing)?,
    };
    let mut ledgers: BTreeMap<Name, PathBuf> = BTreeMap::new();
    for dir in dirs {
        let its = names(dir)?.into_iter().filter(|name| name.run == run);
        // A folder that is named twice has the same ledgers twice.
        for name in its {
            ledgers.entry(name).or_insert_with(|| (*dir).to_owned());
        }
    }
    if ledgers.is_empty() {
        // Names the file that was looked for.
        let name = Name { run, attempt: 1, rank: 0 };
        read(first, &name)?;
        return Err(nothing());
    }
    let ledgers: Vec<(Name, PathBuf)> = ledgers.into_iter().collect();
    let mut folds = Vec::with_capacity(ledgers.len());
    let mut unread = Vec::new();
    for (fold, (name, _)) in fold_all(&ledgers).into_iter().zip(&ledgers) {
        match fold {
            Ok(fold) => folds.push(fold),
            Err(error) if ledgers.len() == 1 => return Err(error.into()),
            Err(error) => unread.push((name.rank, name.attempt, error)),
        }
    }
    match unread.pop() {
        Some((_, _, error)) if folds.is_empty() => Err(error.into()),
        last => {
            unread.extend(last);
            let unread: Vec<_> = unread.into_iter().map(|(rank, attempt, _)| (rank, attempt)).collect();
            Ok(merged(&folds, &unread))
        }
    }
}

/// The footprint at a run's end: that of this process where it was alone, else that of all ranks and attempts.
pub(super) fn united(dir: &Path, name: &Name, ranks: u32, patience: Duration, own: Footprint) -> Footprint {
    if ranks > 1 {
        wait(dir, name, ranks, patience);
    } else if name.attempt == 1 {
        return own;
    }
    match recover(dir, Some(&name.run)) {
        // What was lost of the record is in the notes of this process alone.
        Ok(mut footprint) => {
            let losses = own.notes.into_iter().filter(|note| note.contains("of the run's record"));
            footprint.notes.extend(losses);
            footprint
        }
        Err(error) => {
            tracing::warn!("the other parts of the run cannot be read: {error}");
            own
        }
    }
}

/// Waits until the other ranks of this attempt have ended, however they ended.
fn wait(dir: &Path, name: &Name, ranks: u32, patience: Duration) {
    let deadline = Instant::now() + patience;
    let mut waited_for: BTreeSet<u32> = (0..ranks).filter(|rank| *rank != name.rank).collect();
    let mut seen: BTreeMap<u32, (Ending, Instant)> = BTreeMap::new();
    loop {
        waited_for.retain(|&rank| match ending(dir, &Name { rank, ..name.clone() }) {
            Some(Ending::Closed | Ending::Gone) => false,
            None => true,
            Some(state) => {
                let (before, since) = seen.entry(rank).or_insert((state, Instant::now()));
                if *before != state {
                    (*before, *since) = (state, Instant::now());
                }
                matches!(state, Ending::Locked) || since.elapsed() < SILENCE
            }
        });
        if waited_for.is_empty() || Instant::now() >= deadline {
            return;
        }
        thread::sleep(LOOK);
    }
}

/// Reads the ledgers on all processors: a thousand of a day each are a fifth of a gigabyte of text.
fn fold_all(ledgers: &[(Name, PathBuf)]) -> Vec<Result<(Fold, Outcome), LedgerError>> {
    let fold = |(name, dir): &(Name, PathBuf)| {
        let recovered = read(dir, name)?;
        let unclosed = if recovered.is_open { Outcome::Running } else { Outcome::Killed };
        let mut fold = book::folded(recovered);
        // The file's name is what the run was found by.
        fold.opened_mut().task.attempt = name.attempt;
        fold.opened_mut().task.rank = name.rank;
        Ok((fold, unclosed))
    };
    let helpers = thread::available_parallelism().map_or(1, usize::from).min(ledgers.len()).saturating_sub(1);
    let next = AtomicUsize::new(0);
    let folds = Mutex::new(Vec::with_capacity(ledgers.len()));
    let work = || {
        while let Some((index, ledger)) =
            Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|index| Some((index, ledgers.get(index)?)))
        {
            let fold = fold(ledger);
            folds.lock().unwrap_or_else(std::sync::PoisonError::into_inner).push((index, fold));
        }
    };
    thread::scope(|scope| {
        for _ in 0..helpers {
            // Without a further thread this one does it all.
            let _ = thread::Builder::new().name("sootprint-merge".to_owned()).spawn_scoped(scope, work);
        }
        work();
    });
    let mut folds = folds.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    folds.sort_unstable_by_key(|(index, _)| *index);
    folds.into_iter().map(|(_, fold)| fold).collect()
}

/// Why no footprint can be made from a folder.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecoverError {
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
