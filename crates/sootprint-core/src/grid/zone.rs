//! A zone of the grid: a country, a part of one, or a cloud region.

use super::cloud_regions::CloudRegion;
use super::countries::{self, Country, Variability};
use super::intensity::PublishedIntensity;
use super::subdivisions::{self, Subdivision};

/// The zone that the name of a place resolves to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum GridZone {
    Country(&'static Country),
    Subdivision(&'static Subdivision),
    CloudRegion(&'static CloudRegion),
}

impl GridZone {
    /// The display name, also used in model cards: `France`, `Virginia, United States`.
    pub(crate) fn name(self) -> String {
        let with_country = |name: &str, iso2: &str| {
            let country = countries::find_by_code(iso2).map_or(iso2, |country| country.name.as_str());
            // In Singapore and Luxembourg the city and the country have the same name.
            if name == country { name.to_owned() } else { format!("{name}, {country}") }
        };
        match self {
            Self::Country(country) => country.name.clone(),
            Self::Subdivision(subdivision) => with_country(&subdivision.name, &subdivision.iso2),
            Self::CloudRegion(region) => {
                let places: Vec<&str> =
                    [&*region.city, &*region.area].into_iter().filter(|name| !name.is_empty()).collect();
                if places.is_empty() {
                    countries::find_by_code(&region.iso2)
                        .map_or_else(|| region.code(), |country| country.name.clone())
                } else {
                    with_country(&places.join(", "), &region.iso2)
                }
            }
        }
    }

    /// The unique code, which resolves to this zone again: `FR`, `US-VA`, `aws:us-east-1`.
    pub(crate) fn code(self) -> String {
        match self {
            Self::CloudRegion(region) => region.code(),
            other => other.grid_code().to_owned(),
        }
    }

    /// The code of the grid that supplies the zone. For a cloud region: its subdivision, or its country if the
    /// subdivision is unknown.
    pub(crate) fn grid_code(self) -> &'static str {
        match self {
            Self::Country(country) => country.code(),
            Self::Subdivision(subdivision) => &subdivision.code,
            Self::CloudRegion(region) if region.part.is_empty() => &region.iso2,
            Self::CloudRegion(region) => &region.part,
        }
    }

    /// Two letters; three for the world.
    pub(crate) fn country_code(self) -> &'static str {
        match self {
            Self::Country(country) => country.code(),
            Self::Subdivision(subdivision) => &subdivision.iso2,
            Self::CloudRegion(region) => &region.iso2,
        }
    }

    /// The name of the country whose figure the zone has, and how much it varies. `None` if it is steady, or the figure is
    /// not that of a country.
    pub(crate) fn variable_grid(self) -> Option<(&'static str, Variability)> {
        let country = match self {
            Self::Country(country) => country,
            Self::CloudRegion(region) if region.part.is_empty() && region.published_intensity().is_none() => {
                countries::find_by_code(&region.iso2)?
            }
            Self::CloudRegion(_) | Self::Subdivision(_) => return None,
        };
        (country.variability != Variability::Steady).then_some((&country.name, country.variability))
    }

    pub(crate) fn cloud_region(self) -> Option<&'static CloudRegion> {
        match self {
            Self::CloudRegion(region) => Some(region),
            Self::Country(_) | Self::Subdivision(_) => None,
        }
    }

    /// The figure of a year, or of the nearest published year. A cloud region has its own figure if its provider
    /// publishes one, otherwise that of its subdivision, otherwise that of its country; `source` states which.
    pub(crate) fn published_intensity(self, year: u16) -> Option<PublishedIntensity> {
        match self {
            Self::Country(country) => country.published_intensity(year),
            Self::Subdivision(subdivision) => Some(subdivision.published_intensity()),
            Self::CloudRegion(region) => region.published_intensity().or_else(|| {
                let (grid, relation) = match subdivisions::find_by_code(&region.part) {
                    Some(subdivision) => {
                        (Self::Subdivision(subdivision), "the part of the country with the cloud region")
                    }
                    None => (
                        Self::Country(countries::find_by_code(&region.iso2)?),
                        "the country of the cloud region",
                    ),
                };
                let mut published = grid.published_intensity(year)?;
                published.source += &format!("; for {}, {relation}", grid.name());
                Some(published)
            }),
        }
    }
}
