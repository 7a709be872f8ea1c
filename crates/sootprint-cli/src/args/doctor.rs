//! `sootprint doctor`.

use clap::Args;

/// Show what can be measured on this machine, what not, and what mends it.
///
/// Measures for two seconds, and shows which place, carbon intensity and PUE a run would get.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  SOOTPRINT_PLACE=France sootprint doctor\n  sootprint doctor --check 10"
)]
pub(crate) struct DoctorArgs {
    /// Compares each board's energy counter with its power readings for so many seconds; best while it works.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) check: Option<u64>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
