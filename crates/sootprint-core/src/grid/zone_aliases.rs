//! Names that electricity markets, balancing authorities and data services give to zones.
//!
//! `data/zone_aliases.csv` contains names and codes only, no figures.

use std::sync::LazyLock;

use serde::Deserialize;

const TABLE: &[u8] = include_bytes!("../../data/zone_aliases.csv");

/// A name of a zone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(crate) struct ZoneAlias {
    pub(crate) alias: String,
    /// The code of a country or a subdivision; empty if there is no figure at all.
    pub(crate) code: String,
    pub(crate) kind: AliasKind,
}

/// How the named area and the zone with the code relate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum AliasKind {
    /// The same area.
    Exact,
    /// The named area lies within the zone, which is its part of the grid.
    Within,
    /// The named area spans several zones with different figures.
    Approximate,
    /// The zone is the next larger area that has a figure.
    Parent,
    /// The zone is the country of the named area.
    Country,
    /// No zone contains the area.
    None,
}

/// The row with this name, without regard to case.
pub(crate) fn find_alias(name: &str) -> Option<&'static ZoneAlias> {
    all_aliases().find(|row| row.alias.eq_ignore_ascii_case(name.trim()))
}

pub(crate) fn all_aliases() -> impl Iterator<Item = &'static ZoneAlias> {
    ALIASES.iter()
}

// The test below parses the file strictly, so the fallback to an empty table is never used.
static ALIASES: LazyLock<Vec<ZoneAlias>> = LazyLock::new(|| read_table().unwrap_or_default());

fn read_table() -> csv::Result<Vec<ZoneAlias>> {
    csv::Reader::from_reader(TABLE).into_deserialize().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_alias_is_parsed() {
        let aliases = read_table().unwrap();
        assert_eq!((aliases.len(), &aliases), (246, &*ALIASES));
        assert!(aliases.iter().all(|row| row.code.is_empty() == (row.kind == AliasKind::None)));
    }
}
