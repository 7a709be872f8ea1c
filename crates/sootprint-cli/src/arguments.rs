//! What can be said on the command line. The comments here are the text of `--help`.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::process::Command;

use clap::builder::NonEmptyStringValueParser;
use clap::{ArgGroup, Args, Parser};
use jiff::Timestamp;
use sootprint::{CarbonIntensity, IntensityError, Place, Pue, PueError, Series};

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
    Estimate(EstimateArguments),
    Grid(GridArguments),
    Report(ReportArguments),
    Verify(VerifyArguments),
    Push(PushArguments),
    Doctor(DoctorArguments),
}

impl Subcommand {
    /// Whether something may be sent to the Hub.
    pub(crate) fn publishes(&self) -> bool {
        match self {
            Self::Run(arguments) => arguments.push.is_some(),
            Self::Push(arguments) => !arguments.dry_run,
            _ => false,
        }
    }
}

/// Measure a command from its start to its end.
///
/// The command's input and output are its own; sootprint writes to stderr only. Ctrl-C ends the command, and other
/// signals that are sent to sootprint are passed on to it. The command finds the folder of the record in
/// `SOOTPRINT_RUN_DIR`, and a training in it that uses sootprint itself attaches to that run: its epochs are in the
/// record, and nothing is measured twice.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("label").args(["pre_training", "fine_tuning"])), after_long_help = RUN_HELP)]
pub(crate) struct RunArguments {
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
    #[arg(long, value_name = "G_PER_KWH", value_parser = intensity)]
    pub(crate) intensity: Option<CarbonIntensity>,

    /// The carbon intensity of each hour: a CSV file with the columns `start` and `g_per_kwh`.
    #[arg(long, value_name = "FILE", value_parser = series, conflicts_with = "intensity")]
    pub(crate) series: Option<Series>,

    /// Ask this provider for the carbon intensity of each hour.
    #[arg(long, value_name = "PROVIDER", conflicts_with_all = ["intensity", "series"])]
    pub(crate) live: Option<Live>,

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

    /// End the command when sootprint is killed; else it goes on, unmeasured (Linux).
    #[arg(long)]
    pub(crate) die_with_me: bool,

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
  SOOTPRINT_SERIES     as --series
  SOOTPRINT_LIVE       as --live
  SOOTPRINT_PUE        as --pue
  SOOTPRINT_BASELINE   seconds at rest that are measured before the command
  SOOTPRINT_METADATA   off: the machine's cloud is never asked where it is
  SOOTPRINT_NVML       the path of NVIDIA's NVML library
  SOOTPRINT_RANK       which process this is of SOOTPRINT_WORLD_SIZE; else torchrun, Open MPI, PMI or Slurm say it
  SOOTPRINT_JOB        the same for all processes of a job, where no launcher names it
  SOOTPRINT_REPLAY     a script of powers (JSON) to measure instead of the machine
  SOOTPRINT=off        runs the command and measures nothing
  ELECTRICITYMAPS_TOKEN, ELECTRICITYMAPS_ZONE
                       for --live electricity-maps

Settings that neither say are those of sootprint.toml: the nearest in the
working folder or above it, then ~/.config/sootprint/sootprint.toml, then
/etc/sootprint.toml. Keys: place, intensity, series, pue, nvml, baseline, metadata.

Exit status:
  that of the command, or 128 + n when signal n ended it; nothing that fails
  afterwards changes it
  2    wrong arguments
  125  sootprint failed before the command
  126  the command cannot be run
  127  there is no such command";

/// Who is asked for the carbon intensity of each hour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Live {
    /// The Carbon Intensity API of Great Britain.
    Uk,
    /// Electricity Maps, with the token in `ELECTRICITYMAPS_TOKEN`.
    ElectricityMaps,
}

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

/// Estimate the footprint of a training that nobody measured.
///
/// The estimate is of the named devices only, at the most that they draw unless --power says otherwise. Its range is in
/// the result.
#[derive(Debug, Args)]
#[command(after_long_help = ESTIMATE_HELP)]
pub(crate) struct EstimateArguments {
    /// The device by its name or its driver's, as in `NVIDIA A100-SXM4-80GB`; with --power any name.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub(crate) hardware: String,

    /// Wall time of each device in hours.
    #[arg(long, value_name = "H", allow_negative_numbers = true)]
    pub(crate) hours: f64,

    /// How many devices there were.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) count: u32,

    /// What each device drew in the mean, in watts.
    #[arg(long, value_name = "WATTS", allow_negative_numbers = true)]
    pub(crate) power: Option<f64>,

    /// What the facility used per unit of its computers' energy, 1 or more.
    #[arg(long, value_name = "N", value_parser = pue)]
    pub(crate) pue: Option<Pue>,

    /// Where it was: a country, a state or province, or a cloud's region, as in France, US-VA or aws:us-east-1.
    #[arg(long)]
    pub(crate) place: Option<Place>,

    /// The carbon intensity of the electricity in grams of CO2e per kilowatt-hour.
    #[arg(long, value_name = "G_PER_KWH", value_parser = intensity, conflicts_with = "place")]
    pub(crate) intensity: Option<CarbonIntensity>,

    /// The year of the training; else this year's figures are taken.
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1990..=2100))]
    pub(crate) year: Option<u16>,

    /// As the JSON of a footprint.json.
    #[arg(long)]
    pub(crate) json: bool,
}

const ESTIMATE_HELP: &str = "\
Example:
  sootprint estimate --hardware A100-SXM4-80GB --count 8 --hours 24 --place gcp:europe-west4

Where the arguments leave it open, the place, the intensity and the PUE are those of
SOOTPRINT_PLACE, SOOTPRINT_INTENSITY, SOOTPRINT_PUE and sootprint.toml. Neither the
machine's cloud nor its time zone are asked: the training need not have been here.";

/// Show what a place's electricity emits, with its source, its year and what it counts.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Example:\n  sootprint grid aws:us-east-1\n  sootprint grid \"Quebec, Canada\" --json"
)]
pub(crate) struct GridArguments {
    /// A country, a state or province, a subregion of the United States' grid, or a cloud's region.
    pub(crate) place: Place,

    /// The figure for this year, or for the nearest that has one; else for this year.
    #[arg(long, value_name = "YEAR", value_parser = clap::value_parser!(u16).range(1990..=2100))]
    pub(crate) year: Option<u16>,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
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
  SOOTPRINT_RANK                    as for sootprint run; only rank 0 publishes";

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

fn series(path: &str) -> Result<Series, String> {
    Series::from_csv_file(path.as_ref()).map_err(|error| error.to_string())
}

pub(crate) fn this_year() -> u16 {
    u16::try_from(Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year()).unwrap_or_default()
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
            ("--place Frnace -- x", "did you mean France?"),
            ("--place Georgia -- x", "US-GA"),
            ("--series /nowhere/hours.csv -- x", "/nowhere/hours.csv"),
            ("--live uk --intensity 5 -- x", "cannot be used with"),
            ("--live nobody -- x", "electricity-maps"),
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
