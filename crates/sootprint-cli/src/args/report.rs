//! `sootprint report` and `sootprint verify`.

use std::path::PathBuf;

use clap::Args;

use super::parsers::parse_png_path;

/// Show the footprint of a recorded run.
///
/// The footprint covers all ranks and attempts of the newest run in the first DIR, unless --run or --all is given. A run
/// that is still running or was killed is shown up to the end of its record. Nothing is written.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sootprint report artifacts/digits
  sootprint report artifacts/digits --csv > digits.csv
  sootprint report node1/digits node2/digits --plot power.png")]
pub(crate) struct ReportArgs {
    /// The folder of the run; several if its ranks do not share one.
    #[arg(value_name = "DIR", required = true)]
    pub(crate) dirs: Vec<PathBuf>,

    /// Show the run with this id.
    #[arg(long, value_name = "ID", conflicts_with = "all")]
    pub(crate) run: Option<String>,

    /// Show all runs, newest first.
    #[arg(long)]
    pub(crate) all: bool,

    /// Print JSON in the format of footprint.json; with --all an array.
    #[arg(long, conflicts_with = "csv")]
    pub(crate) json: bool,

    /// Print CSV: one row for the run, then one per component, epoch and phase.
    #[arg(long)]
    pub(crate) csv: bool,

    /// Also write the plot of the model card: power over time, energy by component.
    #[arg(long, value_name = "FILE.png", value_parser = parse_png_path, conflicts_with = "all")]
    pub(crate) plot: Option<PathBuf>,
}

/// Check footprint.json and the model card against the run's record.
///
/// Rebuilds the footprint from the ledgers in DIR and lists each difference. Rounding in the card, up to 5e-5 g and
/// 5e-10 kWh, is ignored. Exits with status 1 if anything differs.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint verify artifacts/digits")]
pub(crate) struct VerifyArgs {
    /// The folder of the run.
    pub(crate) dir: PathBuf,

    /// The model card [default: README.md in DIR, if it exists].
    #[arg(long, value_name = "README.md")]
    pub(crate) card: Option<PathBuf>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
