//! Where a run is, as people write it, resolved to a zone of the grid.

use std::fmt;
use std::str::FromStr;

use crate::grid;
use crate::grid::{GridIntensity, GridZone, LocationSource};
use crate::pue::Pue;

/// A place whose grid is known: a country, a part of one, or the region of a cloud.
///
/// | written | means |
/// |---|---|
/// | `FR`, `FRA`, `France` | a country; two letters alone are always one |
/// | `US-VA`, `Virginia`, `Virginia, USA` | a state of the United States |
/// | `CA-QC`, `Quebec`, `Quebec, Canada` | a province of Canada, and likewise the states of Australia |
/// | `EGRID-SRVC` | a subregion of the United States' grid |
/// | `aws:us-east-1`, `gcp/europe-west9` | a region of a cloud |
///
/// ```
/// use sootprint_core::Place;
///
/// let place: Place = "France".parse()?;
/// assert_eq!(place.to_string(), "France");
/// assert_eq!(place, "FR".parse()?);
///
/// let region: Place = "aws:us-east-1".parse()?;
/// assert_eq!(region.to_string(), "Ashburn, Northern Virginia, United States");
/// assert_eq!((region.code(), region.grid_code(), region.country_code()), ("aws:us-east-1".into(), "EGRID-SRVC", "US"));
/// # Ok::<(), sootprint_core::PlaceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place(GridZone);

impl Place {
    /// The mean intensity of the place's grid in a year, or in the nearest year for which one is published.
    ///
    /// Figures of countries count the life cycle of what they generate, those of their parts the stack only; `basis`
    /// says it. A cloud's region has the figure that its provider publishes, else that of its part of the country,
    /// else that of its country, and `source` says which.
    #[must_use]
    pub fn intensity(self, origin: LocationSource, year: u16) -> GridIntensity {
        GridIntensity::from_zone(self.0, origin, year)
    }

    /// What the facility adds in a cloud's region: the region's own figure, else its provider's of the nearest year.
    /// None anywhere else, and where the provider publishes nothing.
    #[must_use]
    pub fn pue(self, year: u16) -> Option<Pue> {
        self.0.cloud_region()?.pue(year)
    }

    /// The code by which the place is found again, as in `FR`, `US-VA` or `aws:us-east-1`.
    #[must_use]
    pub fn code(self) -> String {
        self.0.code()
    }

    /// The code of the grid: a country's, or that of a part of one.
    #[must_use]
    pub fn grid_code(self) -> &'static str {
        self.0.grid_code()
    }

    /// The country's two letters; three for the world.
    #[must_use]
    pub fn country_code(self) -> &'static str {
        self.0.country_code()
    }

    /// The cloud's provider and its region, as in `("aws", "us-east-1")`.
    #[must_use]
    pub fn cloud_region(self) -> Option<(&'static str, &'static str)> {
        self.0.cloud_region().map(|region| (region.provider.as_str(), region.region.as_str()))
    }

    /// The country of a time zone, as in `Europe/Paris`. `None` for `UTC` and similar zones, and for countries whose
    /// grid intensity is unknown.
    #[must_use]
    pub fn from_time_zone(name: &str) -> Option<Self> {
        grid::country_for_time_zone(name).map(Self)
    }

    /// The place that a figure is for; none when it is unknown.
    #[must_use]
    pub fn from_intensity(grid: &GridIntensity) -> Option<Self> {
        let code = match (&grid.provider, &grid.region) {
            (Some(provider), Some(region)) => format!("{provider}:{region}"),
            _ => grid.zone.clone()?,
        };
        code.parse().ok()
    }

    pub(crate) const fn zone(self) -> GridZone {
        self.0
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(name: &str) -> Result<Self, PlaceError> {
        let name = name.trim();
        match grid::find_zones(name)[..] {
            [zone] => Ok(Self(zone)),
            [] => Err(PlaceError::Unknown { name: name.to_owned(), nearest: grid::suggest_names(name) }),
            ref zones => Err(PlaceError::Ambiguous {
                name: name.to_owned(),
                candidates: zones.iter().map(|zone| format!("{} ({})", zone.code(), zone.name())).collect(),
            }),
        }
    }
}

