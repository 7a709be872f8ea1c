//! Appending lines to a ledger and reading them back.

use std::cmp::Reverse;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Entry, Opened};

/// The folder of the ledgers, inside a run's folder.
const FOLDER: &str = "sootprint";

const EXTENSION: &str = "jsonl";

/// A ledger that is being written. The system unlocks it when its process ends, however that ends.
#[derive(Debug)]
pub(crate) struct Ledger {
    file: File,
    path: PathBuf,
}

/// A line: the entry's text as it stands and the CRC-32 of that text.
#[derive(Serialize, Deserialize)]
struct Line<'a> {
    crc: u32,
    #[serde(borrow)]
    line: &'a RawValue,
}

impl Ledger {
    /// Begins the ledger of a new run beside those of older runs; gives it and the run's id.
    pub(crate) fn create(dir: &Path, now: jiff::Timestamp) -> Result<(Self, String), LedgerError> {
        let folder = dir.join(FOLDER);
        fs::create_dir_all(&folder).map_err(|source| LedgerError::Folder { path: folder.clone(), source })?;
        // A folder that cannot be listed may still take a new file.
        let number = runs(dir).map_or(0, |runs| runs.first().map_or(0, |newest| number_of(newest))) + 1;
        loop {
            let run = new_run_id(number, now);
            let path = path(dir, &run);
            match OpenOptions::new().append(true).create_new(true).open(&path) {
                Ok(file) => {
                    // A file system without locks only loses the difference between running and killed.
                    let _ = file.try_lock();
                    return Ok((Self { file, path }, run));
                }
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(source) => return Err(LedgerError::Folder { path, source }),
            }
        }
    }

    /// Appends one line with a single write.
    pub(crate) fn append(&mut self, entry: &Entry) -> Result<(), LedgerError> {
        let write = || {
            let line = RawValue::from_string(serde_json::to_string(entry)?)?;
            let crc = crc32fast::hash(line.get().as_bytes());
            let mut text = serde_json::to_string(&Line { crc, line: &line })?;
            text.push('\n');
            (&self.file).write_all(text.as_bytes())
        };
        write().map_err(|source| LedgerError::Write { path: self.path.clone(), source })
    }

    /// Waits until the disk has all lines.
    pub(crate) fn sync(&self) -> Result<(), LedgerError> {
        self.file.sync_data().map_err(|source| LedgerError::Write { path: self.path.clone(), source })
    }
}

/// What a ledger holds.
#[derive(Debug)]
pub(crate) struct Recovered {
    /// The first line.
    pub(crate) opened: Box<Opened>,
    /// All good lines after it and before the first bad one.
    pub(crate) entries: Vec<Entry>,
    /// The number of the first bad line, from 1.
    pub(crate) damaged: Option<usize>,
    /// Whether its process still writes.
    pub(crate) is_open: bool,
}

/// The ids of the runs whose ledgers are in a run's folder, newest first.
///
/// # Errors
/// [`LedgerError::Folder`] when there are none to be read, with the folder.
pub fn runs(dir: &Path) -> Result<Vec<String>, LedgerError> {
    let folder = dir.join(FOLDER);
    let list = || -> io::Result<Vec<String>> {
        let mut runs = Vec::new();
        for entry in fs::read_dir(&folder)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == EXTENSION)
                && let Some(run) = path.file_stem().and_then(|stem| stem.to_str())
            {
                runs.push(run.to_owned());
            }
        }
        runs.sort_unstable_by_key(|run: &String| Reverse((number_of(run), run.clone())));
        Ok(runs)
    };
    list().map_err(|source| LedgerError::Folder { path: folder.clone(), source })
}

