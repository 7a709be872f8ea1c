//! The runs recorded in a folder.

use std::io;
use std::path::Path;

use anyhow::{Context as _, ensure};
use sootprint::{Footprint, LedgerError, list_runs, load_footprint};

/// The ids of the recorded runs, newest first; empty if the folder does not exist or has no record.
pub(crate) fn recorded_runs(dir: &Path) -> anyhow::Result<Vec<String>> {
    ensure!(!dir.is_file(), "{} is not a folder; pass the --out folder of a run", dir.display());
    match list_runs(dir) {
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        result => Ok(result?),
    }
}

/// The footprint of the newest recorded run; a copied folder may have only its `footprint.json`.
pub(crate) fn newest_footprint(dir: &Path) -> anyhow::Result<Footprint> {
    if !recorded_runs(dir)?.is_empty() {
        return Ok(load_footprint(dir, None)?);
    }
    let path = dir.join(Footprint::FILE_NAME);
    ensure!(path.is_file(), no_run_message(dir));
    Footprint::read(&path).with_context(|| format!("cannot use {}", path.display()))
}

/// The error for a folder without runs.
pub(crate) fn no_run_message(dir: &Path) -> String {
    format!("no run recorded in {}; pass the --out folder of a run", dir.display())
}
