//! Publishes a trained model on the Hugging Face Hub: weights, model card and footprint in one commit.
//!
//! # Limits
//! - Only these files of the folder are published, and none of its folders: `*.safetensors` and their
//!   `*.safetensors.index.json`, `*.bpk`, `config.json`, `tokenizer.json`, `tokenizer_config.json`,
//!   `generation_config.json`, `special_tokens_map.json`, `README.md` and `footprint.json`, and the card's
//!   `sootprint.png` when [`Publication::picture`] asks for it.
//!   [`Published::left_out`] names the rest.
//! - Two cards are compared, not merged: when the one in the folder and the one on the Hub differ in anything that
//!   is not sootprint's, nothing is sent.
//! - Nothing is tried twice. A publication that failed may be started again: it reads the Hub anew, and bytes that
//!   arrived already do not travel again.
//! - The card's metadata is checked by the Hub when it commits, not before.
//! - The checksum is of the file as it was just before the upload; a file that is written meanwhile is found out
//!   afterwards and reported as [`PublishError::NotStored`].
//! - The storage's client, hf-xet, keeps a cache of what it uploaded in `$HF_XET_CACHE`, by default `$HF_HOME/xet`,
//!   and posts figures about its transfers to Hugging Face's storage unless `HF_HUB_DISABLE_TELEMETRY` or
//!   `DO_NOT_TRACK` is set. hf-hub offers no way to change either. sootprint itself reports nothing to anybody.
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

mod card;
mod cause;
mod digest;
mod error;
mod files;
mod hub;
mod message;
mod name;
mod publication;
mod redacted;
mod settings;
mod token;
mod verify;

pub use cause::{Cause, Doing};
pub use error::PublishError;
pub use publication::{Publication, Published, PublishedFile, publish};
pub use token::{Token, TokenError};
pub use verify::Discrepancy;

#[cfg(test)]
mod sample;
