//! `sootprint card`.

use std::path::PathBuf;

use clap::Args;

use super::RelationArg;

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

/// Write a footprint into a model card, whole or not at all.
///
/// The metadata gets `co2_eq_emissions`, `dia_report` and an absent `base_model`; the text gets the section
/// "Environmental Impact". Nothing else in the card moves. A card that is not there is made.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  sootprint card write README.md --footprint artifacts/digits/footprint.json
  sootprint card write README.md --footprint artifacts/digits --relation adapter")]
pub(crate) struct CardWriteArgs {
    /// The model card.
    #[arg(value_name = "README.md")]
    pub(crate) card: PathBuf,

    /// The footprint.json, or the folder that it is in.
    #[arg(long, value_name = "FILE")]
    pub(crate) footprint: PathBuf,

    /// How the model comes from its base model; without it the Hub guesses.
    #[arg(long, value_name = "RELATION")]
    pub(crate) relation: Option<RelationArg>,

    /// The base model's card, whose emissions the section names as separate.
    #[arg(long, value_name = "FILE")]
    pub(crate) base_card: Option<PathBuf>,

    /// Do not write the `dia_report`; one that sootprint wrote earlier goes.
    #[arg(long)]
    pub(crate) no_report: bool,

    /// Do not draw the picture of the power beside the card.
    #[arg(long)]
    pub(crate) no_picture: bool,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show the emissions that a model card names.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint card show README.md --json")]
pub(crate) struct CardShowArgs {
    /// The model card.
    #[arg(value_name = "README.md")]
    pub(crate) card: PathBuf,

    /// As JSON; `null` when the card names none.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Say what the Hub makes of the emissions in a model card, and fail on what it misreads.
///
/// The exit status is 1 when the Hub, or one of the YAML parsers that read cards, takes something else than what is
/// written, and when the card cannot be read at all.
#[derive(Debug, Args)]
#[command(after_long_help = "Example:\n  sootprint card check README.md")]
pub(crate) struct CardCheckArgs {
    /// The model card.
    #[arg(value_name = "README.md")]
    pub(crate) card: PathBuf,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}
