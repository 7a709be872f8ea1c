//! The files of ledgers: their names, and the runs that a folder contains.
//!
//! Run ids start with a number, so that the runs of a folder sort by it and do not depend on a clock.

use std::cmp::{Ordering, Reverse};
use std::collections::BTreeSet;
use std::fs;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::{Path, PathBuf};

use super::error::LedgerError;
use sootprint_core::limits::MAX_RANKS;

/// The folder of the ledgers, within the folder of a run.
const LEDGER_DIR: &str = "sootprint";

/// The most runs of a folder, and attempts at a run.
const MAX_RUN_NUMBER: u32 = 99_999_999;
pub(super) const MAX_ATTEMPTS: u32 = 1_000_000;

const LEDGER_EXTENSION: &str = "jsonl";
const HEARTBEAT_EXTENSION: &str = "beat";
#[cfg(unix)]
const SOCKET_EXTENSION: &str = "socket";

/// Identifies a ledger and determines its file name: `<run>.jsonl` for a single process, `<run>.r3.jsonl` for rank 3,
/// `<run>.a2.jsonl` for the second attempt.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LedgerId {
    pub(crate) run: String,
    /// Starts at 1.
    pub(crate) attempt: u32,
    pub(crate) rank: u32,
}

impl LedgerId {
    /// Parses the name of a file; `None` if it is not a ledger.
    fn parse(path: &Path) -> Option<Self> {
        Self::with_extension(path, LEDGER_EXTENSION)
    }

    fn with_extension(path: &Path, extension: &str) -> Option<Self> {
        let id = Self::parse_name(path, extension)?;
        // Anyone can name a file. A number beyond these would hide the real runs, and a second name of the same rank and
        // attempt would count it twice.
        let is_possible = run_number(&id.run) <= MAX_RUN_NUMBER
            && id.rank < MAX_RANKS
            && (1..=MAX_ATTEMPTS).contains(&id.attempt)
            && id.file_path(Path::new(""), extension).file_name() == path.file_name();
        is_possible.then_some(id)
    }

    fn parse_name(path: &Path, extension: &str) -> Option<Self> {
        let stem = path.file_name()?.to_str()?.strip_suffix(extension)?.strip_suffix('.')?;
        let mut parts = stem.split('.');
        let mut id = Self { run: parts.next()?.to_owned(), attempt: 1, rank: 0 };
        for part in parts {
            let (letter, number) = part.split_at_checked(1)?;
            match letter {
                "r" => id.rank = number.parse().ok()?,
                "a" => id.attempt = number.parse().ok()?,
                _ => return None,
            }
        }
        Some(id)
    }

    pub(crate) fn ledger_path(&self, dir: &Path) -> PathBuf {
        self.file_path(dir, LEDGER_EXTENSION)
    }

    /// The heartbeat file, which is rewritten once or twice per second.
    pub(crate) fn heartbeat_path(&self, dir: &Path) -> PathBuf {
        self.file_path(dir, HEARTBEAT_EXTENSION)
    }

    /// The socket for the events of nested runs, opened by the process that records the run.
    #[cfg(unix)]
    pub(crate) fn socket_path(&self, dir: &Path) -> PathBuf {
        self.file_path(dir, SOCKET_EXTENSION)
    }

    /// The ledgers with a socket, newest first.
    #[cfg(unix)]
    pub(crate) fn list_with_sockets(dir: &Path) -> Vec<Self> {
        let entries = fs::read_dir(ledger_dir(dir)).into_iter().flatten().flatten();
        let mut ids: Vec<Self> =
            entries.filter_map(|entry| Self::with_extension(&entry.path(), SOCKET_EXTENSION)).collect();
        ids.sort_unstable_by_key(|id| Reverse((run_number(&id.run), id.clone())));
        ids
    }

    fn file_path(&self, dir: &Path, extension: &str) -> PathBuf {
        let rank = if self.rank == 0 { String::new() } else { format!(".r{}", self.rank) };
        let attempt = if self.attempt == 1 { String::new() } else { format!(".a{}", self.attempt) };
        dir.join(LEDGER_DIR).join(format!("{}{rank}{attempt}.{extension}", self.run))
    }
}

