//! `sootprint push`.

use std::path::PathBuf;

use clap::Args;

use super::RelationArg;
use super::parsers::parse_repository;

/// Publish the weights and the card in DIR, with the emissions of its newest run, as REPO on the Hugging Face Hub.
///
/// One commit has all of it, or nothing is committed and the publication stays staged in DIR: push again, and what
/// has arrived does not travel again. A card that was edited on the Hub, too, is merged with the one in DIR.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct PushArgs {
    /// The folder of the weights, which the run was given.
    pub(crate) dir: PathBuf,

    /// The repository, `owner/name`, which is created when it is missing.
    ///
    /// Without it the one of `SOOTPRINT_REPOSITORY` or of `repository` in sootprint.toml.
    #[arg(value_parser = parse_repository)]
    pub(crate) repo: Option<String>,

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

    /// How the model comes from its base model; without it the Hub guesses.
    #[arg(long, value_name = "RELATION")]
    pub(crate) relation: Option<RelationArg>,

    /// Read the base model's card from the Hub and name its emissions in the card, as separate.
    #[arg(long)]
    pub(crate) base_card: bool,

    /// Show what would be sent, and send nothing.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// As JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const HELP: &str = "\
Examples:
  sootprint push artifacts/digits me/digits --dry-run
  sootprint push artifacts/digits me/digits --private

Environment:
  SOOTPRINT_REPOSITORY              the repository where none is named
  HF_TOKEN, HF_TOKEN_PATH, HF_HOME  the token, as for `hf auth login`
  HF_ENDPOINT                       the Hub's address
  HF_HUB_OFFLINE                    stages the publication and sends nothing
  SOOTPRINT_RANK                    as for sootprint run; only rank 0 publishes";
