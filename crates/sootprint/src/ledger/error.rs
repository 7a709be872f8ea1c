//! Why a ledger cannot be written or read.

use std::io;
use std::path::PathBuf;

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
    /// Another process writes a run's record into the folder.
    #[error("a run is still being recorded in {} ({run}); wait for its end, or choose another folder", dir.display())]
    Busy {
        /// The run's folder.
        dir: PathBuf,
        /// The run.
        run: String,
    },
    /// The thread that writes the ledger does not start.
    #[error("the thread that writes the ledger {} does not start: {source}", path.display())]
    Thread {
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
    MissingHeader {
        /// The ledger.
        path: PathBuf,
    },
}

impl LedgerError {
    /// The text without the path, which may have a user's name in it: for what is published.
    pub(crate) fn without_path(&self) -> String {
        let (path, name) = match self {
            Self::Folder { path, .. } | Self::Busy { dir: path, .. } => (path, "the run's folder".into()),
            Self::Thread { path, .. }
            | Self::Read { path, .. }
            | Self::Schema { path, .. }
            | Self::MissingHeader { path } => (path, path.file_name().unwrap_or_default().to_string_lossy()),
        };
        self.to_string().replace(&path.display().to_string(), &name)
    }
}