/// Reads the ledger of one run up to its first bad line.
pub(crate) fn read(dir: &Path, run: &str) -> Result<Recovered, LedgerError> {
    let path = path(dir, run);
    let open = || -> io::Result<(Vec<u8>, bool)> {
        let is_open = matches!(File::open(&path)?.try_lock_shared(), Err(TryLockError::WouldBlock));
        Ok((fs::read(&path)?, is_open))
    };
    let (bytes, is_open) = open().map_err(|source| LedgerError::Read { path: path.clone(), source })?;
    let mut entries = Vec::new();
    let mut damaged = None;
    for (index, line) in bytes.split_inclusive(|byte| *byte == b'\n').enumerate() {
        match parse(line) {
            Some(entry) => entries.push(entry),
            None => {
                damaged = Some(index + 1);
                break;
            }
        }
    }
    let mut entries = entries.into_iter();
    match entries.next() {
        Some(Entry::Opened(opened)) if opened.schema == super::SCHEMA => {
            Ok(Recovered { opened, entries: entries.collect(), damaged, is_open })
        }
        Some(Entry::Opened(opened)) => Err(LedgerError::Schema { path, found: opened.schema }),
        _ => Err(LedgerError::NoBeginning { path }),
    }
}

/// The entry of a whole line whose checksum holds.
fn parse(line: &[u8]) -> Option<Entry> {
    let text = str::from_utf8(line).ok()?.strip_suffix('\n')?;
    let Line { crc, line } = serde_json::from_str(text).ok()?;
    (crc32fast::hash(line.get().as_bytes()) == crc).then(|| serde_json::from_str(line.get()).ok())?
}

fn path(dir: &Path, run: &str) -> PathBuf {
    dir.join(FOLDER).join(run).with_extension(EXTENSION)
}

/// The run's number in its folder, by which runs sort whatever a clock says; its time, for people; and what tells
/// apart two runs that start at once.
fn new_run_id(number: u32, now: jiff::Timestamp) -> String {
    let salt = RandomState::new().build_hasher().finish() as u16;
    format!("{number:05}-{}-{salt:04x}", now.strftime("%Y%m%dT%H%M%SZ"))
}

/// The number that an id begins with; 0 of a file that is none of ours.
fn number_of(run: &str) -> u32 {
    run.split('-').next().and_then(|number| number.parse().ok()).unwrap_or(0)
}

