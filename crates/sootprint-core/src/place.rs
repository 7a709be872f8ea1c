//! The location of a run, parsed from the names and codes that people use.

use std::fmt;
use std::str::FromStr;

use crate::grid::{
    AliasKind, EmissionScope, GridIntensity, GridZone, IntensityKind, LocationSource, Variability,
    find_alias, find_zones, suggest_names, zone_for_time_zone,
};
use crate::pue::Pue;
use crate::units::CarbonIntensity;
use crate::wue::Wue;

/// A place whose grid is known: a country, a part of a country, or a cloud region.
///
/// | input | meaning |
/// |---|---|
/// | `FR`, `FRA`, `France` | a country; two letters without a prefix always mean a country |
/// | `US-VA`, `Virginia`, `Virginia, USA` | a state of the United States |
/// | `CA-QC`, `Quebec`, `AU-TAS` | a province of Canada, or a state of Australia |
/// | `SE3`, `CN-GD`, `Guangdong` | a bidding zone of Sweden or Norway, or a province of China |
/// | `ERCOT`, `US-CAL-CISO` | the grid of a balancing authority |
/// | `EGRID-SRVC` | a subregion of the United States' grid, as defined by the EPA's database eGRID |
/// | `aws:us-east-1`, `gcp/europe-west9`, `us-central1-a` | a cloud region |
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
    /// Returns the average intensity of the place's grid in `year`, or in the nearest year with a published figure.
    /// `origin` states where the place was configured.
    ///
    /// The figures of countries count the life-cycle emissions of the electricity generated; those of parts of a
    /// country count direct emissions only (see `basis`). A cloud region has the figure of its provider if one is
    /// published, otherwise that of its eGRID subregion, state or province, otherwise that of its country (see
    /// `source`).
    #[must_use]
    pub fn intensity(self, origin: LocationSource, year: u16) -> GridIntensity {
        GridIntensity::from_zone(self.0, origin, year)
    }

    /// Returns the PUE of a cloud region: its own figure if one is published, otherwise its provider's figure for the
    /// year nearest to `year`. `None` for other places, and if the provider publishes neither.
    #[must_use]
    pub fn pue(self, year: u16) -> Option<Pue> {
        self.0.cloud_region()?.pue(year)
    }

    /// Returns the water use of a cloud region's data centres: its own newest figure, otherwise its provider's figure for
    /// the year nearest to `year`. `None` for other places, and if the provider publishes neither.
    #[must_use]
    pub fn wue(self, year: u16) -> Option<Wue> {
        self.0.cloud_region()?.wue(year)
    }

    /// The unique code of the place, for example `FR`, `US-VA` or `aws:us-east-1`. Parsing it returns the same place.
    #[must_use]
    pub fn code(self) -> String {
        self.0.code()
    }

    /// The code of the grid that supplies the place. It is the code of a country or of a part of a country.
    #[must_use]
    pub fn grid_code(self) -> &'static str {
        self.0.grid_code()
    }

    /// The two-letter code of the country, for example `FR`. For the place `World` it is `WLD`.
    #[must_use]
    pub fn country_code(self) -> &'static str {
        self.0.country_code()
    }

    /// The cloud provider and the region, as in `("aws", "us-east-1")`. `None` if the place is not a cloud region.
    #[must_use]
    pub fn cloud_region(self) -> Option<(&'static str, &'static str)> {
        self.0.cloud_region().map(|region| (region.provider.as_str(), region.region.as_str()))
    }

    /// Returns the country of a time zone such as `Europe/Paris`; in Australia and Canada, and for some zones of the United
    /// States, the state or province, as for `Australia/Hobart`. `None` for `UTC` and similar zones, and for countries
    /// whose grid intensity is unknown.
    #[must_use]
    pub fn from_time_zone(name: &str) -> Option<Self> {
        zone_for_time_zone(name).map(Self)
    }

    /// Returns the place that an intensity belongs to. `None` if the place is unknown.
    #[must_use]
    pub fn from_intensity(grid: &GridIntensity) -> Option<Self> {
        let code = match (&grid.provider, &grid.region) {
            (Some(provider), Some(region)) => format!("{provider}:{region}"),
            _ => grid.zone.clone()?,
        };
        code.parse().ok()
    }
}

