//! Pushes a trained model to the Hugging Face Hub: weights, model card and footprint in one commit.
//!
//! # Limits
//! - The folder is pushed with its subfolders, except for training state (checkpoints, optimizers), logs, caches, hidden
//!   files, credentials and sootprint's own records. [`PushReport::excluded`] lists what was left out and why;
//!   [`ModelUpload::allow_pattern`] includes files that are left out, except hidden ones and credentials.
//! - Credentials are detected by file name, and by searching everything that is sent for the token in use and for
//!   private keys in PEM format. Links to folders are not followed.
//! - Cards are merged by lines. The common ancestor is the card of the last push, kept in `sootprint/publication` of the
//!   folder. Without it, any difference outside sootprint's own text is a conflict.
//! - A pull request with weights needs a token that may write to the repository (hf-hub 1.0.0). If the response to a
//!   pull request is lost, the pull request is not sent again. Commits of earlier pushes are searched for among the
//!   newest 200 of a branch and in the newest 20 pull requests.
//! - After a conflict, hf-hub reads a file again but does not upload it again.
//! - A file larger than 10 MB is read twice: for its checksum and to send it. If the Hub has another file of the same
//!   name and length, it is read once more before, to compare them. A file that changes between these passes is
//!   reported as [`PushError::FileChanged`], before the commit.
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

mod branch_name;
mod card;
mod commit;
mod commit_message;
mod credential_names;
mod digest;
mod error;
mod exclusions;
mod failure;
mod file_matcher;
mod files;
mod finish_hook;
mod hub_client;
mod hub_requests;
mod local_file;
mod model_upload;
mod progress;
mod push;
mod push_report;
mod rate_limit;
mod redacted;
mod references;
mod retry;
mod secret_scan;
mod session;
mod settings;
mod source_file;
mod staging;
mod text_merge;
mod token;
mod upload_file;
mod verification_error;
mod verify;
mod weights_check;
mod weights_names;
mod weights_problem;
mod xet_storage;

pub use error::PushError;
pub use exclusions::{ExcludedPath, ExclusionReason};
pub use failure::{HubOperation, RedactedError};
pub use finish_hook::PushToHubExt;
pub use model_upload::{ConflictPolicy, DEFAULT_BRANCH, ModelUpload};
pub use progress::{PushEvent, PushProgressHandler};
pub use push::push_to_hub;
pub use push_report::{PullRequest, PushPlan, PushReport, UploadedFile};
pub use retry::RetryPolicy;
pub use settings::token_origin;
pub use sootprint_card::{BaseModelRelation, CardTemplate};
pub use staging::{StagedOptions, StagedPush, staged_push};
pub use token::{HubToken, TokenError};
pub use verification_error::VerificationError;
pub use weights_problem::WeightsProblem;

#[cfg(test)]
mod test_footprint;
