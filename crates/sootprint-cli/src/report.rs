//! `sootprint report`: the footprints of one folder or several, made again from their ledgers.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io, slice};

use anyhow::{Context as _, bail, ensure};
use sootprint::{Footprint, LedgerError, list_runs, load_footprint_from_dirs};
use sootprint_report::{chart, render_plot, to_csv};

use crate::args::ReportArgs;
use crate::terminal::{eprint_message, print, print_titled, to_pretty_json};

/// Prints what was recorded; writes nothing.
pub(crate) fn print_report(arguments: &ReportArgs) -> anyhow::Result<()> {
    let dirs: Vec<&Path> = arguments.dirs.iter().map(PathBuf::as_path).collect();
    let recorded_runs: Vec<Vec<String>> =
        dirs.iter().map(|dir| recorded_runs(dir)).collect::<anyhow::Result<_>>()?;
    if arguments.all {
        return print_all(arguments, &dirs, &recorded_runs);
    }
    let run = match &arguments.run {
        Some(run) if !recorded_runs.iter().any(|runs| runs.contains(run)) => {
            let [dirs, runs] = [
                dirs.iter().map(|dir| dir.display().to_string()).collect::<Vec<_>>(),
                recorded_runs.concat(),
            ];
            bail!("{} has no run {run}; it has {}", dirs.join(", "), runs.join(", "))
        }
        Some(run) => run,
        None => {
            recorded_runs.first().and_then(|runs| runs.first()).with_context(|| no_run_message(dirs[0]))?
        }
    };
    for (dir, runs) in dirs.iter().zip(&recorded_runs) {
        if !runs.contains(run) {
            eprint_message(format_args!("{} has no record of the run {run}", dir.display()));
        }
    }
    let footprint = load_footprint_from_dirs(&dirs, Some(run))?;
    if arguments.json {
        print(&footprint.to_json()?)?;
    } else if arguments.csv {
        print(&to_csv(slice::from_ref(&footprint))?)?;
    } else {
        print_titled(&render_report(&footprint))?;
    }
    arguments.plot.as_ref().map_or(Ok(()), |path| write_plot(&footprint, path))
}

fn render_report(footprint: &Footprint) -> String {
    footprint.to_string() + &chart(footprint)
}

/// Writes the picture that a card shows.
fn write_plot(footprint: &Footprint, path: &Path) -> anyhow::Result<()> {
    let png = render_plot(footprint)?.context(
        "the run has no record of its power over time, so there is nothing to plot; it was shorter than a second",
    )?;
    fs::write(path, png)
        .with_context(|| format!("cannot write {}; name a file in a folder that is there", path.display()))
}

/// A ledger that cannot be read hides none of the others.
fn print_all(arguments: &ReportArgs, dirs: &[&Path], recorded_runs: &[Vec<String>]) -> anyhow::Result<()> {
    let mut footprints = Vec::new();
    let mut seen = BTreeSet::new();
    let all: Vec<&String> = recorded_runs.iter().flatten().filter(|run| seen.insert(*run)).collect();
    for run in &all {
        match load_footprint_from_dirs(dirs, Some(run)) {
            Ok(footprint) => footprints.push(footprint),
            Err(error) => eprint_message(error),
        }
    }
    if arguments.json {
        print(&to_pretty_json(&footprints)?)?;
    } else if arguments.csv {
        print(&to_csv(&footprints)?)?;
    } else {
        print_titled(&footprints.iter().map(render_report).collect::<Vec<_>>().join("\n"))?;
    }
    let unread = all.len() - footprints.len();
    ensure!(unread == 0, "{unread} of {} runs are not shown: their ledgers cannot be read", all.len());
    Ok(())
}

/// The runs of the folder, newest first; at least one.
fn recorded_runs(dir: &Path) -> anyhow::Result<Vec<String>> {
    match list_runs(dir) {
        Ok(runs) if !runs.is_empty() => Ok(runs),
        Ok(_) => bail!(no_run_message(dir)),
        Err(LedgerError::Folder { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
            bail!(no_run_message(dir))
        }
        Err(error) => bail!(error),
    }
}

fn no_run_message(dir: &Path) -> String {
    format!("no run was recorded in {}; name the folder that the run was given, its --out", dir.display())
}
