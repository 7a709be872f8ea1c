//! A zone of the grid: a country, a part of one, or the region of a cloud; and the figure that is published for it.

use super::clouds::Region;
use super::countries::{self, Country};
use super::parts::{self, Part};
use super::{Answer, Basis, Figure, Origin, bounds};
use crate::place::Place;
use crate::units::CarbonIntensity;

/// What a place's name resolves to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Zone {
    Country(&'static Country),
    Part(&'static Part),
    Region(&'static Region),
}

/// A yearly mean and where it comes from.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Published {
    pub(crate) intensity: CarbonIntensity,
    pub(crate) year: u16,
    pub(crate) basis: Basis,
    pub(crate) source: String,
}

impl Zone {
    /// For people, and for a model card: `France`, `Virginia, United States`.
    pub(crate) fn name(self) -> String {
        let of = |name: &str, iso2: &str| {
            let country = countries::with_code(iso2).map_or(iso2, |country| country.name.as_str());
            // In Singapore and Luxembourg the city has the country's name.
            if name == country { name.to_owned() } else { format!("{name}, {country}") }
        };
        match self {
            Self::Country(country) => country.name.clone(),
            Self::Part(part) => of(&part.name, &part.iso2),
            Self::Region(region) => {
                let places: Vec<&str> =
                    [&*region.city, &*region.area].into_iter().filter(|name| !name.is_empty()).collect();
                if places.is_empty() {
                    countries::with_code(&region.iso2)
                        .map_or_else(|| region.code(), |country| country.name.clone())
                } else {
                    of(&places.join(", "), &region.iso2)
                }
            }
        }
    }

    /// The code by which it is found again: `FR`, `US-VA`, `aws:us-east-1`.
    pub(crate) fn code(self) -> String {
        match self {
            Self::Region(region) => region.code(),
            other => other.grid_code().to_owned(),
        }
    }

    /// The code of the grid that the place hangs on; of a cloud's region its part of the country where one is known.
    pub(crate) fn grid_code(self) -> &'static str {
        match self {
            Self::Country(country) => country.code(),
            Self::Part(part) => &part.code,
            Self::Region(region) if region.part.is_empty() => &region.iso2,
            Self::Region(region) => &region.part,
        }
    }

    /// Two letters; three for the world.
    pub(crate) fn country_code(self) -> &'static str {
        match self {
            Self::Country(country) => country.code(),
            Self::Part(part) => &part.iso2,
            Self::Region(region) => &region.iso2,
        }
    }

    pub(crate) fn region(self) -> Option<&'static Region> {
        match self {
            Self::Region(region) => Some(region),
            Self::Country(_) | Self::Part(_) => None,
        }
    }

    /// The figure for a year, or for the nearest one that is published. A cloud's region has its own where its provider
    /// publishes one, else that of its part of the country, else that of its country; `source` says which.
    pub(crate) fn published(self, year: u16) -> Option<Published> {
        match self {
            Self::Country(country) => country.published(year),
            Self::Part(part) => Some(part.published()),
            Self::Region(region) => region.published().or_else(|| {
                let (grid, what) = match parts::with_code(&region.part) {
                    Some(part) => (Self::Part(part), "the region's part of the country"),
                    None => (Self::Country(countries::with_code(&region.iso2)?), "the region's country"),
                };
                let mut published = grid.published(year)?;
                published.source += &format!("; of {}, {what}", grid.name());
                Some(published)
            }),
        }
    }
}

impl Answer {
    /// The yearly mean of a zone, from the embedded tables.
    pub(crate) fn from_zone(zone: Zone, origin: Origin, year: u16) -> Self {
        let Some(Published { intensity, year, basis, source }) = zone.published(year) else {
            // A zone without a figure would be a broken table, which the tests of the tables do not let pass.
            return Self { origin, ..Self::at(zone, Self::anywhere(year)) };
        };
        let (low, high) = bounds(intensity, basis);
        let method = Figure::Table;
        Self::at(
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
                ..Self::anywhere(year)
            },
        )
    }

    /// The same figure at this zone.
    fn at(zone: Zone, answer: Self) -> Self {
        Self {
            place: Some(zone.name()),
            zone: Some(zone.grid_code().to_owned()),
            provider: zone.region().map(|region| region.provider.clone()),
            region: zone.region().map(|region| region.region.clone()),
            ..answer
        }
    }

    /// A user's own figure, which stands as it is, for the place that the user named if any.
    #[must_use]
    pub fn given(intensity: CarbonIntensity, place: Option<Place>, origin: Origin) -> Self {
        let answer = Self {
            intensity,
            low: intensity,
            high: intensity,
            place: None,
            zone: None,
            origin,
            method: Figure::Given,
            source: "given by the user".to_owned(),
            year: None,
            basis: Basis::Unknown,
            provider: None,
            region: None,
            hours: Vec::new(),
        };
        match place {
            Some(place) => Self::at(place.zone(), answer),
            None => answer,
        }
    }
}
