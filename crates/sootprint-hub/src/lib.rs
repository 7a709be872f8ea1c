//! Publishes a trained model on the Hugging Face Hub: weights, model card and footprint in one commit.
//!
//! # Limits
//! - Unless patterns say otherwise, only these files of the folder are published, and none of its folders:
//!   `*.safetensors` and their `*.safetensors.index.json`, `*.bpk`, `config.json`, `tokenizer.json`,
//!   `tokenizer_config.json`, `generation_config.json`, `special_tokens_map.json`, `README.md` and `footprint.json`,
//!   and the card's `sootprint.png` when [`ModelUpload::include_plot`] asks for it.
//!   [`PushReport::skipped_files`] names the rest. Credentials are known by the files' names, and by the token itself in
//!   them, weights excepted; a link to a folder is not followed.
//! - Two cards are merged by lines against the card of the last publication, which is kept in the folder, in
//!   `sootprint/publication`. Without it, cards that differ in anything that is not sootprint's are a conflict.
//! - A pull request with weights needs a token that may write to the repository (hf-hub 1.0.0), and one whose answer
//!   was lost is not sent again. One of our commits is looked for among the newest 200 of a branch, and in the newest
//!   20 pull requests.
//! - A file that is sent again after a conflict is read again by hf-hub, but does not travel again.
//! - The card's metadata is checked by the Hub when it commits, not before.
//! - The checksum is of the file as it was just before the upload; a file that is written meanwhile is found out
//!   afterwards and reported as [`PushError::VerificationFailed`].
//! - The deadline is looked at between two requests and while one is waited for, not while a file is hashed.
//! - The storage's client, hf-xet, takes its settings from the environment alone: see [`RetryPolicy`]. It keeps a cache of
//!   what it uploaded in `$HF_XET_CACHE`, by default `$HF_HOME/xet`, and posts figures about its transfers to Hugging
//!   Face's storage unless `HF_HUB_DISABLE_TELEMETRY` or `DO_NOT_TRACK` is set. sootprint itself reports nothing to
//!   anybody.
//!
//! # Use
//! ```no_run
//! use sootprint::Footprint;
//! use sootprint_hub::push_to_hub;
//!
//! let footprint = Footprint::read("artifacts/digits/footprint.json".as_ref())?;
//! let published = push_to_hub(&footprint, "artifacts/digits", "me/digits")?;
//! println!("{} at {}", published.url, published.commit);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The token and the Hub's address are found as Hugging Face's own tools find them: see [`ModelUpload`].

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
mod push_report;
mod redacted;
mod repo_id;
mod retry;
mod session;
mod settings;
mod staging;
mod text_merge;
mod token;
mod verify;
mod xet_storage;

pub use error::PushError;
pub use failure::{HubOperation, RedactedError};
pub use finish_hook::PushToHubExt;
pub use model_upload::{ConflictPolicy, ModelUpload, push_to_hub};
pub use progress::{PushEvent, PushProgressHandler};
pub use push_report::{PullRequest, PushPlan, PushReport, UploadedFile};
pub use retry::RetryPolicy;
pub use settings::token_origin;
pub use sootprint_card::{BaseModelRelation, CardTemplate};
pub use staging::{StagedPush, staged_push};
pub use token::{HubToken, TokenError};
pub use verify::VerificationError;

#[cfg(test)]
mod test_footprint;