/// Returns the ids of the runs that were recorded in a folder, newest first.
///
/// # Errors
/// [`LedgerError::Folder`] if the subfolder `sootprint`, which contains the ledgers, cannot be read, for example
/// because nothing was recorded.
pub fn list_runs(dir: &Path) -> Result<Vec<String>, LedgerError> {
    let mut runs: Vec<String> =
        list_ledgers(dir)?.into_iter().map(|id| id.run).collect::<BTreeSet<_>>().into_iter().collect();
    runs.sort_unstable_by(|one, other| compare_newest_first(one, other));
    Ok(runs)
}

/// The order of two run ids.
pub(crate) fn compare_newest_first(one: &str, other: &str) -> Ordering {
    (run_number(other), other).cmp(&(run_number(one), one))
}

/// The ledgers of a folder, sorted by run, attempt and rank.
pub(crate) fn list_ledgers(dir: &Path) -> Result<Vec<LedgerId>, LedgerError> {
    let dir_path = ledger_dir(dir);
    let list = || -> io::Result<Vec<LedgerId>> {
        let mut ids = Vec::new();
        for entry in fs::read_dir(&dir_path)? {
            let entry = entry?;
            let path = entry.path();
            // Opening a FIFO would block, also through a link. A broken link is listed, so that an error names it.
            let is_special = entry.file_type().is_ok_and(|kind| !kind.is_file())
                && fs::metadata(&path).is_ok_and(|target| !target.is_file());
            ids.extend(LedgerId::parse(&path).filter(|_| !is_special));
        }
        ids.sort_unstable();
        Ok(ids)
    };
    list().map_err(|source| LedgerError::Folder { path: dir_path.clone(), source })
}

pub(super) fn ledger_dir(dir: &Path) -> PathBuf {
    dir.join(LEDGER_DIR)
}

/// The number of the run after those for which `is_real`.
pub(super) fn next_run_number(ids: &[LedgerId], is_real: impl Fn(&LedgerId) -> bool) -> u32 {
    let mut newest_first: Vec<&LedgerId> = ids.iter().collect();
    newest_first.sort_unstable_by_key(|id| Reverse(run_number(&id.run)));
    let newest = newest_first.into_iter().find(|id| run_number(&id.run) < MAX_RUN_NUMBER && is_real(id));
    newest.map_or(0, |id| run_number(&id.run)) + 1
}

/// A new run id: the number of the run in its folder, its start time, and a random suffix that distinguishes runs
/// started at the same moment.
pub(super) fn new_run_id(number: u32, now: jiff::Timestamp) -> String {
    let salt = RandomState::new().build_hasher().finish() as u16;
    format!("{number:05}-{}-{salt:04x}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// The id of a run of several ranks. It does not contain the time, so ranks that start simultaneously compute the same
/// id without communication.
pub(super) fn shared_run_id(number: u32, launch: &str) -> String {
    let launch: String = launch.chars().take(12).collect();
    format!("{number:05}-{launch}")
}

/// The number at the start of a run id; 0 if there is none.
pub(super) fn run_number(run: &str) -> u32 {
    run.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ledger_id_survives_path_round_trip() {
        for (rank, attempt, file) in [
            (0, 1, "7-x.jsonl"),
            (3, 1, "7-x.r3.jsonl"),
            (0, 2, "7-x.a2.jsonl"),
            (12, 34, "7-x.r12.a34.jsonl"),
        ] {
            let id = LedgerId { run: "7-x".into(), attempt, rank };
            let path = id.ledger_path(Path::new("dir"));
            assert_eq!(path, Path::new("dir").join(LEDGER_DIR).join(file));
            assert_eq!(LedgerId::parse(&path), Some(id));
        }
        for other in [
            "x.json",
            "7-x.beat",
            "7-x.q3.jsonl",
            "7-x.rx.jsonl",
            ".jsonl.swp",
            "7-x.ü.jsonl",
            "4294967295-x.jsonl",
            "7-x.r65536.jsonl",
            "7-x.a0.jsonl",
            "7-x.r0.jsonl",
            "7-x.a1.jsonl",
            "7-x.r03.jsonl",
            "7-x.a2.r3.jsonl",
        ] {
            assert_eq!(LedgerId::parse(Path::new(other)), None, "{other}");
        }
    }
}