/// Why a ledger could not be written or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The folder cannot be made, listed or written to.
    #[error("cannot use {} for the run's ledger: {source}; make it writable or choose another folder", path.display())]
    Folder {
        /// The folder or the file in it.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A line could not be written.
    #[error("cannot write to the ledger {}: {source}; the footprint is kept in memory only from here on", path.display())]
    Write {
        /// The ledger.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It cannot be read.
    #[error("cannot read the ledger {}: {source}", path.display())]
    Read {
        /// The ledger.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// It was written by another major version.
    #[error("the ledger {} has the schema `{found}`, this version reads `{}`; use the sootprint that wrote it", path.display(), super::SCHEMA)]
    Schema {
        /// The ledger.
        path: PathBuf,
        /// The schema that it names.
        found: String,
    },
    /// Its first line is damaged or is not a run's beginning, and without it the rest means nothing.
    #[error("the ledger {} has no readable first line", path.display())]
    NoBeginning {
        /// The ledger.
        path: PathBuf,
    },
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::facility::Pue;
    use crate::grid::Answer;
    use crate::ledger::{Outcome, SCHEMA};

    fn opened(run: &str, schema: &str) -> Entry {
        Entry::Opened(Box::new(Opened {
            schema: schema.to_owned(),
            version: "0.0.0".into(),
            run: run.to_owned(),
            training_type: None,
            base_model: None,
            started: "2026-11-23T00:00:00Z".into(),
            grid: Answer::anywhere(2026),
            pue: Pue::ASSUMED,
            components: vec![],
            gaps: vec![],
        }))
    }

    fn note(text: &str) -> Entry {
        Entry::Note { at: 0.1, text: text.into() }
    }

    /// A ledger of three lines, and its bytes.
    fn written(dir: &Path) -> (String, Vec<Entry>, Vec<u8>) {
        let (mut ledger, run) = Ledger::create(dir, jiff::Timestamp::UNIX_EPOCH).unwrap();
        let entries = vec![
            opened(&run, SCHEMA),
            note("a note with \"quotes\" and a\nnew line"),
            Entry::Closed { at: 1.5, outcome: Outcome::Completed, totals: vec![] },
        ];
        for entry in &entries {
            ledger.append(entry).unwrap();
        }
        ledger.sync().unwrap();
        let bytes = fs::read(path(dir, &run)).unwrap();
        (run, entries, bytes)
    }

    #[test]
    fn what_was_written_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let (run, entries, bytes) = written(dir.path());
        let recovered = read(dir.path(), &run).unwrap();
        assert_eq!((recovered.entries, recovered.damaged), (entries[1..].to_vec(), None));
        assert_eq!(bytes.iter().filter(|byte| **byte == b'\n').count(), 3, "one line for each entry");
    }

    #[test]
    fn a_tail_cut_at_any_byte_never_hides_what_came_before() {
        let dir = tempfile::tempdir().unwrap();
        let (run, entries, bytes) = written(dir.path());
        let ends: Vec<usize> =
            (0..bytes.len()).filter(|index| bytes[*index] == b'\n').map(|index| index + 1).collect();
        for cut in 0..bytes.len() {
            fs::write(path(dir.path(), &run), &bytes[..cut]).unwrap();
            let whole = ends.iter().filter(|end| **end <= cut).count();
            match read(dir.path(), &run) {
                Ok(recovered) => {
                    assert_eq!(recovered.entries, entries[1..whole]);
                    assert_eq!(recovered.damaged, (!ends.contains(&cut)).then_some(whole + 1));
                }
                Err(error) => assert!(whole == 0 && matches!(error, LedgerError::NoBeginning { .. })),
            }
        }
    }

    #[test]
    fn a_line_with_one_wrong_byte_ends_the_reading() {
        let dir = tempfile::tempdir().unwrap();
        let (run, _, mut bytes) = written(dir.path());
        let second = bytes.iter().position(|byte| *byte == b'\n').unwrap() + 30;
        bytes[second] ^= 1;
        fs::write(path(dir.path(), &run), &bytes).unwrap();
        let recovered = read(dir.path(), &run).unwrap();
        assert_eq!((recovered.entries, recovered.damaged), (vec![], Some(2)));
    }

    #[test]
    fn a_later_schema_is_refused_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let (mut ledger, run) = Ledger::create(dir.path(), jiff::Timestamp::UNIX_EPOCH).unwrap();
        ledger.append(&opened(&run, "sootprint-ledger/2")).unwrap();
        let error = read(dir.path(), &run).unwrap_err().to_string();
        assert!(error.contains("sootprint-ledger/2") && error.contains(&run), "{error}");
    }

    #[test]
    fn runs_are_listed_newest_first_and_an_open_one_is_known() {
        let dir = tempfile::tempdir().unwrap();
        let at = |second| jiff::Timestamp::from_second(second).unwrap();
        let (_, older) = Ledger::create(dir.path(), at(2_000)).unwrap();
        // A clock that was set back changes nothing.
        let (mut ledger, newer) = Ledger::create(dir.path(), at(1_000)).unwrap();
        assert_eq!(runs(dir.path()).unwrap(), [newer.clone(), older]);
        ledger.append(&opened(&newer, SCHEMA)).unwrap();
        assert!(read(dir.path(), &newer).unwrap().is_open);
        drop(ledger);
        assert!(!read(dir.path(), &newer).unwrap().is_open);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_named() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let error = Ledger::create(file.path(), jiff::Timestamp::UNIX_EPOCH).unwrap_err();
        assert!(error.to_string().contains(file.path().to_str().unwrap()), "{error}");
    }
}
