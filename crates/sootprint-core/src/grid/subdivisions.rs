//! The embedded table of subdivisions of countries: states, provinces, regional grids, bidding zones, and the eGRID
//! subregions of the United States.
//!
//! `data/subnational.csv`. The figures count direct emissions only, except those of bidding zones.

use std::sync::LazyLock;

use serde::Deserialize;

use super::intensity::{EmissionScope, PublishedIntensity};
use crate::units::CarbonIntensity;

const TABLE: &[u8] = include_bytes!("../../data/subnational.csv");

/// A subdivision of a country.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Subdivision {
    /// `US-VA`, `CA-QC` or `EGRID-SRVC`, for example.
    pub(crate) code: String,
    pub(crate) iso2: String,
    pub(crate) name: String,
    #[serde(rename = "g_co2e_per_kwh")]
    intensity: CarbonIntensity,
    year: u16,
    basis: EmissionScope,
    source: IntensityDataset,
}

/// The publication of a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum IntensityDataset {
    Egrid,
    Eccc,
    Nga,
    Mee,
    Khepri,
}

/// How far the figures of the bidding zones may be off, in g/kWh: with other emission factors they differ by up to this, and
/// they leave out waste and other small sources.
const BIDDING_ZONE_MARGIN: f64 = 13.0;

impl Subdivision {
    /// The only published figure, independent of the year of the run.
    pub(crate) fn published_intensity(&self) -> PublishedIntensity {
        let source = match self.source {
            IntensityDataset::Egrid => "US EPA eGRID2023",
            IntensityDataset::Eccc => "Environment and Climate Change Canada, emission factors v4.0",
            IntensityDataset::Nga => "DCCEEW, National Greenhouse Accounts Factors 2025 (CC BY 4.0)",
            IntensityDataset::Mee => {
                "Ministry of Ecology and Environment and National Bureau of Statistics of China, announcement 2025 \
                 no. 47"
            }
            IntensityDataset::Khepri => "Khepri 1.2.0 (CC BY 4.0, doi:10.5281/zenodo.21042581)",
        };
        let margin = if self.source == IntensityDataset::Khepri { BIDDING_ZONE_MARGIN } else { 0.0 };
        let Self { intensity, year, basis, .. } = *self;
        PublishedIntensity { intensity, year, basis, source: source.to_owned(), margin }
    }
}

pub(crate) fn all() -> impl Iterator<Item = &'static Subdivision> {
    SUBDIVISIONS.iter()
}

pub(crate) fn find_by_code(code: &str) -> Option<&'static Subdivision> {
    all().find(|subdivision| subdivision.code == code)
}

// The test below parses the file strictly, so the fallback to an empty table is never used.
static SUBDIVISIONS: LazyLock<Vec<Subdivision>> = LazyLock::new(|| read_table().unwrap_or_default());

fn read_table() -> csv::Result<Vec<Subdivision>> {
    csv::Reader::from_reader(TABLE).into_deserialize().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::countries;

    #[test]
    fn every_subdivision_has_a_country() {
        let subdivisions = read_table().unwrap();
        assert_eq!(
            subdivisions.len(),
            27 + 52 + 13 + 8 + 30 + 7 + 9,
            "subregions, states with DC and Puerto Rico, provinces, states, provinces, regional grids, bidding zones"
        );
        assert_eq!(*SUBDIVISIONS, subdivisions);
        for subdivision in &subdivisions {
            assert!(countries::find_by_code(&subdivision.iso2).is_some(), "{subdivision:?}");
            assert!(
                (1.0..=1_000.0).contains(&subdivision.intensity.grams_per_kilowatt_hour()),
                "{subdivision:?}"
            );
        }
    }

    #[test]
    fn published_intensity_has_year_and_scope() {
        let published = |code| find_by_code(code).unwrap().published_intensity();
        let virginia = published("US-VA");
        assert_eq!(virginia.intensity, CarbonIntensity::from_grams_per_kilowatt_hour(244.8));
        assert_eq!((virginia.year, virginia.basis), (2023, EmissionScope::DirectGeneration));
        assert_eq!(published("CA-QC").basis, EmissionScope::DirectConsumption);
        assert_eq!(published("AU-TAS").year, 2025);
        assert_eq!(published("CN-BJ").basis, EmissionScope::DirectConsumption);
        let stockholm = published("SE3");
        assert_eq!((stockholm.year, stockholm.basis), (2025, EmissionScope::LifecycleGeneration));
    }
}
