//! `sootprint card`.

use std::path::PathBuf;

use clap::Args;

use super::card_fields::CardFieldArgs;
use super::relation::RelationArg;

/// Write, show or check the emissions in a model card.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sootprint card check README.md
  sootprint card write README.md --footprint artifacts/digits/footprint.json")]
pub(crate) struct CardArgs {
    #[command(subcommand)]
    pub(crate) command: CardCommand,
}

#[derive(Debug, clap::Subcommand)]
pub(crate) enum CardCommand {
    Write(CardWriteArgs),
    Show(CardShowArgs),
    Check(CardCheckArgs),
}

/// Write the emissions of a footprint into a model card.
///
/// Sets `co2_eq_emissions` and `dia_report` in the metadata, adds `base_model` if it is absent, and writes the section
/// "Environmental Impact". The rest of the card keeps its bytes. The card is replaced atomically, and created if it does
/// not exist.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sootprint card write README.md --footprint artifacts/digits/footprint.json
  sootprint card write README.md --footprint artifacts/digits --relation adapter")]
pub(crate) struct CardWriteArgs {
    /// The model card.
    #[arg(value_name = "README.md")]
    pub(crate) card: PathBuf,

    /// The footprint.json, or the folder of a run.
    #[arg(long, value_name = "FILE")]
    pub(crate) footprint: PathBuf,

    /// How the model relates to its base model; if omitted, the Hub guesses.
    #[arg(long, value_name = "RELATION")]
    pub(crate) relation: Option<RelationArg>,

    /// The base model's card; its emissions are listed separately.
    #[arg(long, value_name = "FILE")]
    pub(crate) base_card: Option<PathBuf>,

    #[command(flatten)]
    pub(crate) fields: CardFieldArgs,

    /// Omit the `dia_report`, and remove one that sootprint wrote earlier.
    #[arg(long)]
    pub(crate) no_report: bool,

    /// Do not draw the power plot next to the card.
    #[arg(long)]
    pub(crate) no_picture: bool,

    /// Replace a read-only card.
    #[arg(long)]
    pub(crate) force: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show the emissions in a model card.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint card show README.md --json")]
pub(crate) struct CardShowArgs {
    /// The model card.
    #[arg(value_name = "README.md")]
    pub(crate) card: PathBuf,

    /// Print JSON; `null` if the card has no emissions.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Check how the Hub reads the emissions in a model card.
///
/// Exits with status 1 if the Hub, or a YAML parser that reads cards, reads a value other than the one written, or if the
/// card cannot be parsed.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint card check README.md")]
pub(crate) struct CardCheckArgs {
    /// The model card.
    #[arg(value_name = "README.md")]
    pub(crate) card: PathBuf,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
