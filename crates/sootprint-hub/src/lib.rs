//! Publishes a trained model on the Hugging Face Hub: weights, model card and footprint in one commit.
//!
//! # Limits
//! - Unless patterns say otherwise, only these files of the folder are published, and none of its folders:
//!   `*.safetensors` and their `*.safetensors.index.json`, `*.bpk`, `config.json`, `tokenizer.json`,
//!   `tokenizer_config.json`, `generation_config.json`, `special_tokens_map.json`, `README.md` and `footprint.json`,
//!   and the card's `sootprint.png` when [`Publication::picture`] asks for it.
//!   [`Published::left_out`] names the rest. Credentials are known by the files' names, and by the token itself in
//!   them, weights excepted; a link to a folder is not followed.
//! - Two cards are merged by lines against the card of the last publication, which is kept in the folder, in
//!   `sootprint/publication`. Without it, cards that differ in anything that is not sootprint's are a conflict.
//! - A pull request with weights needs a token that may write to the repository (hf-hub 1.0.0), and one whose answer
//!   was lost is not sent again. One of our commits is looked for among the newest 200 of a branch, and in the newest
//!   20 pull requests.
//! - A file that is sent again after a conflict is read again by hf-hub, but does not travel again.
//! - The card's metadata is checked by the Hub when it commits, not before.
//! - The checksum is of the file as it was just before the upload; a file that is written meanwhile is found out
//!   afterwards and reported as [`PublishError::NotStored`].
//! - The deadline is looked at between two requests and while one is waited for, not while a file is hashed.
//! - The storage's client, hf-xet, takes its settings from the environment alone: see [`Patience`]. It keeps a cache of
//!   what it uploaded in `$HF_XET_CACHE`, by default `$HF_HOME/xet`, and posts figures about its transfers to Hugging
//!   Face's storage unless `HF_HUB_DISABLE_TELEMETRY` or `DO_NOT_TRACK` is set. sootprint itself reports nothing to
//!   anybody.
//!
//! # Use
//! ```no_run
//! use sootprint::Footprint;
//! use sootprint_hub::publish;
//!
//! let footprint = Footprint::read("artifacts/digits/footprint.json".as_ref())?;
//! let published = publish(&footprint, "artifacts/digits", "me/digits")?;
//! println!("{} at {}", published.url, published.commit);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! The token and the Hub's address are found as Hugging Face's own tools find them: see [`Publication`].

#![forbid(unsafe_code)]

mod card;
mod cause;
mod commit;
mod digest;
mod error;
mod events;
mod files;
mod finish;
mod hub;
mod merge;
mod message;
mod name;
mod patience;
mod patterns;
mod publication;
mod published;
mod redacted;
mod session;
mod settings;
mod staging;
mod storage;
mod token;
mod verify;

pub use cause::{Cause, Doing};
pub use error::PublishError;
pub use events::{Event, Events};
pub use finish::PublishTo;
pub use patience::Patience;
pub use publication::{OnConflict, Publication, publish};
pub use published::{Plan, Published, PublishedFile, PullRequest};
pub use settings::token_origin;
pub use sootprint_card::{NewCard, Relation};
pub use staging::{Staged, staged};
pub use token::{Token, TokenError};
pub use verify::Discrepancy;

#[cfg(test)]
mod sample;
