//! What can be said on the command line. The comments here are the text of `--help`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Parser};
use sootprint::{CarbonIntensity, IntensityError, Place, Pue, PueError};

/// Measure the energy and the CO2e of a training.
#[derive(Debug, Parser)]
#[command(name = "sootprint", version)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) subcommand: Subcommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum Subcommand {
    Run(RunArguments),
    Report(ReportArguments),
    Verify(VerifyArguments),
    Doctor(DoctorArguments),
}

/// Measure a command from its start to its end.
///
/// The command's input and output are its own; sootprint writes to stderr only. Ctrl-C ends the command, and other
/// signals that are sent to sootprint are passed on to it. The command finds the folder of the record in
/// `SOOTPRINT_RUN_DIR`.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("label").args(["pre_training", "fine_tuning"])), after_long_help = RUN_HELP)]
pub(crate) struct RunArguments {
    /// The model is trained from random weights.
    #[arg(long)]
    pub(crate) pre_training: bool,

    /// The model is trained from the weights of BASE, as in `owner/name`.
    #[arg(long, alias = "fine-tune", value_name = "BASE", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) fine_tuning: Option<String>,

    /// Where it runs: a country's name or code.
    #[arg(long)]
    pub(crate) place: Option<Place>,

    /// The carbon intensity of the electricity in grams of CO2e per kilowatt-hour.
    #[arg(long, value_name = "G_PER_KWH", value_parser = intensity)]
    pub(crate) intensity: Option<CarbonIntensity>,

    /// What the facility uses per unit of its computers' energy, 1 or more.
    #[arg(long, value_name = "N", value_parser = pue)]
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
    #[arg(long, value_name = "REPO", requires = "label", value_parser = repository)]
    pub(crate) push: Option<String>,

    /// What to run, with its arguments.
    #[arg(last = true, required = true)]
    command: Vec<OsString>,
}

const RUN_HELP: &str = "\
Example:
  sootprint run --pre-training --place France --out digits -- python train.py

Environment:
  SOOTPRINT_PLACE      as --place, which goes first
  SOOTPRINT_INTENSITY  as --intensity
  SOOTPRINT_PUE        as --pue
  SOOTPRINT_NVML       the path of NVIDIA's NVML library
  SOOTPRINT_RANK       which process this is of SOOTPRINT_WORLD_SIZE; else torchrun, Open MPI, PMI or Slurm say it
  SOOTPRINT_JOB        the same for all processes of a job, where no launcher names it
  SOOTPRINT_REPLAY     a script of powers (JSON) to measure instead of the machine
  SOOTPRINT=off        runs the command and measures nothing

Exit status:
  that of the command, or 128 + n when signal n ended it; nothing that fails
  afterwards changes it
  2    wrong arguments
  125  sootprint failed before the command
  126  the command cannot be run
  127  there is no such command";

impl RunArguments {
    /// What is to be measured.
    pub(crate) fn command(&self) -> Command {
        let mut words = self.command.iter().map(OsString::as_os_str);
        // The parser asks for one word at least.
        let mut command = Command::new(words.next().unwrap_or(OsStr::new("")));
        command.args(words);
        command
    }
}

/// Show what was measured, from the records in DIR.
///
/// One footprint of all ranks and attempts of a run: the newest one of the first DIR unless another is named. Runs that
/// are still running or were killed are shown as far as their record goes. Nothing is written.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  sootprint report artifacts/digits --json\n  sootprint report node1/digits node2/digits"
)]
pub(crate) struct ReportArguments {
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
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a footprint again from the records in DIR, and say what differs from its footprint.json and its card.
///
/// Figures in the card are rounded: 5e-5 g and 5e-10 kWh are no difference. The exit status is 1 when anything differs.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint verify artifacts/digits")]
pub(crate) struct VerifyArguments {
    /// The folder that the run was given.
    pub(crate) dir: PathBuf,

    /// The model card; else the README.md in DIR, where there is one.
    #[arg(long, value_name = "README.md")]
    pub(crate) card: Option<PathBuf>,
}

/// Show what can be measured on this machine, what not, and what mends it.
///
/// Measures for two seconds, and shows which place, carbon intensity and PUE a run would get.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  SOOTPRINT_PLACE=France sootprint doctor\n  sootprint doctor --check 10"
)]
pub(crate) struct DoctorArguments {
    /// Compares each board's energy counter with its power readings for so many seconds; best while it works.
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "5",
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub(crate) check: Option<u64>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

fn intensity(text: &str) -> Result<CarbonIntensity, String> {
    let grams = number(text)?;
    CarbonIntensity::given(grams).map_err(|error: IntensityError| error.to_string())
}

fn pue(text: &str) -> Result<Pue, String> {
    let factor = number(text)?;
    Pue::new(factor).map_err(|error: PueError| error.to_string())
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "it is no number; write it with a point, as in 1.1".to_owned())
}

/// A name of the wrong shape is found now rather than after days of training; the rest is the Hub's to say.
fn repository(text: &str) -> Result<String, &'static str> {
    let is_part = |part: &str| !part.is_empty() && !part.contains('/');
    match text.split_once('/') {
        Some((owner, name)) if is_part(owner) && is_part(name) => Ok(text.to_owned()),
        _ => Err("write it as `owner/name`"),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn run(words: &str) -> Result<RunArguments, clap::Error> {
        let words = ["sootprint", "run"].into_iter().chain(words.split_whitespace());
        Arguments::try_parse_from(words).map(|arguments| match arguments.subcommand {
            Subcommand::Run(arguments) => arguments,
            other => panic!("not a run: {other:?}"),
        })
    }

    #[test]
    fn the_parser_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn options_after_the_dashes_belong_to_the_command() {
        let arguments = run("--pue 1.2 --place FR -- train --pue 3 -- x").unwrap();
        assert_eq!(arguments.command().get_program(), "train");
        assert_eq!(arguments.command().get_args().collect::<Vec<_>>(), ["--pue", "3", "--", "x"]);
        assert_eq!(arguments.pue, Pue::new(1.2).ok());
        assert_eq!(arguments.place, "France".parse().ok());
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_reason() {
        for (words, reason) in [
            ("--pue 0.9 -- x", "0.9"),
            ("--pue NaN -- x", "NaN"),
            ("--intensity many -- x", "no number"),
            ("--intensity -1 -- x", "-1"),
            ("--place Atlantis -- x", "Atlantis"),
            ("--pre-training --push digits -- x", "owner/name"),
            ("--pre-training --push me/digits/x -- x", "owner/name"),
            ("--push me/digits -- x", "--pre-training"),
            ("--card README.md -- x", "--pre-training"),
            ("--pre-training --fine-tuning me/base -- x", "cannot be used with"),
            ("--pre-training", "COMMAND"),
        ] {
            let error = run(words).unwrap_err();
            assert_eq!(error.exit_code(), 2);
            assert!(error.to_string().contains(reason), "{words}: {error}");
        }
    }
}
