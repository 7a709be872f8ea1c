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
    Push(PushArguments),
    Doctor(DoctorArguments),
}

impl Subcommand {
    /// Whether something may be sent to the Hub.
    pub(crate) fn publishes(&self) -> bool {
        match self {
            Self::Run(arguments) => arguments.push.is_some(),
            Self::Push(arguments) => !arguments.dry_run,
            Self::Report(_) | Self::Doctor(_) => false,
        }
    }
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

/// Show what was measured, from the record in DIR.
///
/// The newest run unless another is named. Runs that are still running or were killed are shown as far as their
/// record goes. Nothing is written.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint report artifacts/digits --json")]
pub(crate) struct ReportArguments {
    /// The folder that the run was given.
    pub(crate) dir: PathBuf,

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

/// Publish the weights and the card in DIR, with the emissions of its newest run, as REPO on the Hugging Face Hub.
///
/// One commit has all of it, or nothing is committed and the publication stays staged in DIR: push again, and what
/// has arrived does not travel again. A card that was edited on the Hub, too, is merged with the one in DIR.
#[derive(Debug, Args)]
#[command(after_long_help = PUSH_HELP)]
pub(crate) struct PushArguments {
    /// The folder of the weights, which the run was given.
    pub(crate) dir: PathBuf,

    /// The repository, `owner/name`; it is created when it is missing.
    #[arg(value_parser = repository)]
    pub(crate) repo: String,

    /// Create the repository as a private one.
    #[arg(long)]
    pub(crate) private: bool,

    /// The branch to commit to instead of `main`; it must exist.
    #[arg(long, value_name = "REV")]
    pub(crate) revision: Option<String>,

    /// Open a pull request instead; with weights it needs a token that may write.
    #[arg(long)]
    pub(crate) pr: bool,

    /// Send README.md only.
    #[arg(long)]
    pub(crate) card_alone: bool,

    /// Also send the files that match, as in `*.txt` or `onnx/*`; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) allow: Vec<String>,

    /// Do not send the files that match; may be repeated.
    #[arg(long, value_name = "PATTERN")]
    pub(crate) ignore: Vec<String>,

    /// Show what would be sent, and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,
}

const PUSH_HELP: &str = "\
Examples:
  sootprint push artifacts/digits me/digits --dry-run
  sootprint push artifacts/digits me/digits --private

Environment:
  HF_TOKEN, HF_TOKEN_PATH, HF_HOME  the token, as for `hf auth login`
  HF_ENDPOINT                       the Hub's address
  HF_HUB_OFFLINE                    stages the publication and sends nothing
  SOOTPRINT_RANK, RANK              only rank 0 publishes";

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
