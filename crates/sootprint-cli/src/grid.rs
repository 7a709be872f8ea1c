//! `sootprint grid`: the carbon intensity of a place's electricity, with its source.

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Serialize;
use sootprint::{GridIntensity, LocationSource, Place, Pue, Wue};

use crate::args::GridArgs;
use crate::terminal::{print, print_titled, to_pretty_json};
use crate::wrap::wrap_titled;

/// Prints the carbon intensity that a run at the place would use.
pub(crate) fn print_grid(arguments: &GridArgs) -> anyhow::Result<()> {
    let GridArgs { place, year, json } = *arguments;
    let year = year.unwrap_or_else(current_year);
    let grid = place.intensity(LocationSource::Argument, year);
    let variability_note = grid.variability_note(year);
    let report = GridReport { place, grid, pue: place.pue(year), wue: place.wue(year), variability_note };
    if json {
        print(&to_pretty_json(&report.to_json())?)?;
    } else {
        print_titled(&report.render())?;
    }
    Ok(())
}

/// The embedded tables' figures for a place.
struct GridReport {
    place: Place,
    grid: GridIntensity,
    /// `None` if the place is no cloud region with a published PUE.
    pue: Option<Pue>,
    /// `None` if the place is no cloud region with a published WUE.
    wue: Option<Wue>,
    variability_note: Option<String>,
}

/// The `grid` object of a footprint, and the PUE keys of its `energy` object.
#[derive(Serialize)]
struct GridJson<'a> {
    #[serde(flatten)]
    grid: &'a GridIntensity,
    pue: Option<f64>,
    pue_origin: Option<&'static str>,
    pue_year: Option<u16>,
    wue_l_per_kwh: Option<f64>,
    wue_counts: Option<&'static str>,
    wue_year: Option<u16>,
    /// Why the bounds may not hold.
    note: Option<&'a str>,
}

impl GridReport {
    fn to_json(&self) -> GridJson<'_> {
        GridJson {
            grid: &self.grid,
            pue: self.pue.map(Pue::factor),
            pue_origin: self.pue.map(|pue| pue.origin().as_str()),
            pue_year: self.pue.and_then(Pue::year),
            wue_l_per_kwh: self.wue.map(Wue::litres_per_kilowatt_hour),
            wue_counts: self.wue.map(|wue| wue.counts().as_str()),
            wue_year: self.wue.map(Wue::year),
            note: self.variability_note.as_deref(),
        }
    }

    fn render(&self) -> String {
        let Self { place, grid, pue, wue, variability_note } = self;
        let in_year = |year: Option<u16>| year.map_or_else(String::new, |year| format!(" in {year}"));
        let mut lines = vec![
            (
                "intensity",
                format!("{} ({} to {}){}", grid.intensity, grid.low, grid.high, in_year(grid.year)),
            ),
            ("counts", grid.basis.description().unwrap_or("not stated by the source").to_owned()),
            ("grid", place.grid_code().to_string()),
            ("source", grid.source.clone()),
        ];
        if let Some(pue) = pue {
            let ((low, high), origin) = (pue.bounds(), pue.origin().as_str());
            let year = in_year(pue.year());
            lines.push(("PUE", format!("{:.2} ({low:.2} to {high:.2}) of the {origin}{year}", pue.factor())));
        }
        if let Some(wue) = wue {
            let of = if wue.is_regional() { "region" } else { "provider" };
            let litres = wue.litres_per_kilowatt_hour();
            let (year, counts) = (wue.year(), wue.counts().as_str());
            lines.push(("WUE", format!("{litres:.2} L/kWh of the {of} in {year} ({counts})")));
        }
        lines.extend(variability_note.iter().map(|note| ("note", note.clone())));
        let lines = lines.iter().map(|(title, text)| wrap_titled(&format!("  {title}"), 13, text));
        format!("{place} ({})\n{}", place.code(), lines.collect::<String>())
    }
}

fn current_year() -> u16 {
    // The calendar of jiff ends with the year 9999.
    u16::try_from(Timestamp::now().to_zoned(TimeZone::UTC).year()).unwrap_or_default()
}
