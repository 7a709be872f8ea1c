//! `sootprint grid`: what a place's electricity emits, and who says so.

use serde::Serialize;
use sootprint::{EmissionScope, GridIntensity, LocationSource, Place, Pue};

use crate::args::{GridArgs, current_year};
use crate::terminal::{self, print, print_titled};
use crate::wrap::wrap_titled;

/// Prints the figure that a run at the place would get.
pub(crate) fn print_grid(arguments: &GridArgs) -> anyhow::Result<()> {
    let GridArgs { place, year, json } = *arguments;
    let year = year.unwrap_or_else(current_year);
    let report =
        GridReport { place, grid: place.intensity(LocationSource::Argument, year), pue: place.pue(year) };
    if json {
        print(&terminal::to_pretty_json(&report.to_json())?)?;
    } else {
        print_titled(&report.render())?;
    }
    Ok(())
}

/// What the tables know of a place.
struct GridReport {
    place: Place,
    grid: GridIntensity,
    /// None where nobody publishes it.
    pue: Option<Pue>,
}

/// The `grid` of a footprint, and the PUE of a cloud's region as a footprint's `energy` has it.
#[derive(Serialize)]
struct GridJson<'a> {
    #[serde(flatten)]
    grid: &'a GridIntensity,
    pue: Option<f64>,
    pue_origin: Option<&'static str>,
    pue_year: Option<u16>,
}

impl GridReport {
    fn to_json(&self) -> GridJson<'_> {
        GridJson {
            grid: &self.grid,
            pue: self.pue.map(Pue::factor),
            pue_origin: self.pue.map(|pue| pue.origin().as_str()),
            pue_year: self.pue.and_then(Pue::year),
        }
    }
}

impl GridReport {
    fn render(&self) -> String {
        let Self { place, grid, pue } = self;
        let in_year = |year: Option<u16>| year.map_or_else(String::new, |year| format!(" in {year}"));
        let mut lines = vec![
            (
                "intensity",
                format!("{} ({} to {}){}", grid.intensity, grid.low, grid.high, in_year(grid.year)),
            ),
            ("counts", describe_scope(grid.basis).to_owned()),
            ("grid", place.grid_code().to_string()),
            ("source", grid.source.clone()),
        ];
        if let Some(pue) = pue {
            let ((low, high), origin) = (pue.bounds(), pue.origin().as_str());
            let year = in_year(pue.year());
            lines.push(("PUE", format!("{:.2} ({low:.2} to {high:.2}) of the {origin}{year}", pue.factor())));
        }
        let lines = lines.iter().map(|(title, text)| wrap_titled(&format!("  {title}"), 13, text));
        format!("{place} ({})\n{}", place.code(), lines.collect::<String>())
    }
}

fn describe_scope(scope: EmissionScope) -> &'static str {
    match scope {
        EmissionScope::LifecycleGeneration => "the life cycle of what is generated, without imports",
        EmissionScope::LifecycleConsumption => "the life cycle of what is used, with imports",
        EmissionScope::DirectGeneration => "the stack only, of what is generated",
        EmissionScope::DirectConsumption => "the stack only, of what is used, with imports",
        _ => "the source does not say",
    }
}
