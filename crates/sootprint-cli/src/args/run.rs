//! `sootprint run`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args};
use sootprint::{CarbonIntensity, IntensitySeries, Place, Pue};

use super::RelationArg;
use super::parsers::{parse_intensity, parse_pue, parse_repository, parse_series};

/// Measure a command from its start to its end.
///
/// The command's input and output are its own; sootprint writes to stderr only. Ctrl-C ends the command, and signals that
/// are sent to sootprint to end it or to tell it something (HUP, USR1, USR2) are passed on to it. The command finds the
/// folder of the record in `SOOTPRINT_RUN_DIR`, and a training in it that uses sootprint itself attaches to that run: its
/// epochs are in the record, and nothing is measured twice.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("label").args(["pre_training", "fine_tuning"])), after_long_help = HELP)]
pub(crate) struct RunArgs {
    /// The model is trained from random weights.
    #[arg(long)]
    pub(crate) pre_training: bool,

    /// The model is trained from the weights of BASE, as in `owner/name`.
    #[arg(long, alias = "fine-tune", value_name = "BASE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) fine_tuning: Option<String>,

    /// Where it runs: a country, a state or province, or a cloud's region, as in France, US-VA or aws:us-east-1.
    #[arg(long)]
    pub(crate) place: Option<Place>,

    /// The carbon intensity of the electricity in grams of CO2e per kilowatt-hour.
    #[arg(long, value_name = "G_PER_KWH", value_parser = parse_intensity)]
    pub(crate) intensity: Option<CarbonIntensity>,

    /// The carbon intensity of each hour: a CSV file with the columns `start` and `g_per_kwh`.
    #[arg(long, value_name = "FILE", value_parser = parse_series, conflicts_with = "intensity")]
    pub(crate) series: Option<IntensitySeries>,

    /// Ask this provider for the carbon intensity of each hour.
    #[arg(long, value_name = "PROVIDER", conflicts_with_all = ["intensity", "series"])]
    pub(crate) live: Option<ProviderArg>,

    /// What the facility uses per unit of its computers' energy, 1 or more.
    #[arg(long, value_name = "N", value_parser = parse_pue)]
    pub(crate) pue: Option<Pue>,

    /// The folder of the record; for --push also that of the weights.
    #[arg(long, value_name = "DIR", default_value = "sootprint-run")]
    pub(crate) out: PathBuf,

    /// Go on with the newest run of --out, as after a restart from a checkpoint: all attempts are one footprint.
    ///
    /// A run that is complete stays as it is, and a new one begins; so this may stand in a job that is started again.
    #[arg(long)]
    pub(crate) resume: bool,

    /// Write the emissions into this model card when the command has succeeded; it may be a new file.
    #[arg(long, value_name = "README.md", requires = "label")]
    pub(crate) card: Option<PathBuf>,

    /// Publish the weights and the card in --out as REPO, `owner/name`, when the command has succeeded.
    ///
    /// Without REPO it is the one of `SOOTPRINT_REPOSITORY` or of `repository` in sootprint.toml.
    #[arg(long, value_name = "REPO", requires = "label", value_parser = parse_repository, num_args = 0..=1)]
    pub(crate) push: Option<Option<String>>,

    /// How the model comes from its base model; without it the Hub guesses.
    // What is required is excused where something else excludes it: hence both.
    #[arg(long, value_name = "RELATION", requires = "fine_tuning", conflicts_with = "pre_training")]
    pub(crate) relation: Option<RelationArg>,

    /// Read the base model's card from the Hub and name its emissions in the published card, as separate.
    #[arg(long, requires_all = ["push", "fine_tuning"], conflicts_with = "pre_training")]
    pub(crate) base_card: bool,

    /// End the command when sootprint is killed; else it goes on, unmeasured (Linux).
    #[arg(long)]
    pub(crate) kill_child: bool,

    /// What to run, with its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

impl RunArgs {
    /// What is to be measured.
    pub(crate) fn command(&self) -> Command {
        let mut words = self.command.iter().map(OsString::as_os_str);
        // The parser asks for one word at least.
        let mut command = Command::new(words.next().unwrap_or(OsStr::new("")));
        command.args(words);
        command
    }
}

/// Who is asked for the carbon intensity of each hour.
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
  SOOTPRINT_PLACE      as --place, which goes first
  SOOTPRINT_INTENSITY  as --intensity
  SOOTPRINT_SERIES     as --series
  SOOTPRINT_LIVE       as --live
  SOOTPRINT_PUE        as --pue
  SOOTPRINT_REPOSITORY as the REPO of --push
  SOOTPRINT_BASELINE   seconds at rest that are measured before the command
  SOOTPRINT_METADATA   off: the machine's cloud is never asked where it is
  SOOTPRINT_NVML       the path of NVIDIA's NVML library
  SOOTPRINT_RANK       which process this is of SOOTPRINT_WORLD_SIZE; else
                       torchrun, Open MPI, PMI or Slurm say it
  SOOTPRINT_JOB        the same for all processes of a job without a launcher
  SOOTPRINT_REPLAY     a script of powers (JSON) instead of the machine
  SOOTPRINT=off        runs the command and measures nothing
  ELECTRICITYMAPS_TOKEN, ELECTRICITYMAPS_ZONE
                       for --live electricity-maps

Settings that neither say are those of sootprint.toml: the nearest in the
working folder or above it, then ~/.config/sootprint/sootprint.toml, then
/etc/sootprint.toml. Keys: place, intensity, series, provider (as --live), pue,
repository, baseline, metadata, nvml.

Exit status:
  that of the command, or 128 + n when signal n ended it; nothing that fails
  afterwards changes it
  2    wrong arguments
  125  sootprint failed before the command
  126  the command cannot be run
  127  there is no such command";
