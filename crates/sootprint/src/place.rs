//! Where a run is, as people write it, resolved to a zone of the grid.

use std::fmt;
use std::str::FromStr;

use crate::grid::{self, Answer, Origin, Zone};

/// A place whose grid is known.
///
/// Today a country, by its name or its code of two or three letters.
///
/// ```
/// use sootprint::Place;
///
/// let place: Place = "France".parse()?;
/// assert_eq!(place.to_string(), "France");
/// assert_eq!(place, "FR".parse()?);
/// # Ok::<(), sootprint::PlaceError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place(&'static Zone);

impl Place {
    /// The yearly mean intensity of the place's grid.
    #[must_use]
    pub fn intensity(self, origin: Origin) -> Answer {
        Answer::from_zone(self.0, origin)
    }

    pub(crate) const fn zone(self) -> &'static Zone {
        self.0
    }
}

impl FromStr for Place {
    type Err = PlaceError;

    fn from_str(name: &str) -> Result<Self, PlaceError> {
        let name = name.trim();
        let mut zones = grid::find(name);
        match (zones.next(), zones.next()) {
            (Some(zone), None) => Ok(Self(zone)),
            (Some(first), Some(second)) => Err(PlaceError::Ambiguous {
                name: name.to_owned(),
                candidates: [first, second].map(|zone| zone.name.clone()).to_vec(),
            }),
            (None, _) => Err(PlaceError::Unknown { name: name.to_owned(), nearest: grid::nearest(name) }),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.name)
    }
}

/// Why a name is no place.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum PlaceError {
    /// No table has it.
    #[error(
        "no grid is known by the name `{name}`{}; give a country by its name or ISO code, as in France or FR",
        suggestion(nearest)
    )]
    Unknown {
        /// What was asked for.
        name: String,
        /// Names that may have been meant.
        nearest: Vec<&'static str>,
    },
    /// More than one zone has it.
    #[error("`{name}` may mean {}; give the code of the one that is meant", candidates.join(" or "))]
    Ambiguous {
        /// What was asked for.
        name: String,
        /// The zones that have this name.
        candidates: Vec<String>,
    },
}

fn suggestion(nearest: &[&str]) -> String {
    if nearest.is_empty() { String::new() } else { format!(" (did you mean {}?)", nearest.join(", ")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_miss_names_the_place_and_the_next_step() {
        let error = "Franz".parse::<Place>().unwrap_err().to_string();
        assert_eq!(
            error,
            "no grid is known by the name `Franz` (did you mean France?); \
             give a country by its name or ISO code, as in France or FR"
        );
        assert!("".parse::<Place>().is_err());
    }

    #[test]
    fn the_answer_says_where_its_figure_comes_from() {
        let place: Place = " deu ".parse().unwrap();
        let answer = place.intensity(Origin::Argument);
        assert_eq!(answer.zone.as_deref(), Some("DE"));
        assert_eq!(answer.year, Some(2024));
        assert!(answer.source.contains("Our World in Data"));
        assert!(answer.low < answer.intensity && answer.intensity < answer.high);
    }
}
