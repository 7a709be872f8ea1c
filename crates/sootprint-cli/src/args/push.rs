//! `sootprint push`.

use std::path::PathBuf;

use clap::Args;
use sootprint::RepoId;

use super::card_fields::CardFieldArgs;
use super::relation::RelationArg;
use super::upload::UploadArgs;

/// Push weights and model card to the Hugging Face Hub in one commit.
///
/// The card gets the emissions of the newest run in DIR. If the push fails, nothing is committed and it stays staged in
/// DIR: push again to resume, files already uploaded are not sent again. A card that was also edited on the Hub is merged
/// with the one in DIR.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub(crate) struct PushArgs {
    /// The folder of the weights and of the run's record.
    pub(crate) dir: PathBuf,

    /// The repository, `owner/name`, created if it does not exist.
    ///
    /// Defaults to `SOOTPRINT_REPOSITORY`, then to `repository` in sootprint.toml.
    pub(crate) repo: Option<RepoId>,

    #[command(flatten)]
    pub(crate) upload: UploadArgs,

    #[command(flatten)]
    pub(crate) fields: CardFieldArgs,

    /// Send README.md only.
    #[arg(long)]
    pub(crate) card_alone: bool,

    /// How the model relates to its base model; if omitted, the Hub guesses.
    #[arg(long, value_name = "RELATION")]
    pub(crate) relation: Option<RelationArg>,

    /// Download the base model's card and list its emissions separately.
    #[arg(long)]
    pub(crate) base_card: bool,

    /// Show what would be sent, without sending it.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Print JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

const HELP: &str = "\
Examples:
  sootprint push artifacts/digits me/digits --dry-run
  sootprint push artifacts/digits me/digits --private

Environment:
  SOOTPRINT_REPOSITORY              the default repository
  HF_TOKEN, HF_TOKEN_PATH, HF_HOME  the token or its file, as for `hf`
  HF_ENDPOINT                       the Hub's address
  HF_HUB_OFFLINE                    1: the push fails at once and is staged
  SOOTPRINT_RANK                    as for `sootprint run`; only rank 0 pushes";
