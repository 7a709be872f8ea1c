//! Pushes a trained model to the Hugging Face Hub: weights, model card and footprint in one commit.
//!
//! # Limits
//! - Without patterns, only these files of the folder are pushed, and no subfolders: `*.safetensors` and their
//!   `*.safetensors.index.json`, `*.bpk`, `config.json`, `tokenizer.json`, `tokenizer_config.json`,
//!   `generation_config.json`, `special_tokens_map.json`, `README.md` and `footprint.json`, and the card's
//!   `sootprint.png` with [`ModelUpload::include_plot`]. [`PushReport::skipped_files`] lists the others.
//! - Credentials are detected by file name, and by searching files other than weights for the token. Links to folders
//!   are not followed.
//! - Cards are merged by lines. The common ancestor is the card of the last push, kept in `sootprint/publication` of the
//!   folder. Without it, any difference outside sootprint's own text is a conflict.
//! - A pull request with weights needs a token that may write to the repository (hf-hub 1.0.0). If the response to a
//!   pull request is lost, the pull request is not sent again. Commits of earlier pushes are searched for among the
//!   newest 200 of a branch and in the newest 20 pull requests.
//! - After a conflict, hf-hub reads a file again but does not upload it again.
//! - The Hub validates the card's metadata during the commit, not before.
//! - Checksums describe a file just before the upload. A file that changes during the upload is detected afterwards and
//!   reported as [`PushError::VerificationFailed`].
//! - The deadline is checked between and during requests, not while a file is hashed.
//! - The storage client, hf-xet, reads its settings from the environment: see [`RetryPolicy`]. It keeps a cache of
//!   uploads in `$HF_XET_CACHE` (default `$HF_HOME/xet`), and sends transfer statistics to Hugging Face's storage unless
//!   `HF_HUB_DISABLE_TELEMETRY` or `DO_NOT_TRACK` is set. sootprint itself sends no telemetry.
//!
//! # Use
//! ```no_run
//! use sootprint::Footprint;
//! use sootprint_hub::push_to_hub;
//!
//! let footprint = Footprint::read("artifacts/digits/footprint.json".as_ref())?;
//! let report = push_to_hub(&footprint, "artifacts/digits", "me/digits")?;
//! println!("{} at {}", report.url, report.commit);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The token and the address of the Hub are found as in Hugging Face's own tools: see [`ModelUpload`].

#![forbid(unsafe_code)]

mod card;
mod commit;
mod commit_message;
mod digest;
mod error;
mod failure;
mod file_matcher;
mod files;
mod finish_hook;
mod hub_client;
mod model_upload;
mod progress;
mod push;
mod push_report;
mod redacted;
mod retry;
mod session;
mod settings;
mod staging;
mod text_merge;
mod token;
mod upload_file;
mod verification_error;
mod verify;
mod xet_storage;

pub use error::PushError;
pub use failure::{HubOperation, RedactedError};
pub use finish_hook::PushToHubExt;
pub use model_upload::{ConflictPolicy, ModelUpload};
pub use progress::{PushEvent, PushProgressHandler};
pub use push::push_to_hub;
pub use push_report::{PullRequest, PushPlan, PushReport, UploadedFile};
pub use retry::RetryPolicy;
pub use settings::token_origin;
pub use sootprint_card::{BaseModelRelation, CardTemplate};
pub use staging::{StagedPush, staged_push};
pub use token::{HubToken, TokenError};
pub use verification_error::VerificationError;

#[cfg(test)]
mod test_footprint;
