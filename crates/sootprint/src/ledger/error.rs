//! Errors of ledgers.

use std::io;
use std::path::PathBuf;

use sootprint_core::format::error_chain;
use sootprint_core::limits::MAX_EPOCHS;

use super::entry::SCHEMA;

/// Why a ledger cannot be written or read. A ledger is the file in which a process records its run, line by line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LedgerError {
    /// The folder cannot be created, listed or written to.
    #[error("cannot use {} for the run's ledger", path.display())]
    Folder {
        /// The folder or a file in it.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// Another process is recording a run in the folder.
    #[error("another run is still being recorded in {} ({run}); use one folder per run", dir.display())]
    Busy {
        /// The folder of the run.
        dir: PathBuf,
        /// The id of the run.
        run: String,
    },
    /// The thread that writes the ledger cannot be started.
    #[error("cannot start the thread that writes the ledger {}", path.display())]
    Thread {
        /// The path of the ledger.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The ledger cannot be read.
    #[error("cannot read the ledger {}", path.display())]
    Read {
        /// The path of the ledger.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
    /// The ledger was written by an incompatible version.
    #[error(
        "unsupported schema `{found}` in the ledger {} (expected `{SCHEMA}`); use the sootprint that wrote it",
        path.display()
    )]
    Schema {
        /// The path of the ledger.
        path: PathBuf,
        /// The schema that the ledger names.
        found: String,
    },
    /// The first line is damaged or is not a header, so the rest cannot be interpreted.
    #[error("the ledger {} has no readable first line", path.display())]
    MissingHeader {
        /// The path of the ledger.
        path: PathBuf,
    },
    /// A line contains a value that no run has, so it is not the work of sootprint.
    #[error("the ledger {} has an impossible value in line {line}: {reason}", path.display())]
    InvalidValue {
        /// The path of the ledger.
        path: PathBuf,
        /// The number of the line, from 1.
        line: usize,
        /// The value and what is wrong with it.
        reason: String,
    },
    /// The ledger has more epochs than any run has, or is larger than a gigabyte.
    #[error("the ledger {} is too large: at most {MAX_EPOCHS} epochs and 1 GB can be read", path.display())]
    TooLarge {
        /// The path of the ledger.
        path: PathBuf,
    },
}

impl LedgerError {
    /// The message with its cause, without the path, which may contain a user name: for text that may be published.
    pub(crate) fn without_path(&self) -> String {
        let (path, name) = match self {
            Self::Folder { path, .. } | Self::Busy { dir: path, .. } => (path, "the run's folder".into()),
            Self::Thread { path, .. }
            | Self::Read { path, .. }
            | Self::Schema { path, .. }
            | Self::InvalidValue { path, .. }
            | Self::TooLarge { path }
            | Self::MissingHeader { path } => (path, path.file_name().unwrap_or_default().to_string_lossy()),
        };
        error_chain(self).replace(&path.display().to_string(), &name)
    }
}
