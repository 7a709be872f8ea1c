//! `sootprint grid`: what a place's electricity emits, and who says so.

use std::fmt;

use serde::Serialize;
use sootprint::{Answer, Basis, Origin, Place, Pue};

use crate::arguments::{GridArguments, this_year};
use crate::terminal::print;

/// Prints the figure that a run at the place would get.
pub(crate) fn grid(arguments: &GridArguments) -> anyhow::Result<()> {
    let GridArguments { place, year, json } = *arguments;
    let year = year.unwrap_or_else(this_year);
    let known = Known { place, grid: place.intensity(Origin::Argument, year), pue: place.pue(year) };
    print(&if json { serde_json::to_string_pretty(&known.as_json())? + "\n" } else { known.to_string() })?;
    Ok(())
}

/// What the tables know of a place.
struct Known {
    place: Place,
    grid: Answer,
    /// None where nobody publishes it.
    pue: Option<Pue>,
}

/// The `grid` of a footprint, and the PUE of a cloud's region as a footprint's `energy` has it.
#[derive(Serialize)]
struct Json<'a> {
    #[serde(flatten)]
    grid: &'a Answer,
    pue: Option<f64>,
    pue_origin: Option<&'static str>,
    pue_year: Option<u16>,
}

impl Known {
    fn as_json(&self) -> Json<'_> {
        Json {
            grid: &self.grid,
            pue: self.pue.map(Pue::factor),
            pue_origin: self.pue.map(|pue| pue.origin().as_str()),
            pue_year: self.pue.and_then(Pue::year),
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { place, grid, pue } = self;
        writeln!(f, "{place} ({})", place.code())?;
        let year = grid.year.map_or_else(String::new, |year| format!(" in {year}"));
        writeln!(f, "  intensity  {} ({} to {}){year}", grid.intensity, grid.low, grid.high)?;
        writeln!(f, "  counts     {}", counted(grid.basis))?;
        writeln!(f, "  grid       {}", place.grid())?;
        writeln!(f, "  source     {}", grid.source)?;
        let Some(pue) = pue else { return Ok(()) };
        let (low, high) = pue.bounds();
        let year = pue.year().map_or_else(String::new, |year| format!(" in {year}"));
        let origin = pue.origin().as_str();
        writeln!(f, "  PUE        {:.2} ({low:.2} to {high:.2}) of the {origin}{year}", pue.factor())
    }
}

fn counted(basis: Basis) -> &'static str {
    match basis {
        Basis::LifecycleGeneration => "the life cycle of what is generated, without imports",
        Basis::LifecycleConsumption => "the life cycle of what is used, with imports",
        Basis::DirectGeneration => "the stack only, of what is generated",
        Basis::DirectConsumption => "the stack only, of what is used, with imports",
        _ => "the source does not say",
    }
}
