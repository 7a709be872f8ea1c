//! `sootprint grid`: what a place's electricity emits, and who says so.

use serde::Serialize;
use sootprint::{Answer, Basis, Origin, Place, Pue};

use crate::arguments::{GridArguments, this_year};
use crate::layout::paragraph;
use crate::terminal::{self, print, print_titled};

/// Prints the figure that a run at the place would get.
pub(crate) fn grid(arguments: &GridArguments) -> anyhow::Result<()> {
    let GridArguments { place, year, json } = *arguments;
    let year = year.unwrap_or_else(this_year);
    let known = Known { place, grid: place.intensity(Origin::Argument, year), pue: place.pue(year) };
    if json {
        print(&terminal::json(&known.as_json())?)?;
    } else {
        print_titled(&known.in_words())?;
    }
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

impl Known {
    fn in_words(&self) -> String {
        let Self { place, grid, pue } = self;
        let in_year = |year: Option<u16>| year.map_or_else(String::new, |year| format!(" in {year}"));
        let mut lines = vec![
            (
                "intensity",
                format!("{} ({} to {}){}", grid.intensity, grid.low, grid.high, in_year(grid.year)),
            ),
            ("counts", counted(grid.basis).to_owned()),
            ("grid", place.grid().to_string()),
            ("source", grid.source.clone()),
        ];
        if let Some(pue) = pue {
            let ((low, high), origin) = (pue.bounds(), pue.origin().as_str());
            let year = in_year(pue.year());
            lines.push(("PUE", format!("{:.2} ({low:.2} to {high:.2}) of the {origin}{year}", pue.factor())));
        }
        let lines = lines.iter().map(|(title, text)| paragraph(&format!("  {title}"), 13, text));
        format!("{place} ({})\n{}", place.code(), lines.collect::<String>())
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
