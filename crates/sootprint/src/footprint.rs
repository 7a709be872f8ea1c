//! Builds footprints from ledger entries.
//!
//! The same code builds the footprint of a run that ends now and of one that is read from its ledgers later, so the two
//! cannot differ. Ledgers of several ranks and attempts are merged into one footprint.

mod builder;
mod components;
mod epochs;
mod idle;
mod merge;
mod notes;
mod phases;
mod summary;
#[cfg(test)]
mod tests;
mod trace;

pub(crate) use builder::FootprintBuilder;
pub(crate) use merge::merge_ledgers;
