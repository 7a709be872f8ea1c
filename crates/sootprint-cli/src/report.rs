//! `sootprint report`: the footprints of one folder or several, made again from their ledgers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io, slice};

use anyhow::{Context as _, bail, ensure};
use sootprint::{Footprint, LedgerError, recover_all, runs};
use sootprint_report::{chart, render_plot, to_csv};

use crate::arguments::ReportArguments;
use crate::terminal::{json, print, print_titled, say};

/// Prints what was recorded; writes nothing.
pub(crate) fn report(arguments: &ReportArguments) -> anyhow::Result<()> {
    let dirs: Vec<&Path> = arguments.dirs.iter().map(PathBuf::as_path).collect();
    let recorded: Vec<Vec<String>> = dirs.iter().map(|dir| recorded(dir)).collect::<anyhow::Result<_>>()?;
    if arguments.all {
        return report_all(arguments, &dirs, &recorded);
    }
    let run = match &arguments.run {
        Some(run) if !recorded.iter().any(|runs| runs.contains(run)) => {
            let [dirs, runs] =
                [dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>(), recorded.concat()];
            bail!("{} has no run {run}; it has {}", dirs.join(", "), runs.join(", "))
        }
        Some(run) => run,
        None => recorded.first().and_then(|runs| runs.first()).with_context(|| nothing(dirs[0]))?,
    };
    for (dir, runs) in dirs.iter().zip(&recorded) {
        if !runs.contains(run) {
            say(format_args!("{} has no record of the run {run}", dir.display()));
        }
    }
    let footprint = recover_all(&dirs, Some(run))?;
    if arguments.json {
        print(&footprint.to_json()?)?;
    } else if arguments.csv {
        print(&to_csv(slice::from_ref(&footprint))?)?;
    } else {
        print_titled(&in_words(&footprint))?;
    }
    arguments.plot.as_ref().map_or(Ok(()), |path| plot(&footprint, path))
}

fn in_words(footprint: &Footprint) -> String {
    footprint.to_string() + &chart(footprint)
}

/// Writes the picture that a card shows.
fn plot(footprint: &Footprint, path: &Path) -> anyhow::Result<()> {
    let png = render_plot(footprint)?.context(
        "the run has no record of its power over time, so there is nothing to plot; it was shorter than a second",
    )?;
    fs::write(path, png)
        .with_context(|| format!("cannot write {}; name a file in a folder that is there", path.display()))
}

/// A ledger that cannot be read hides none of the others.
fn report_all(arguments: &ReportArguments, dirs: &[&Path], recorded: &[Vec<String>]) -> anyhow::Result<()> {
    let mut footprints = Vec::new();
    let mut seen = BTreeSet::new();
    let all: Vec<&String> = recorded.iter().flatten().filter(|run| seen.insert(*run)).collect();
    for run in &all {
        match recover_all(dirs, Some(run)) {
            Ok(footprint) => footprints.push(footprint),
            Err(error) => say(error),
        }
    }
    if arguments.json {
        print(&json(&footprints)?)?;
    } else if arguments.csv {
        print(&to_csv(&footprints)?)?;
    } else {
        print_titled(&footprints.iter().map(in_words).collect::<Vec<_>>().join("\n"))?;
    }
    let unread = all.len() - footprints.len();
    ensure!(unread == 0, "{unread} of {} runs are not shown: their ledgers cannot be read", all.len());
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
