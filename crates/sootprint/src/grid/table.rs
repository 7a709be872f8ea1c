//! The embedded table of countries.
//!
//! `data/countries.csv`: Our World in Data's `carbon_intensity_elec`, after Ember and the Energy Institute, CC BY 4.0.

use std::sync::LazyLock;

use serde::Deserialize;

use super::Basis;
use crate::units::CarbonIntensity;

/// One country's grid, or a group of countries'.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub(crate) struct Zone {
    iso2: String,
    iso3: String,
    pub(crate) name: String,
    #[serde(rename = "g_co2e_per_kwh")]
    pub(crate) intensity: CarbonIntensity,
    pub(crate) year: u16,
    pub(crate) basis: Basis,
    #[serde(deserialize_with = "publication")]
    pub(crate) source: String,
}

impl Zone {
    /// Two letters, or three where ISO has no two.
    pub(crate) fn code(&self) -> &str {
        if self.iso2.is_empty() { &self.iso3 } else { &self.iso2 }
    }
}

/// The zones that people mean by `name`: a code of two or three letters, or a name in any case.
pub(crate) fn find(name: &str) -> impl Iterator<Item = &'static Zone> {
    ZONES.iter().filter(move |zone| {
        [&zone.iso2, &zone.iso3, &zone.name]
            .iter()
            .any(|known| !known.is_empty() && known.eq_ignore_ascii_case(name))
    })
}

/// The names that share a beginning of at least three letters with `name`, to be suggested after a miss.
pub(crate) fn nearest(name: &str) -> Vec<&'static str> {
    let name = name.to_lowercase();
    let beginning: String = name.chars().take(3).collect();
    ZONES
        .iter()
        .map(|zone| zone.name.as_str())
        .filter(|known| {
            known.to_lowercase().starts_with(&beginning)
                || (name.len() > 3 && known.to_lowercase().contains(&name))
        })
        .take(5)
        .collect()
}

static ZONES: LazyLock<Vec<Zone>> = LazyLock::new(|| {
    csv::Reader::from_reader(include_bytes!("../../data/countries.csv").as_slice())
        .into_deserialize()
        // The test below reads the file strictly, so that no row is ever passed over here.
        .filter_map(Result::ok)
        .collect()
});

/// The column names a table and a series; a reader wants the publication.
fn publication<'de, D: serde::Deserializer<'de>>(column: D) -> Result<String, D::Error> {
    let key = String::deserialize(column)?;
    match key.as_str() {
        "owid:carbon_intensity_elec" => Ok(
            "Ember (2025); Energy Institute (2024), with major processing by Our World in Data (CC BY 4.0)"
                .to_owned(),
        ),
        _ => Err(serde::de::Error::custom(format!("no publication is known for `{key}`"))),
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "figures are copied, not computed")]
mod tests {
    use super::*;

    #[test]
    fn every_row_of_the_file_is_embedded() {
        let rows = csv::Reader::from_reader(include_bytes!("../../data/countries.csv").as_slice())
            .into_deserialize::<Zone>()
            .collect::<Result<Vec<_>, _>>()
            .unwrap();
        assert_eq!(rows.len(), 216);
        assert_eq!(*ZONES, rows);
        assert!(rows.iter().all(|zone| (0.0..=1_500.0).contains(&zone.intensity.grams_per_kilowatt_hour())));
    }

    #[test]
    fn a_country_is_found_by_each_of_its_names() {
        for name in ["FR", "fra", "France"] {
            let zones: Vec<_> = find(name).collect();
            assert_eq!(zones.len(), 1, "{name}");
            assert_eq!((zones[0].code(), zones[0].basis), ("FR", Basis::LifecycleGeneration));
        }
        assert_eq!(find("WLD").next().unwrap().intensity.grams_per_kilowatt_hour(), 473.0);
        assert_eq!(find("").count(), 0);
    }

    #[test]
    fn a_miss_suggests_what_may_have_been_meant() {
        assert!(nearest("Frnace").is_empty());
        assert_eq!(nearest("Franz"), ["France"]);
        assert!(nearest("korea").contains(&"South Korea"));
    }
}
