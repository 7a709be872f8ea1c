//! `sootprint report` and `sootprint verify`.

use std::path::PathBuf;

use clap::Args;

use super::parsers::parse_png_path;

/// Show what was measured, from the records in DIR.
///
/// One footprint of all ranks and attempts of a run: the newest one of the first DIR unless another is named. Runs that
/// are still running or were killed are shown as far as their record goes. Nothing is written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sootprint report artifacts/digits
  sootprint report artifacts/digits --csv > digits.csv
  sootprint report node1/digits node2/digits --plot power.png")]
pub(crate) struct ReportArgs {
    /// The folder that the run was given; several where its ranks have none in common.
    #[arg(value_name = "DIR", required = true)]
    pub(crate) dirs: Vec<PathBuf>,

    /// The run with this id.
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub(crate) run: Option<String>,

    /// All runs, the newest first.
    #[arg(long)]
    pub(crate) all: bool,

    /// As the JSON of a footprint.json; with --all an array.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,

    /// As CSV: a row for the whole run, one for each component and one for each epoch.
    #[arg(long)]
    pub(crate) csv: bool,

    /// Also draw power over time and energy by component into this picture, as the card shows them.
    #[arg(long, value_name = "FILE.png", value_parser = parse_png_path, conflicts_with = "all")]
    pub(crate) plot: Option<PathBuf>,
}

/// Make a footprint again from the records in DIR, and say what differs from its footprint.json and its card.
///
/// Figures in the card are rounded: 5e-5 g and 5e-10 kWh are no difference. The exit status is 1 when anything differs.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint verify artifacts/digits")]
pub(crate) struct VerifyArgs {
    /// The folder that the run was given.
    pub(crate) dir: PathBuf,

    /// The model card; else the README.md in DIR, where there is one.
    #[arg(long, value_name = "README.md")]
    pub(crate) card: Option<PathBuf>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
