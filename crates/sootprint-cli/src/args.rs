//! The command line: arguments of every subcommand. Doc comments here are the text of `--help`.

mod card;
mod card_fields;
mod doctor;
mod estimate;
mod parsers;
mod push;
mod relation;
mod report;
mod run;
#[cfg(test)]
mod tests;
mod upload;

use clap::error::ErrorKind;
use clap::{Args, CommandFactory as _, Parser};
use clap_complete::Shell;

pub(crate) use card::{CardArgs, CardCheckArgs, CardCommand, CardShowArgs, CardWriteArgs};
pub(crate) use card_fields::CardFieldArgs;
pub(crate) use doctor::DoctorArgs;
pub(crate) use estimate::{EstimateArgs, GridArgs};
pub(crate) use push::PushArgs;
pub(crate) use report::{ReportArgs, VerifyArgs};
pub(crate) use run::{ProviderArg, RunArgs};
pub(crate) use upload::UploadArgs;

/// The version, with the commit if the build found one.
const VERSION: &str = env!("SOOTPRINT_VERSION");

/// Measure the energy and CO2e emissions of a training.
#[derive(Debug, Parser)]
#[command(name = "sootprint", version = VERSION, max_term_width = 80, after_long_help = HELP)]
pub(crate) struct CliArgs {
    #[command(subcommand)]
    pub(crate) subcommand: CliCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum CliCommand {
    Run(Box<RunArgs>),
    Estimate(EstimateArgs),
    Report(ReportArgs),
    Verify(VerifyArgs),
    Card(CardArgs),
    Push(PushArgs),
    Grid(GridArgs),
    Doctor(DoctorArgs),
    Completions(CompletionsArgs),
    Man(ManArgs),
}

impl CliCommand {
    /// Whether the subcommand may upload to the Hub.
    pub(crate) fn may_publish(&self) -> bool {
        match self {
            Self::Run(arguments) => arguments.push.is_some(),
            Self::Push(arguments) => !arguments.dry_run,
            _ => false,
        }
    }
}

/// Print a completion script for a shell.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  source <(sootprint completions bash)
  sootprint completions zsh > ~/.zfunc/_sootprint
  sootprint completions fish > ~/.config/fish/completions/sootprint.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell.
    pub(crate) shell: Shell,
}

/// Print a manual page in man(1) format.
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  sootprint man > sootprint.1\n  sootprint man run > sootprint-run.1"
)]
pub(crate) struct ManArgs {
    /// Print the page of this subcommand, such as `run` or `card write`.
    pub(crate) subcommand: Vec<String>,
}

/// Exits with status 2, as clap does for an invalid argument of the subcommand.
pub(crate) fn exit_with_usage_error(subcommand: &str, kind: ErrorKind, message: &str) -> ! {
    let mut command = CliArgs::command();
    // Completes the usage lines of the subcommands.
    command.build();
    if let Some(subcommand) = command.find_subcommand_mut(subcommand) {
        subcommand.error(kind, message).exit();
    }
    command.error(kind, message).exit()
}

const HELP: &str = "\
Examples:
  sootprint doctor
  sootprint run --pre-training --place France -- python train.py
  sootprint report sootprint-run

Environment:
  NO_COLOR       disable colours on a terminal
  SOOTPRINT=off  disable measuring

Exit status:
  0  success; for `run`, the status of the measured command
  1  failure, or a problem found by `verify` or `card check`
  2  invalid arguments
  `sootprint run --help` lists the other statuses of `run`.";