impl fmt::Display for Place {
    /// For people: `France`, `Virginia, United States`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

/// Why a name is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// No table has it.
    #[error(
        "no grid is known by the name `{name}`{}; give a country, a state or province, or a cloud's region, as in \
         France, US-VA or aws:us-east-1",
        did_you_mean(nearest)
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that may have been meant, nearest first.
        nearest: Vec<String>,
    },
    /// More than one zone has it.
    #[error("`{name}` may mean {}; give the code of the one that is meant", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The zones that have this name, each with its code.
        candidates: Vec<String>,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::grid::EmissionScope;

    fn parse_place(name: &str) -> Place {
        name.parse().unwrap()
    }

    #[test]
    fn unknown_place_error_suggests_next_step() {
        let error = "Frnace".parse::<Place>().unwrap_err().to_string();
        assert_eq!(
            error,
            "no grid is known by the name `Frnace` (did you mean France?); \
             give a country, a state or province, or a cloud's region, as in France, US-VA or aws:us-east-1"
        );
        assert!("".parse::<Place>().is_err());
    }

    #[test]
    fn georgia_is_ambiguous() {
        assert_eq!(
            "Georgia".parse::<Place>().unwrap_err().to_string(),
            "`Georgia` may mean GE (Georgia) or US-GA (Georgia, United States); \
             give the code of the one that is meant"
        );
    }

    #[test]
    fn intensity_names_its_source() {
        let grid = parse_place(" deu ").intensity(LocationSource::Argument, 2024);
        assert_eq!((grid.zone.as_deref(), grid.year), (Some("DE"), Some(2024)));
        assert!(grid.source.contains("Our World in Data"));
        assert!(grid.low < grid.intensity && grid.intensity < grid.high);
        assert_eq!(parse_place("DE").intensity(LocationSource::Argument, 2019).year, Some(2019));
    }

    /// The figures are those of the published tables.
    #[test]
    fn region_intensity_falls_back_to_grid() {
        for (name, grams, zone, basis, source) in [
            ("gcp:europe-west9", 16.3, "FR", EmissionScope::Unknown, "Google Cloud region carbon data 2024"),
            (
                "aws:us-east-1",
                270.5,
                "EGRID-SRVC",
                EmissionScope::DirectGeneration,
                "US EPA eGRID2023; of SERC Virginia/Carolina",
            ),
            ("aws:ca-central-1", 2.6, "CA-QC", EmissionScope::DirectConsumption, "v4.0; of Quebec, Canada"),
            (
                "aws:eu-west-3",
                41.5,
                "FR",
                EmissionScope::LifecycleGeneration,
                "; of France, the region's country",
            ),
        ] {
            let grid = parse_place(name).intensity(LocationSource::Argument, 2026);
            let close = (grid.intensity.grams_per_kilowatt_hour() - grams).abs() < 1e-9;
            assert!(close && grid.source.contains(source), "{grid:?}");
            assert_eq!((grid.zone.as_deref(), grid.basis), (Some(zone), basis));
            assert_eq!(
                grid.provider.clone().zip(grid.region.clone()),
                parse_place(name).cloud_region().map(|(p, r)| (p.into(), r.into()))
            );
            // What is not known to count the whole life cycle may miss some of it.
            let upstream_margin = if basis == EmissionScope::LifecycleGeneration { 0.0 } else { 30.0 };
            let high = grid.high.grams_per_kilowatt_hour();
            assert!((high - (1.15 * grams + upstream_margin)).abs() < 1e-9, "{grid:?}");
        }
    }

    #[test]
    fn place_round_trips_through_intensity() {
        for name in ["FR", "US-VA", "EGRID-SRVC", "gcp:europe-west9", "aws:us-east-1", "WLD"] {
            let answer = parse_place(name).intensity(LocationSource::Argument, 2026);
            assert_eq!(Place::from_intensity(&answer), Some(parse_place(name)));
        }
        assert_eq!(Place::from_intensity(&GridIntensity::world_average(2026)), None);
    }

    #[test]
    fn display_includes_country_name() {
        for (name, read) in [
            ("US-VA", "Virginia, United States"),
            ("gcp:us-east2", "Georgia, United States"),
            ("azure:israelcentral", "Israel"),
            ("aws:ap-southeast-1", "Singapore"),
            ("aws:ap-northeast-1", "Tokyo, Japan"),
        ] {
            assert_eq!(parse_place(name).to_string(), read);
        }
    }
}
