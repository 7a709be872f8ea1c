//! `sootprint run`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use sootprint::{CarbonIntensity, IntensitySeries, Place, Pue, RepoId};

use super::card_fields::CardFieldArgs;
use super::parsers::{parse_baseline, parse_intensity, parse_pue, parse_series};
use super::relation::RelationArg;
use super::upload::UploadArgs;

/// Measure a command from start to finish.
///
/// The command keeps its standard streams; sootprint writes to stderr only. Ctrl-C and signals sent to sootprint, such as
/// TERM or USR1, reach the command exactly once. After the command has ended, Ctrl-C ends any remaining wait.
///
/// The command finds the folder of the record in `SOOTPRINT_RUN_DIR`. A training in it that uses the sootprint library
/// attaches to this run: its epochs are recorded here, and nothing is measured twice.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("label").args(["pre_training", "fine_tuning"])), after_long_help = HELP)]
pub(crate) struct RunArgs {
    /// Record a training from random weights.
    #[arg(long)]
    pub(crate) pre_training: bool,

    /// Record a training from the weights of BASE, as in `owner/name`.
    #[arg(long, alias = "fine-tune", value_name = "BASE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) fine_tuning: Option<String>,

    /// Location: a country, state, province or cloud region, as in France, US-VA or aws:us-east-1.
    #[arg(long)]
    pub(crate) place: Option<Place>,

    /// Carbon intensity of the electricity, in grams of CO2e per kilowatt-hour.
    #[arg(long, value_name = "G_PER_KWH", value_parser = parse_intensity)]
    pub(crate) intensity: Option<CarbonIntensity>,

    /// Hourly carbon intensity: a CSV file with columns `start` and `g_per_kwh`.
    #[arg(long, value_name = "FILE", value_parser = parse_series, conflicts_with = "intensity")]
    pub(crate) series: Option<IntensitySeries>,

    /// Query this provider for hourly carbon intensity.
    #[arg(long, value_name = "PROVIDER", conflicts_with_all = ["intensity", "series"])]
    pub(crate) live: Option<ProviderArg>,

    /// Power usage effectiveness of the data centre, 1 or more.
    #[arg(long, value_name = "N", value_parser = parse_pue)]
    pub(crate) pue: Option<Pue>,

    /// Seconds of idle power to measure before the command, at most 60.
    #[arg(long, value_name = "SECONDS", value_parser = parse_baseline)]
    pub(crate) baseline: Option<Duration>,

    /// Folder of the record, and of the weights for --push.
    #[arg(long, value_name = "DIR", default_value = "sootprint-run")]
    pub(crate) out: PathBuf,

    /// Continue the newest run in --out, as after a restart from a checkpoint.
    ///
    /// All attempts make one footprint. If the newest run is complete, a new run starts, so a job that is restarted
    /// automatically can always pass this option.
    #[arg(long)]
    pub(crate) resume: bool,

    /// Write the emissions into this model card if the command succeeds.
    ///
    /// The card is created if it does not exist.
    #[arg(long, value_name = "README.md", requires = "label")]
    pub(crate) card: Option<PathBuf>,

    /// Push the weights and card in --out to REPO, `owner/name`, if the command succeeds.
    ///
    /// REPO defaults to `SOOTPRINT_REPOSITORY`, then to `repository` in sootprint.toml.
    #[arg(long, value_name = "REPO", requires = "label", num_args = 0..=1)]
    pub(crate) push: Option<Option<RepoId>>,

    /// The options of the push.
    #[command(flatten)]
    pub(crate) upload: UploadArgs,

    #[command(flatten)]
    pub(crate) fields: CardFieldArgs,

    /// How the model relates to its base model; if omitted, the Hub guesses.
    // clap drops `requires` when a conflicting argument is present, so both are needed.
    #[arg(
        long,
        value_name = "RELATION",
        requires = "fine_tuning",
        conflicts_with = "pre_training",
        hide_short_help = true
    )]
    pub(crate) relation: Option<RelationArg>,

    /// Download the base model's card and list its emissions separately.
    #[arg(
        long,
        requires_all = ["push", "fine_tuning"],
        conflicts_with = "pre_training",
        hide_short_help = true
    )]
    pub(crate) base_card: bool,

    /// Kill the command if sootprint is killed (Linux).
    ///
    /// Without this option the command continues unmeasured.
    #[arg(long)]
    pub(crate) kill_child: bool,

    /// The command to measure, with its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl RunArgs {
    /// The command to measure.
    pub(crate) fn command(&self) -> Command {
        let mut words = self.command.iter().map(OsString::as_os_str);
        // clap requires at least one word.
        let mut command = Command::new(words.next().unwrap_or(OsStr::new("")));
        command.args(words);
        command
    }
}

/// A provider of hourly carbon intensity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum ProviderArg {
    /// The Carbon Intensity API of Great Britain.
    Uk,
    /// Electricity Maps, with the token in `ELECTRICITYMAPS_TOKEN`.
    ElectricityMaps,
}

const HELP: &str = "\
Examples:
  sootprint run --pre-training --place France --out digits -- python train.py
  sootprint run --fine-tuning me/base --card README.md -- ./tune.sh

Environment:
  SOOTPRINT_PLACE      as --place, which takes precedence
  SOOTPRINT_INTENSITY  as --intensity
  SOOTPRINT_SERIES     as --series
  SOOTPRINT_LIVE       as --live
  SOOTPRINT_PUE        as --pue
  SOOTPRINT_REPOSITORY as the REPO of --push
  SOOTPRINT_BASELINE   as --baseline
  SOOTPRINT_METADATA   off: do not query the cloud's metadata service
  SOOTPRINT_NVML       path of NVIDIA's NVML library
  SOOTPRINT_RANK       rank of this process, from 0
  SOOTPRINT_WORLD_SIZE number of ranks; if either is unset, both are read from
                       torchrun, Open MPI, PMI or Slurm
  SOOTPRINT_JOB        an id shared by all processes of a job without a launcher
  SOOTPRINT_REPLAY     a JSON file of power values to use instead of sensors
  SOOTPRINT=off        run the command without measuring
  ELECTRICITYMAPS_TOKEN, ELECTRICITYMAPS_ZONE
                       for --live electricity-maps

A setting that is not given is read from sootprint.toml: first the nearest one
in the working folder or above it, then ~/.config/sootprint/sootprint.toml, then
/etc/sootprint.toml. Keys: place, intensity, series, provider (as --live), pue,
repository, baseline, metadata, nvml; for new cards license, library_name,
pipeline_tag, language, datasets, metrics.

Exit status:
  the status of the command, or 128 + n if signal n ended it; failures after
  the command do not change it
  2    invalid arguments
  125  sootprint failed before the command started
  126  the command cannot be run
  127  the command was not found";
