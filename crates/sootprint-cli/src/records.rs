//! The runs recorded in a folder.

use std::io;
use std::path::Path;

use sootprint::{LedgerError, list_runs};

/// The ids of the recorded runs, newest first; empty if the folder does not exist or has no record.
pub(crate) fn recorded_runs(dir: &Path) -> Result<Vec<String>, LedgerError> {
    match list_runs(dir) {
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => result,
    }
}

/// The error for a folder without runs.
pub(crate) fn no_run_message(dir: &Path) -> String {
    format!("no run recorded in {}; pass the --out folder of a run", dir.display())
}
