//! `sootprint report`: the footprints of a folder, made again from its ledgers.

use std::io;
use std::path::Path;

use anyhow::{Context as _, bail, ensure};
use sootprint::{Footprint, LedgerError, recover, runs};

use crate::arguments::ReportArguments;
use crate::terminal::{print, say};

/// Prints what was recorded; writes nothing.
pub(crate) fn report(arguments: &ReportArguments) -> anyhow::Result<()> {
    let dir = &arguments.dir;
    let recorded = recorded(dir)?;
    if arguments.all {
        return report_all(arguments, &recorded);
    }
    let run = match &arguments.run {
        Some(run) if !recorded.contains(run) => {
            bail!("{} has no run {run}; it has {}", dir.display(), recorded.join(", "))
        }
        Some(run) => run,
        None => recorded.first().with_context(|| nothing(dir))?,
    };
    let footprint = recover(dir, Some(run))?;
    print(&if arguments.json { footprint.to_json()? } else { footprint.to_string() })?;
    Ok(())
}

/// A ledger that cannot be read hides none of the others.
fn report_all(arguments: &ReportArguments, recorded: &[String]) -> anyhow::Result<()> {
    let mut footprints = Vec::new();
    for run in recorded {
        match recover(&arguments.dir, Some(run)) {
            Ok(footprint) => footprints.push(footprint),
            Err(error) => say(error),
        }
    }
    print(&if arguments.json {
        serde_json::to_string_pretty(&footprints)? + "\n"
    } else {
        footprints.iter().map(Footprint::to_string).collect::<Vec<_>>().join("\n")
    })?;
    let unread = recorded.len() - footprints.len();
    ensure!(unread == 0, "{unread} of {} runs are not shown: their ledgers cannot be read", recorded.len());
    Ok(())
}

/// The runs of the folder, newest first; at least one.
fn recorded(dir: &Path) -> anyhow::Result<Vec<String>> {
    match runs(dir) {
        Ok(runs) if !runs.is_empty() => Ok(runs),
        Ok(_) => bail!(nothing(dir)),
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            bail!(nothing(dir))
        }
        Err(error) => bail!(error),
    }
}

fn nothing(dir: &Path) -> String {
    format!("no run was recorded in {}; name the folder that the run was given, its --out", dir.display())
}
