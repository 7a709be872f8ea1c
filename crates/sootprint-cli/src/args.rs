//! What can be said on the command line. The comments here are the text of `--help`.

mod card;
mod doctor;
mod estimate;
mod parsers;
mod push;
mod report;
mod run;
#[cfg(test)]
mod tests;

use clap::{Args, Parser};
use clap_complete::Shell;

pub(crate) use card::{CardArgs, CardCheckArgs, CardCommand, CardShowArgs, CardWriteArgs};
pub(crate) use doctor::DoctorArgs;
pub(crate) use estimate::{EstimateArgs, GridArgs};
pub(crate) use parsers::current_year;
pub(crate) use push::PushArgs;
pub(crate) use report::{ReportArgs, VerifyArgs};
pub(crate) use run::{ProviderArg, RunArgs};

/// The version, and the commit where the build knew it.
const VERSION: &str = env!("SOOTPRINT_VERSION");

/// Measure the energy and the CO2e of a training.
#[derive(Debug, Parser)]
#[command(name = "sootprint", version = VERSION, max_term_width = 80, after_long_help = HELP)]
pub(crate) struct CliArgs {
    #[command(subcommand)]
    pub(crate) subcommand: CliCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum CliCommand {
    Run(RunArgs),
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
    /// Whether something may be sent to the Hub.
    pub(crate) fn may_publish(&self) -> bool {
        match self {
            Self::Run(arguments) => arguments.push.is_some(),
            Self::Push(arguments) => !arguments.dry_run,
            _ => false,
        }
    }
}

/// Print a shell's completions of this command.
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

/// Print a manual page in the format of man(1).
#[derive(Debug, Args)]
#[command(
    after_long_help = "Examples:\n  sootprint man > sootprint.1\n  sootprint man run > sootprint-run.1"
)]
pub(crate) struct ManArgs {
    /// The page of a subcommand, as in `run` or `card write`; else that of the command.
    pub(crate) subcommand: Vec<String>,
}

/// How a fine-tuned model comes from its base model.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum RelationArg {
    /// The weights were trained further.
    Finetune,
    /// The weights are an adapter, such as of `LoRA`.
    Adapter,
    /// The base model with numbers of fewer bits.
    Quantized,
    /// Several models in one.
    Merge,
}

impl From<RelationArg> for sootprint_card::BaseModelRelation {
    fn from(relation: RelationArg) -> Self {
        match relation {
            RelationArg::Finetune => Self::Finetune,
            RelationArg::Adapter => Self::Adapter,
            RelationArg::Quantized => Self::Quantized,
            RelationArg::Merge => Self::Merge,
        }
    }
}

const HELP: &str = "\
Examples:
  sootprint doctor
  sootprint run --pre-training --place France -- python train.py
  sootprint report sootprint-run

Environment:
  NO_COLOR       no colours, which a terminal gets otherwise
  SOOTPRINT=off  measures nothing

Exit status:
  0  it is done; of run, that of the measured command
  1  it failed, or verify or card check found something wrong
  2  wrong arguments
  More of run's are in `sootprint run --help`.";
