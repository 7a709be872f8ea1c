//! Intensities from the embedded tables: of a zone, and the world average for an unknown location.

use super::countries;
use super::intensity::{
    EmissionScope, GridIntensity, IntensityKind, LocationSource, PublishedIntensity, table_bounds,
};
use super::zone::GridZone;
use crate::units::CarbonIntensity;

/// The code of the world average in the embedded table.
const WORLD_CODE: &str = "WLD";

/// The lowest and the highest figure of all countries in `year`: the bounds for a run at an unknown location.
fn national_range(year: u16) -> (CarbonIntensity, CarbonIntensity) {
    let figures =
        countries::all().filter_map(|country| country.published_intensity(year)).map(|it| it.intensity);
    let grams = CarbonIntensity::from_grams_per_kilowatt_hour;
    figures.fold((grams(f64::MAX), grams(0.0)), |(low, high), figure| {
        (if figure < low { figure } else { low }, if figure > high { figure } else { high })
    })
}

impl GridIntensity {
    /// Returns the world average, for a run at an unknown location. Its bounds are the range of national grids.
    pub fn world_average(year: u16) -> Self {
        let (low, high) = national_range(year);
        let world = countries::find_by_code(WORLD_CODE).and_then(|world| world.published_intensity(year));
        Self {
            // A table without its world row would be a broken build; the test below requires the row.
            intensity: world.as_ref().map_or(high, |world| world.intensity),
            low,
            high,
            place: None,
            zone: None,
            origin: LocationSource::Unknown,
            method: IntensityKind::Table,
            year: world.as_ref().map(|world| world.year),
            source: world.map_or_else(String::new, |world| world.source),
            basis: EmissionScope::LifecycleGeneration,
            provider: None,
            region: None,
            places: Vec::new(),
            hours: Vec::new(),
        }
    }

    /// The yearly average of a zone.
    pub(crate) fn from_zone(zone: GridZone, origin: LocationSource, year: u16) -> Self {
        let world = Self::world_average(year);
        let grid = match zone.published_intensity(year) {
            Some(PublishedIntensity { intensity, year: published, basis, source, margin }) => {
                let (low, high) = table_bounds(intensity, basis, published.abs_diff(year));
                let grams = CarbonIntensity::from_grams_per_kilowatt_hour;
                let low = grams((low.grams_per_kilowatt_hour() - margin).max(0.0));
                let high = high + grams(margin);
                let year = published;
                Self { intensity, low, high, origin, source, year: Some(year), basis, ..world }
            }
            // A zone without a figure would be a broken table; the tests of the tables reject it.
            None => Self { origin, ..world },
        };
        grid.at_zone(zone)
    }

    /// The same figure, attributed to a zone.
    pub(crate) fn at_zone(self, zone: GridZone) -> Self {
        Self {
            place: Some(zone.name()),
            zone: Some(zone.grid_code().to_owned()),
            provider: zone.cloud_region().map(|region| region.provider.clone()),
            region: zone.cloud_region().map(|region| region.region.clone()),
            ..self
        }
    }
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "figures are copied, not computed")]
mod tests {
    use super::*;

    #[test]
    fn unknown_place_uses_world_average() {
        let grid = GridIntensity::world_average(2026);
        assert_eq!(grid.intensity.grams_per_kilowatt_hour(), 458.3);
        assert_eq!((grid.place, grid.zone, grid.origin), (None, None, LocationSource::Unknown));
        // The Central African Republic and Turkmenistan.
        let bounds = [grid.low, grid.high].map(CarbonIntensity::grams_per_kilowatt_hour);
        assert_eq!(bounds, [0.0, 1_306.3]);
    }
}
