//! A zone of the grid: a country, a part of one, or the region of a cloud; and the figure that is published for it.

use super::cloud_regions::CloudRegion;
use super::countries::{self, Country};
use super::subdivisions::{self, Subdivision};
use super::{EmissionScope, GridIntensity, IntensityKind, LocationSource, table_bounds};
use crate::place::Place;
use crate::units::CarbonIntensity;

/// What a place's name resolves to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum GridZone {
    Country(&'static Country),
    Subdivision(&'static Subdivision),
    CloudRegion(&'static CloudRegion),
}

/// A yearly mean and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PublishedIntensity {
    pub(crate) intensity: CarbonIntensity,
    pub(crate) year: u16,
    pub(crate) basis: EmissionScope,
    pub(crate) source: String,
}

impl GridZone {
    /// For people, and for a model card: `France`, `Virginia, United States`.
    pub(crate) fn name(self) -> String {
        let with_country = |name: &str, iso2: &str| {
            let country = countries::find_by_code(iso2).map_or(iso2, |country| country.name.as_str());
            // In Singapore and Luxembourg the city has the country's name.
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

    /// The code by which it is found again: `FR`, `US-VA`, `aws:us-east-1`.
    pub(crate) fn code(self) -> String {
        match self {
            Self::CloudRegion(region) => region.code(),
            other => other.grid_code().to_owned(),
        }
    }

    /// The code of the grid that the place hangs on; of a cloud's region its part of the country where one is known.
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

    pub(crate) fn cloud_region(self) -> Option<&'static CloudRegion> {
        match self {
            Self::CloudRegion(region) => Some(region),
            Self::Country(_) | Self::Subdivision(_) => None,
        }
    }

    /// The figure for a year, or for the nearest one that is published. A cloud's region has its own where its provider
    /// publishes one, else that of its part of the country, else that of its country; `source` says which.
    pub(crate) fn published_intensity(self, year: u16) -> Option<PublishedIntensity> {
        match self {
            Self::Country(country) => country.published_intensity(year),
            Self::Subdivision(subdivision) => Some(subdivision.published_intensity()),
            Self::CloudRegion(region) => region.published_intensity().or_else(|| {
                let (grid, what) = match subdivisions::find_by_code(&region.part) {
                    Some(subdivision) => (Self::Subdivision(subdivision), "the region's part of the country"),
                    None => (Self::Country(countries::find_by_code(&region.iso2)?), "the region's country"),
                };
                let mut published = grid.published_intensity(year)?;
                published.source += &format!("; of {}, {what}", grid.name());
                Some(published)
            }),
        }
    }
}

impl GridIntensity {
    /// The yearly mean of a zone, from the embedded tables.
    pub(crate) fn from_zone(zone: GridZone, origin: LocationSource, year: u16) -> Self {
        let Some(PublishedIntensity { intensity, year, basis, source }) = zone.published_intensity(year)
        else {
            // A zone without a figure would be a broken table, which the tests of the tables do not let pass.
            return Self { origin, ..Self::with_zone(zone, Self::world_average(year)) };
        };
        let (low, high) = table_bounds(intensity, basis);
        let method = IntensityKind::Table;
        Self::with_zone(
            zone,
            Self {
                intensity,
                low,
                high,
                origin,
                method,
                source,
                year: Some(year),
                basis,
                ..Self::world_average(year)
            },
        )
    }

    /// The same figure at this zone.
    fn with_zone(zone: GridZone, grid: Self) -> Self {
        Self {
            place: Some(zone.name()),
            zone: Some(zone.grid_code().to_owned()),
            provider: zone.cloud_region().map(|region| region.provider.clone()),
            region: zone.cloud_region().map(|region| region.region.clone()),
            ..grid
        }
    }

    /// A user's own figure, which stands as it is, for the place that the user named if any.
    #[must_use]
    pub fn user_provided(intensity: CarbonIntensity, place: Option<Place>, origin: LocationSource) -> Self {
        let grid = Self {
            intensity,
            low: intensity,
            high: intensity,
            place: None,
            zone: None,
            origin,
            method: IntensityKind::UserProvided,
            source: "given by the user".to_owned(),
            year: None,
            basis: EmissionScope::Unknown,
            provider: None,
            region: None,
            hours: Vec::new(),
        };
        match place {
            Some(place) => Self::with_zone(place.zone(), grid),
            None => grid,
        }
    }
}