impl GridIntensity {
    /// Creates an intensity from a figure set by the user. The figure is taken as exact, and its scope is unknown. It
    /// belongs to `place` if there is one; `origin` states where the figure was configured.
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
            places: Vec::new(),
            hours: Vec::new(),
        };
        match place {
            Some(Place(zone)) => grid.at_zone(zone),
            None => grid,
        }
    }
}

impl GridIntensity {
    /// Returns a note if this is a yearly figure of another year than `run_year`, of a grid whose intensity often changes
    /// by more than the bounds between years. `None` otherwise.
    #[must_use]
    pub fn variability_note(&self, run_year: u16) -> Option<String> {
        let year = self.year.filter(|year| *year != run_year && self.method == IntensityKind::Table)?;
        let (name, variability) = Place::from_intensity(self)?.0.variable_grid()?;
        let reason = if variability == Variability::Hydropower { ", mostly hydropower," } else { "" };
        Some(format!(
            "the carbon intensity of {name}{reason} varies much between years: the bounds of the figure of {year} may \
             not contain that of {run_year}"
        ))
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(name: &str) -> Result<Self, PlaceError> {
        let name = name.trim();
        match find_zones(name)[..] {
            [zone] => Ok(Self(zone)),
            [] => Err(Self::not_found(name)),
            ref zones => Err(PlaceError::Ambiguous {
                name: name.to_owned(),
                candidates: zones.iter().map(|zone| format!("{} ({})", zone.code(), zone.name())).collect(),
            }),
        }
    }
}

impl Place {
    /// Why a name has no zone.
    fn not_found(name: &str) -> PlaceError {
        let name = name.to_owned();
        match find_alias(&name).map(|row| (row.kind, &row.code)) {
            Some((AliasKind::Approximate, code)) => PlaceError::SeveralGrids {
                name,
                state: Some(code.clone()).filter(|code| code.starts_with("US-")),
            },
            Some((AliasKind::None, _)) => PlaceError::NoFigure { name, larger: None },
            Some((_, code)) => {
                let larger = code.parse::<Self>().ok().map(|place| format!("{} ({place})", place.code()));
                PlaceError::NoFigure { name, larger }
            }
            None => PlaceError::Unknown { nearest: suggest_names(&name), name },
        }
    }
}

impl fmt::Display for Place {
    /// Writes the display name of the place, as in `France` or `Virginia, United States`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name())
    }
}

/// Why a name does not identify a place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// The name is in none of the tables.
    #[error(
        "unknown place `{name}`{}; use a country, a state or province, or a cloud region, as in France, US-VA or \
         aws:us-east-1",
        did_you_mean(nearest)
    )]
    Unknown {
        /// The input.
        name: String,
        /// Similar names, most similar first.
        nearest: Vec<String>,
    },
    /// The area is known, and no figure for it alone is published.
    #[error(
        "no figure for `{name}`; {}",
        larger.as_ref().map_or_else(
            || "set a carbon intensity instead".to_owned(),
            |larger| format!("use that of {larger}, or set a carbon intensity")
        )
    )]
    NoFigure {
        /// The input.
        name: String,
        /// The next larger area with a figure, as its code and display name.
        larger: Option<String>,
    },
    /// The area spans several grids whose figures differ.
    #[error("`{name}` spans several grids; use the state, as in {}", state.as_deref().unwrap_or("US-PA"))]
    SeveralGrids {
        /// The input.
        name: String,
        /// The state that most of the area is in.
        state: Option<String>,
    },
    /// More than one zone has this name.
    #[error("ambiguous place `{name}`: use a code, {}", candidates.join(" or "))]
    Ambiguous {
        /// The input.
        name: String,
        /// The zones with this name, each as its code and display name.
        candidates: Vec<String>,
    },
}

