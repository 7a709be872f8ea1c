//! The embedded table of countries, with the yearly intensities of each.
//!
//! `data/countries.csv`: `carbon_intensity_elec` of Our World in Data, based on Ember and the Energy Institute, CC BY 4.0;
//! the years in `release_years` are from Ember's own release.

use std::sync::LazyLock;

use super::intensity::{EmissionScope, PublishedIntensity};
use crate::units::CarbonIntensity;

const OWID_SOURCE: &str =
    "Ember (2025); Energy Institute (2024), with major processing by Our World in Data (CC BY 4.0)";

/// The source of figures that Our World in Data does not include yet.
const EMBER_SOURCE: &str = "Ember (2026), yearly electricity data (CC BY 4.0)";

const TABLE: &[u8] = include_bytes!("../../data/countries.csv");

/// A country, or a group of countries.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Country {
    pub(crate) iso2: String,
    pub(crate) iso3: String,
    pub(crate) name: String,
    /// In ascending order of years, at least one entry.
    yearly_intensities: Vec<(u16, CarbonIntensity)>,
    /// The years of Ember's own release.
    release_years: Vec<u16>,
    /// The years whose figure equals an older one.
    repeated_years: Vec<u16>,
    pub(crate) variability: Variability,
}

/// How much the intensity of a country changes between years.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Variability {
    /// The bounds hold in at least nine tenths of all pairs of years.
    Steady,
    /// They hold less often, with mostly hydropower.
    Hydropower,
    /// They hold less often for another reason.
    Other,
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
        let mut source =
            if self.release_years.contains(&year) { EMBER_SOURCE } else { OWID_SOURCE }.to_owned();
        if self.repeated_years.contains(&year) {
            source += "; same figure as an earlier year, which may be repeated";
        }
        Some(PublishedIntensity {
            intensity,
            year,
            basis: EmissionScope::LifecycleGeneration,
            source,
            margin: 0.0,
        })
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
    let mut text = || columns.next().map(str::to_owned);
    let [iso2, iso3, name, unsteady, release_years, repeated_years] =
        [text()?, text()?, text()?, text()?, text()?, text()?];
    let parse_years =
        |years: String| years.split_whitespace().map(|year| year.parse().ok()).collect::<Option<_>>();
    let figures = years.iter().zip(columns).filter(|(_, figure)| !figure.is_empty());
    let figures = figures.map(|(year, figure)| {
        Some((*year, CarbonIntensity::from_grams_per_kilowatt_hour(figure.parse().ok()?)))
    });
    let variability = match &*unsteady {
        "" => Variability::Steady,
        "hydro" => Variability::Hydropower,
        _ => Variability::Other,
    };
    Some(Country {
        iso2,
        iso3,
        name,
        yearly_intensities: figures.collect::<Option<_>>()?,
        release_years: parse_years(release_years)?,
        repeated_years: parse_years(repeated_years)?,
        variability,
    })
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
        assert_eq!(published_value("FR", 2025), (41.4, 2025));
        assert_eq!(published_value("FR", 2030), (41.4, 2025));
        assert_eq!(published_value("FR", 1990), (59.1, 2015));
        assert_eq!(published_value("WLD", 2026), (458.3, 2025));
        assert_eq!(published_value("WLD", 2024), (473.0, 2024));
        // The EU has no figure of 2024, Ukraine none after 2022, Western Sahara only one of 2009.
        assert_eq!(published_value("EU", 2026), (210.0, 2025));
        assert_eq!(published_value("EU", 2023), (237.5, 2023));
        assert_eq!(published_value("UA", 2026), (256.2, 2022));
        assert_eq!(published_value("EH", 2026), (666.7, 2009));
        // The electricity of the Central African Republic is hydropower only.
        assert_eq!(published_value("CF", 2023).0, 0.0);
    }

    #[test]
    fn published_intensity_names_source() {
        let source = |year| find_by_code("FR").unwrap().published_intensity(year).unwrap().source;
        assert!(source(2024).contains("Our World in Data"));
        assert_eq!(source(2026), "Ember (2026), yearly electricity data (CC BY 4.0)");
        // The figure of 2024 equals those of 2021 and 2022.
        let aruba = find_by_code("AW").unwrap().published_intensity(2024).unwrap();
        assert_eq!(
            aruba.source,
            "Ember (2026), yearly electricity data (CC BY 4.0); same figure as an earlier year, which may be repeated"
        );
    }

    /// The bounds of a figure contain that of another year, as often as `docs/uncertainty.md` states.
    #[test]
    fn bounds_contain_most_figures_of_other_years() {
        use crate::grid::intensity::table_bounds;

        /// Years apart, and the percentage of all pairs within the drift alone and within the whole bounds.
        const EXPECTED: [(u16, f64, f64); 5] =
            [(1, 87.9, 96.6), (2, 87.0, 95.4), (3, 88.6, 96.0), (4, 90.3, 96.4), (5, 90.9, 96.5)];

        for (years_apart, expected_drift, expected_bounds) in EXPECTED {
            let (mut pairs, mut in_drift, mut in_bounds) = (0.0, 0.0, 0.0);
            for country in read_table().unwrap() {
                let figures: Vec<_> =
                    country.yearly_intensities.iter().filter(|(year, _)| *year >= 2015).collect();
                for (year, earlier) in &figures {
                    let Some((_, later)) = figures.iter().find(|(it, _)| *it == year + years_apart) else {
                        continue;
                    };
                    let (low, high) = table_bounds(*earlier, EmissionScope::LifecycleGeneration, years_apart);
                    let [grams, later_grams] = [earlier, later].map(|it| it.grams_per_kilowatt_hour());
                    // Computed independently of the code.
                    let drift = f64::max(10.0, grams * (0.1 + 0.05 * f64::from(years_apart)));
                    pairs += 1.0;
                    in_drift += f64::from(u8::from((later_grams - grams).abs() <= drift + 1e-9));
                    in_bounds += f64::from(u8::from(low <= *later && *later <= high));
                }
            }
            let [drift, bounds] = [in_drift, in_bounds].map(|count| 100.0 * count / pairs);
            assert!((drift - expected_drift).abs() < 0.05, "{years_apart} years: {drift} % within the drift");
            assert!(
                (bounds - expected_bounds).abs() < 0.05,
                "{years_apart} years: {bounds} % within the bounds"
            );
        }
    }

    /// Belgium's figure of 2025 lies outside ± 15 % of that of 2024.
    #[test]
    fn bounds_of_2024_contain_belgium_of_2025() {
        use crate::grid::intensity::table_bounds;

        assert_eq!(published_value("BE", 2025), (149.8, 2025));
        let (grams, year) = published_value("BE", 2024);
        let figure = CarbonIntensity::from_grams_per_kilowatt_hour(grams);
        let bounds = |apart| {
            let (low, high) = table_bounds(figure, EmissionScope::LifecycleGeneration, apart);
            (low.grams_per_kilowatt_hour()..=high.grams_per_kilowatt_hour()).contains(&149.8)
        };
        assert_eq!((grams, year, bounds(0), bounds(1)), (117.6, 2024, false, true));
    }

    #[test]
    fn hydropower_grids_are_marked() {
        for (code, variability) in [
            ("MW", Variability::Hydropower),
            ("CR", Variability::Hydropower),
            ("TJ", Variability::Hydropower),
            ("FI", Variability::Other),
            ("NO", Variability::Steady),
            ("FR", Variability::Steady),
        ] {
            assert_eq!(find_by_code(code).unwrap().variability, variability, "{code}");
        }
    }
}
