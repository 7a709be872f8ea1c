//! Writes a footprint into a Hugging Face model card and leaves every other byte of the card unchanged.
//!
//! In the metadata, this crate writes `co2_eq_emissions` as the Hub documents it, and a `dia_report` for programs
//! that add up the footprints of families of models. In the body, it writes a section "Environmental Impact" for
//! readers, optionally with a plot of the run's power.
//!
//! # Design
//! - An edit is a splice: the bytes outside the edited ranges are those of the original, and the result is parsed and
//!   compared with the original before it is written.
//! - The front matter is parsed with `saphyr-parser`, because edits need the byte position of each value, which no
//!   serde-based parser provides. A maintained fork of `serde_yaml` is the independent reference in the tests.
//! - [`CardLint`] parses a card as the Hub's own client does, and compares the result with the text of the card. This
//!   finds misreadings that no list of known bad notations would contain.
//!
//! # Limits
//! - In an existing `co2_eq_emissions`, the keys of [`EmissionsBlock`] are replaced together with their lines,
//!   including comments on these lines. Comments on separate lines, on the line of `co2_eq_emissions` and on the
//!   lines of other keys stay.
//! - An old value that is not a mapping with one key per line (`12.3`, `{…}`, a list) is replaced as a whole. Foreign
//!   keys of `{…}` move to lines of their own; comments inside the braces are lost. A list is lost, and reported in
//!   [`CardUpdate::replaced_emissions`].
//! - A `dia_report` with other content is replaced as a whole, including comments between its lines. If another tool
//!   wrote it, [`CardUpdate::replaced_report`] contains the old value.
//! - Front matter in braces, with explicit keys (`? key`) before the edited one, or with several YAML documents is
//!   rejected.
//! - YAML is parsed as version 1.2. Values that YAML 1.1 and 1.2 interpret differently (`no`, `12:30`) are compared as
//!   text.
//! - If the last value of the front matter is a block scalar (`|`, `>`), a new key is inserted before that entry. A
//!   key inserted after it would change the line breaks of the value.
//! - Merged mappings (`<<`) are kept, but not searched.
//! - A number in a text value is read as grams regardless of its unit, as the Hub's own filter does.
//! - Markdown is parsed line by line: headings, fenced code and comments are recognised; fenced code inside lists,
//!   and HTML, are not. The next edit replaces all text between two generated comments, which surround the section or
//!   a value in a filled-in line.
//! - The font of the plot has Latin, Greek and Cyrillic letters only.
//! - A file keeps its permissions, but not its owner, access lists and other hard links. Writers that use this crate
//!   wait for each other. A concurrent change by another program may be lost. On a file system that does not lock
//!   folders, the change of one of two concurrent writers may be lost too. The card is always written as a whole.
//!
//! # Use
//! ```
//! use sootprint_card::{CardWriter, ModelCard};
//!
//! # let footprint = sootprint_core::Footprint::from_json(include_str!("../tests/footprint.json"))?;
//! let readme = "---\nlicense: mit\nco2_eq_emissions: 12.3  # AutoTrain\n---\n# Digits\n";
//! let (readme, update) = CardWriter::new(&footprint).apply(readme)?;
//! assert!(readme.starts_with("---\nlicense: mit\nco2_eq_emissions: # AutoTrain\n  emissions: 40.7\n"));
//! assert!(readme.contains("## Environmental Impact\n\n- **Hardware Type:** 2 x NVIDIA H200\n"));
//! assert_eq!(update.replaced_emissions.as_deref(), Some("12.3  # AutoTrain"));
//! assert!(ModelCard::parse(readme)?.emissions()?.is_some());
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! [`CardWriter::write`] does the same with a file, and creates a small card if there is none. [`CardOptions`] lists
//! the options: the report, the relation to the base model, the base model's card, the plot.
//!
//! # Features
//! - `plot`: renders the plot that [`CardOptions::plot`] requests.

#![forbid(unsafe_code)]

mod base_model;
mod card;
mod card_template;
mod card_update;
mod card_writer;
mod dia_report;
mod dir_lock;
mod emissions;
mod emissions_block;
mod emissions_edit;
mod emissions_value;
mod entry_span;
mod error;
mod file_change;
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
mod python_value;
mod python_yaml;
mod python_yaml_problem;
mod splice;
mod usage_snippet;
mod verify;
mod yaml;
mod yaml_quote;

#[cfg(test)]
mod fixtures;

pub use card::ModelCard;
pub use card_template::CardTemplate;
pub use card_update::{CardUpdate, UpdateKind};
pub use card_writer::CardWriter;
pub use emissions_block::EmissionsBlock;
pub use error::{CardError, Position};
pub use file_change::FileChange;
pub use lint::{CardLint, Diagnostic, Severity};
pub use options::{BaseModelRelation, CardOptions};
pub use plot_file::PLOT_FILE;
pub use python_yaml_problem::PythonYamlProblem;