fn did_you_mean(nearest: &[String]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_place(name: &str) -> Place {
        name.parse().unwrap()
    }

    /// Every country has the newest figure of Ember's release, compared with the published files.
    #[test]
    fn every_country_has_its_newest_figure() {
        for (name, year, rows) in
            [("grid_intensity_2025.csv", 2025, 92), ("grid_intensity_2024_fill.csv", 2024, 104)]
        {
            let path = format!("{}/data/sources/{name}", env!("CARGO_MANIFEST_DIR"));
            let records: Vec<csv::StringRecord> =
                csv::Reader::from_path(path).unwrap().records().map(Result::unwrap).collect();
            assert_eq!(records.len(), rows, "{name}");
            for row in records {
                let grid = parse_place(&row[1]).intensity(LocationSource::Argument, 2026);
                assert_eq!(
                    (grid.year, grid.intensity.grams_per_kilowatt_hour().to_string()),
                    (Some(year), row[3].parse::<f64>().unwrap().to_string()),
                    "{row:?}"
                );
            }
        }
    }

    /// Each name of the table resolves, or its error names what to use instead.
    #[test]
    fn every_alias_resolves_or_is_explained() {
        let rows: Vec<Vec<String>> =
            csv::Reader::from_path(concat!(env!("CARGO_MANIFEST_DIR"), "/data/sources/zone_aliases.csv"))
                .unwrap()
                .records()
                .map(|row| row.unwrap().iter().map(str::to_owned).collect())
                .collect();
        assert_eq!(rows.len(), 246);
        for row in rows {
            let (alias, code, kind) = (&row[0], &row[2], &*row[3]);
            let found = alias.parse::<Place>();
            match kind {
                "exact" | "within" => assert_eq!(found.map(Place::code).as_ref(), Ok(code), "{alias}"),
                "approximate" => {
                    let error = found.unwrap_err().to_string();
                    assert!(error.contains("spans several grids; use the state"), "{alias}: {error}");
                }
                "none" => {
                    let error = found.unwrap_err().to_string();
                    assert!(error.ends_with("set a carbon intensity instead"), "{alias}: {error}");
                }
                "parent" | "country" => {
                    let error = found.unwrap_err().to_string();
                    assert!(error.contains(&format!("use that of {code} (")), "{alias}: {error}");
                }
                kind => panic!("{kind}"),
            }
        }
    }

    #[test]
    fn unknown_place_error_suggests_next_step() {
        let error = "Frnace".parse::<Place>().unwrap_err().to_string();
        assert_eq!(
            error,
            "unknown place `Frnace` (did you mean France?); \
             use a country, a state or province, or a cloud region, as in France, US-VA or aws:us-east-1"
        );
        assert!("".parse::<Place>().is_err());
    }

    #[test]
    fn georgia_is_ambiguous() {
        assert_eq!(
            "Georgia".parse::<Place>().unwrap_err().to_string(),
            "ambiguous place `Georgia`: use a code, GE (Georgia) or US-GA (Georgia, United States)"
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

    /// The expected values are copied from the published tables.
    #[test]
    fn region_intensity_falls_back_to_grid() {
        for (name, grams, zone, basis, source) in [
            ("gcp:europe-west9", 16.3, "FR", EmissionScope::Unknown, "Google Cloud region carbon data 2024"),
            (
                "aws:us-east-1",
                270.5,
                "EGRID-SRVC",
                EmissionScope::DirectGeneration,
                "US EPA eGRID2023; for SERC Virginia/Carolina",
            ),
            ("aws:ca-central-1", 2.6, "CA-QC", EmissionScope::DirectConsumption, "v4.0; for Quebec, Canada"),
            (
                "aws:eu-west-3",
                41.4,
                "FR",
                EmissionScope::LifecycleGeneration,
                "; for France, the country of the cloud region",
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
            // Without a known lifecycle scope, the high bound includes the upstream margin.
            let upstream_margin = if basis == EmissionScope::LifecycleGeneration { 0.0 } else { 30.0 };
            let high = grid.high.grams_per_kilowatt_hour();
            let drift = f64::max(10.0, grams * (0.1 + 0.05 * f64::from(2026 - grid.year.unwrap())));
            assert!((high - (1.15 * grams + upstream_margin + drift)).abs() < 1e-9, "{grid:?}");
        }
    }

    #[test]
    fn place_round_trips_through_intensity() {
        for name in ["FR", "US-VA", "EGRID-SRVC", "gcp:europe-west9", "aws:us-east-1", "WLD"] {
            let grid = parse_place(name).intensity(LocationSource::Argument, 2026);
            assert_eq!(Place::from_intensity(&grid), Some(parse_place(name)));
        }
        assert_eq!(Place::from_intensity(&GridIntensity::world_average(2026)), None);
    }

    #[test]
    fn display_includes_country_name() {
        for (name, displayed) in [
            ("US-VA", "Virginia, United States"),
            ("gcp:us-east2", "Georgia, United States"),
            ("azure:israelcentral", "Israel"),
            ("aws:ap-southeast-1", "Singapore"),
            ("aws:ap-northeast-1", "Tokyo, Japan"),
        ] {
            assert_eq!(parse_place(name).to_string(), displayed);
        }
    }
}
