//! The embedded table of parts of countries: states, provinces, and the subregions of the United States' grid.
//!
//! `data/subnational.csv`. All of its figures count the stack only.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Basis;
use super::zone::Published;
use crate::units::CarbonIntensity;

const TABLE: &[u8] = include_bytes!("../../data/subnational.csv");

/// A part of a country.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Part {
    /// As in `US-VA`, `CA-QC` or `EGRID-SRVC`.
    pub(crate) code: String,
    pub(crate) iso2: String,
    pub(crate) name: String,
    #[serde(rename = "g_co2e_per_kwh")]
    intensity: CarbonIntensity,
    year: u16,
    basis: Basis,
    source: Publication,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Publication {
    Egrid,
    Eccc,
    Nga,
}

impl Part {
    /// Its one figure, whatever the year.
    pub(crate) fn published(&self) -> Published {
        let source = match self.source {
            Publication::Egrid => "US EPA eGRID2023",
            Publication::Eccc => "Environment and Climate Change Canada, emission factors v4.0",
            Publication::Nga => "DCCEEW, National Greenhouse Accounts Factors 2025 (CC BY 4.0)",
        };
        let Self { intensity, year, basis, .. } = *self;
        Published { intensity, year, basis, source: source.to_owned() }
    }
}

pub(crate) fn all() -> impl Iterator<Item = &'static Part> {
    PARTS.iter()
}

pub(crate) fn with_code(code: &str) -> Option<&'static Part> {
    all().find(|part| part.code == code)
}

// The test below reads the file strictly, so that no row is ever passed over here.
static PARTS: LazyLock<Vec<Part>> = LazyLock::new(|| read().unwrap_or_default());

fn read() -> csv::Result<Vec<Part>> {
    csv::Reader::from_reader(TABLE).into_deserialize().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::countries;

    #[test]
    fn every_row_is_embedded_and_lies_in_a_country() {
        let parts = read().unwrap();
        assert_eq!(
            parts.len(),
            27 + 52 + 13 + 8,
            "subregions, states with DC and Puerto Rico, provinces, states"
        );
        assert_eq!(*PARTS, parts);
        for part in &parts {
            assert!(countries::with_code(&part.iso2).is_some(), "{part:?}");
            assert!((1.0..=1_000.0).contains(&part.intensity.grams_per_kilowatt_hour()), "{part:?}");
        }
    }

    #[test]
    fn a_figure_says_whose_it_is_and_what_it_counts() {
        let published = |code| with_code(code).unwrap().published();
        let virginia = published("US-VA");
        assert_eq!(virginia.intensity, CarbonIntensity::from_grams_per_kilowatt_hour(244.8));
        assert_eq!((virginia.year, virginia.basis), (2023, Basis::DirectGeneration));
        assert_eq!(published("CA-QC").basis, Basis::DirectConsumption);
        assert_eq!(published("AU-TAS").year, 2025);
    }
}
