//! The embedded table of countries, with the yearly intensities of each.
//!
//! `data/countries.csv`: `carbon_intensity_elec` of Our World in Data, based on Ember and the Energy Institute, CC BY 4.0;
//! from 2025 on, Ember's own release.

use std::sync::LazyLock;

use super::intensity::{EmissionScope, PublishedIntensity};
use crate::units::CarbonIntensity;

const OWID_SOURCE: &str =
    "Ember (2025); Energy Institute (2024), with major processing by Our World in Data (CC BY 4.0)";

/// The source of years that Our World in Data does not include yet.
const EMBER_SOURCE: &str = "Ember (2026), yearly electricity data (CC BY 4.0)";

/// The first year taken from Ember's own release.
const FIRST_EMBER_YEAR: u16 = 2025;

const TABLE: &[u8] = include_bytes!("../../data/countries.csv");

/// A country, or a group of countries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Country {
    pub(crate) iso2: String,
    pub(crate) iso3: String,
    pub(crate) name: String,
    /// In ascending order of years, at least one entry.
    yearly_intensities: Vec<(u16, CarbonIntensity)>,
}

impl Country {
    /// The two-letter ISO code, or the three-letter code if there is none.
    pub(crate) fn code(&self) -> &str {
        if self.iso2.is_empty() { &self.iso3 } else { &self.iso2 }
    }

    /// The figure of a year, or of the nearest year with a figure; of two equally near years, the earlier one.
    pub(crate) fn published_intensity(&self, year: u16) -> Option<PublishedIntensity> {
        let (year, intensity) =
            *self.yearly_intensities.iter().min_by_key(|(known, _)| known.abs_diff(year))?;
        let source = if year < FIRST_EMBER_YEAR { OWID_SOURCE } else { EMBER_SOURCE }.to_owned();
        Some(PublishedIntensity { intensity, year, basis: EmissionScope::LifecycleGeneration, source })
    }
}

pub(crate) fn all() -> impl Iterator<Item = &'static Country> {
    COUNTRIES.iter()
}

/// The country with this [`Country::code`].
pub(crate) fn find_by_code(code: &str) -> Option<&'static Country> {
    all().find(|country| country.code() == code)
}

// The tests below parse the file strictly, so the fallback to an empty table is never used.
static COUNTRIES: LazyLock<Vec<Country>> = LazyLock::new(|| read_table().unwrap_or_default());

fn read_table() -> Option<Vec<Country>> {
    let mut reader = csv::Reader::from_reader(TABLE);
    let years: Vec<u16> = reader.headers().ok()?.iter().filter_map(|column| column.parse().ok()).collect();
    reader.records().map(|row| parse_country(&row.ok()?, &years)).collect()
}

fn parse_country(row: &csv::StringRecord, years: &[u16]) -> Option<Country> {
    let mut columns = row.iter();
    let [iso2, iso3, name] = [columns.next()?, columns.next()?, columns.next()?].map(str::to_owned);
    let figures = years.iter().zip(columns).filter(|(_, figure)| !figure.is_empty());
    let figures = figures.map(|(year, figure)| {
        Some((*year, CarbonIntensity::from_grams_per_kilowatt_hour(figure.parse().ok()?)))
    });
    Some(Country { iso2, iso3, name, yearly_intensities: figures.collect::<Option<_>>()? })
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "figures are copied, not computed")]
mod tests {
    use super::*;

    fn published_value(code: &str, year: u16) -> (f64, u16) {
        let published = find_by_code(code).unwrap().published_intensity(year).unwrap();
        (published.intensity.grams_per_kilowatt_hour(), published.year)
    }

    #[test]
    fn every_country_row_is_parsed() {
        let countries = read_table().unwrap();
        assert_eq!(countries.len(), 216);
        assert_eq!(*COUNTRIES, countries);
        for country in &countries {
            assert!(
                !country.yearly_intensities.is_empty()
                    && country.yearly_intensities.is_sorted_by_key(|(year, _)| *year)
            );
            let is_plausible = country
                .yearly_intensities
                .iter()
                .all(|(_, it)| (0.0..=1_500.0).contains(&it.grams_per_kilowatt_hour()));
            assert!(is_plausible, "{country:?}");
        }
    }

    /// The expected values are copied from the published files.
    #[test]
    fn missing_year_uses_nearest_year() {
        assert_eq!(published_value("FR", 2015), (59.1, 2015));
        assert_eq!(published_value("FR", 2024), (44.2, 2024));
        assert_eq!(published_value("FR", 2025), (41.5, 2025));
        assert_eq!(published_value("FR", 2030), (41.5, 2025));
        assert_eq!(published_value("FR", 1990), (59.1, 2015));
        assert_eq!(published_value("WLD", 2026), (473.0, 2024));
        // The newest figure of the EU is of 2023, the only one of Western Sahara of 2009.
        assert_eq!(published_value("EU", 2026), (237.5, 2023));
        assert_eq!(published_value("EH", 2026), (666.7, 2009));
        // The electricity of the Central African Republic is hydropower only.
        assert_eq!(published_value("CF", 2023).0, 0.0);
    }

    #[test]
    fn published_intensity_names_source() {
        let source = |year| find_by_code("FR").unwrap().published_intensity(year).unwrap().source;
        assert!(source(2024).contains("Our World in Data"));
        assert_eq!(source(2026), "Ember (2026), yearly electricity data (CC BY 4.0)");
    }
}
