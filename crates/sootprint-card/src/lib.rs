//! Writes a footprint into a Hugging Face model card without touching a byte that is not its own.
//!
//! In the metadata it writes `co2_eq_emissions`, as the Hub documents it, and a `dia_report` for programs that add up
//! families of models; in the body a section "Environmental Impact" for people, on request with a picture of the
//! run's power.
//!
//! # Limits
//! - Inside an old `co2_eq_emissions` the keys of [`EmissionsBlock`] are replaced with their lines, and so a comment
//!   on such a line goes with it. Comments on lines of their own, on the key's line and on other keys' lines stay.
//! - An old value that is no mapping of one key per line (`12.3`, `{…}`, a list) is replaced as a whole. Foreign keys
//!   of `{…}` move to lines of their own; comments inside the braces go. A list goes, and is named in
//!   [`CardUpdate::replaced_emissions`].
//! - A `dia_report` that says something else is replaced as a whole, comments between its lines included; one of
//!   another tool is named in [`CardUpdate::replaced_report`].
//! - A front matter in braces, with explicit keys (`? key`) before ours, or with several YAML documents is refused.
//! - YAML is read by version 1.2. What 1.1 and 1.2 read differently (`no`, `12:30`) is compared as text.
//! - A new key goes in front of a last value in block style (`|`, `>`), not behind it: its line breaks would change.
//! - Merged mappings (`<<`) are kept, and not looked into.
//! - A number in a text is read as grams whatever its unit, as the Hub's own filter reads it.
//! - Markdown is read line by line: headings, code between fences and comments are known, code fences inside of
//!   lists and HTML are not. What is written between two comments of ours, the region's or a filled line's, is
//!   replaced the next time.
//! - The picture's font has Latin, Greek and Cyrillic letters only.
//! - A file keeps its permissions, but not its owner, its access lists and its other hard links. Writers of this
//!   crate take turns in a folder; another program that writes the card at the same moment may lose, and so may
//!   writers on a file system that locks no folders. Every card is whole all the same.
//!
//! # Use
//! ```
//! use sootprint_card::{ModelCard, apply};
//!
//! # let footprint = sootprint_core::Footprint::from_json(include_str!("../tests/footprint.json"))?;
//! let readme = "---\nlicense: mit\nco2_eq_emissions: 12.3  # AutoTrain\n---\n# Digits\n";
//! let (readme, written) = apply(readme, &footprint)?;
//! assert!(readme.starts_with("---\nlicense: mit\nco2_eq_emissions: # AutoTrain\n  emissions: 40.6823\n"));
//! assert!(readme.contains("## Environmental Impact\n\n- **Hardware Type:** 2 x NVIDIA H200\n"));
//! assert_eq!(written.replaced_emissions.as_deref(), Some("12.3  # AutoTrain"));
//! assert!(ModelCard::parse(readme)?.emissions()?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`write_card`] does the same to a file, or makes a small card where there is none. [`CardOptions`] has what may be
//! chosen: the report, the relation to the base model, the base model's card, the picture.
//!
//! # Features
//! - `plot`: the picture that [`CardOptions::plot`] asks for.

#![forbid(unsafe_code)]

mod atomic_file;
mod card;
mod card_template;
mod card_writer;
mod dia_report;
mod emissions;
mod emissions_block;
mod error;
mod extent;
mod format;
mod front_matter;
mod hub_template;
mod impact_section;
mod keys;
mod lint;
mod managed_section;
mod markdown;
mod number;
mod options;
mod plot_file;
mod splice;
mod text;
mod usage_snippet;
mod verify;
mod yaml;

#[cfg(test)]
mod fixtures;

pub use card::ModelCard;
pub use card_template::CardTemplate;
pub use card_writer::{
    CardUpdate, UpdateKind, apply, apply_with, write_card, write_card_from_template, write_card_with,
};
pub use emissions_block::EmissionsBlock;
pub use error::{CardError, Position};
pub use impact_section::PLOT_FILE;
pub use lint::{CardLint, Diagnostic, Severity};
pub use options::{BaseModelRelation, CardOptions};
