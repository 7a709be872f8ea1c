//! `sootprint report`: footprints rebuilt from the ledgers of one or several folders.

use std::path::{Path, PathBuf};
use std::{fs, slice};

use anyhow::{Context as _, anyhow, bail, ensure};
use sootprint::{Footprint, load_all_footprints, load_footprint_from_dirs};
use sootprint_report::{chart, render_plot, to_csv};

use crate::args::ReportArgs;
use crate::error_text::describe_error;
use crate::records::{no_run_message, recorded_runs};
use crate::terminal::{eprint_message, print, print_titled, to_pretty_json};

/// Prints the selected footprints. Writes nothing but the plot.
pub(crate) fn print_report(arguments: &ReportArgs) -> anyhow::Result<()> {
    let dirs: Vec<&Path> = arguments.dirs.iter().map(PathBuf::as_path).collect();
    let runs_per_dir: Vec<Vec<String>> =
        dirs.iter().map(|dir| runs_or_error(dir)).collect::<anyhow::Result<_>>()?;
    if arguments.all {
        return print_all(arguments, &dirs);
    }
    let (footprint, unreadable) = match &arguments.run {
        Some(run) if !runs_per_dir.iter().any(|runs| runs.contains(run)) => {
            let dirs: Vec<String> = dirs.iter().map(|dir| dir.display().to_string()).collect();
            bail!("no run {run} in {}; recorded: {}", dirs.join(", "), runs_per_dir.concat().join(", "))
        }
        Some(run) => (load_footprint_from_dirs(&dirs, Some(run))?, 0),
        None => newest_readable(&dirs, &runs_per_dir[0])?,
    };
    let run = &footprint.run.id;
    for (dir, runs) in dirs.iter().zip(&runs_per_dir) {
        if !runs.contains(run) {
            eprint_message(format_args!("{} has no record of run {run}", dir.display()));
        }
    }
    print_footprints(arguments, slice::from_ref(&footprint))?;
    if let Some(path) = &arguments.plot {
        write_plot(&footprint, path)?;
    }
    ensure!(unreadable == 0, "this is not the newest run: {unreadable} newer not shown, unreadable ledgers");
    Ok(())
}

/// The newest of these runs that can be read, and the number of newer ones, each of which is reported.
fn newest_readable(dirs: &[&Path], runs: &[String]) -> anyhow::Result<(Footprint, usize)> {
    let mut errors = Vec::new();
    for run in runs {
        match load_footprint_from_dirs(dirs, Some(run)) {
            Ok(footprint) => {
                errors.iter().for_each(|error| eprint_message(describe_error(error)));
                return Ok((footprint, errors.len()));
            }
            Err(error) => errors.push(error),
        }
    }
    Err(errors.into_iter().next().map_or_else(|| anyhow!(no_run_message(dirs[0])), Into::into))
}

/// Prints the footprints in the selected format. The JSON of `--all` is a list, otherwise it is a footprint.
fn print_footprints(arguments: &ReportArgs, footprints: &[Footprint]) -> anyhow::Result<()> {
    let text = match footprints {
        [footprint] if arguments.json && !arguments.all => footprint.to_json()?,
        _ if arguments.json => to_pretty_json(&footprints)?,
        _ if arguments.csv => to_csv(footprints)?,
        _ => {
            let reports: Vec<String> = footprints.iter().map(render_report).collect();
            return Ok(print_titled(&reports.join("\n"))?);
        }
    };
    Ok(print(&text)?)
}

fn render_report(footprint: &Footprint) -> String {
    footprint.to_string() + &chart(footprint)
}

/// Writes the plot of the model card.
fn write_plot(footprint: &Footprint, path: &Path) -> anyhow::Result<()> {
    let png = render_plot(footprint)?
        .context("nothing to plot: the run was not measured, or took less than a second")?;
    fs::write(path, png).with_context(|| format!("cannot write {}", path.display()))
}

/// Prints all runs. A ledger that cannot be read does not hide the others.
fn print_all(arguments: &ReportArgs, dirs: &[&Path]) -> anyhow::Result<()> {
    let runs = load_all_footprints(dirs)?;
    let run_count = runs.len();
    let mut footprints = Vec::with_capacity(run_count);
    for result in runs {
        match result {
            Ok(footprint) => footprints.push(footprint),
            Err(error) => eprint_message(describe_error(&error)),
        }
    }
    print_footprints(arguments, &footprints)?;
    let unread = run_count - footprints.len();
    ensure!(unread == 0, "{unread} of {run_count} runs not shown: unreadable ledgers");
    Ok(())
}

/// The runs of the folder, newest first.
///
/// # Errors
/// If the folder has no run or cannot be read.
fn runs_or_error(dir: &Path) -> anyhow::Result<Vec<String>> {
    let runs = recorded_runs(dir)?;
    ensure!(!runs.is_empty(), no_run_message(dir));
    Ok(runs)
}
