//! `sootprint doctor`.

use clap::Args;

/// Show what this machine can measure, and how to fix the rest.
///
/// Measures for two seconds, and shows the place, carbon intensity and PUE that a run would use.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  SOOTPRINT_PLACE=France sootprint doctor\n  sootprint doctor --check 10"
)]
pub(crate) struct DoctorArgs {
    /// Compare each GPU's energy counter with its power readings for this long, best under load.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) check: Option<u64>,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
