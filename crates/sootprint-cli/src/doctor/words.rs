//! What the doctor found, for people.

use std::fmt::{self, Write as _};

use sootprint::{CrossCheck, Kind, Method, Origin};

use super::{BoardFound, Component, Examination, Source, State};
use crate::layout::paragraph;

/// As NVIDIA documents it: two views of one sensor should not lie further apart than the sensor from the truth.
const SENSOR_ERROR: f64 = 0.05;

/// Where the texts begin.
const COLUMN: usize = 13;

impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sources")?;
        self.sources.iter().try_for_each(|source| f.write_str(&source_in_words(source)))?;
        if !self.boards.is_empty() {
            writeln!(f, "Boards")?;
        }
        for (index, board) in self.boards.iter().enumerate() {
            f.write_str(&board_in_words(index, board))?;
        }
        writeln!(f, "Power, a mean over {:.1} s", self.measured_s)?;
        if self.components.is_empty() {
            writeln!(f, "  nothing can be measured")?;
        }
        for component in &self.components {
            f.write_str(&component_in_words(component, &self.boards))?;
        }
        self.checks.iter().try_for_each(|checks| f.write_str(&checks_in_words(checks)))?;
        writeln!(f, "Accounting")?;
        f.write_str(&self.accounting())?;
        writeln!(f, "Hub")?;
        f.write_str(&self.hub())?;
        if !self.notes.is_empty() {
            writeln!(f, "Notes")?;
        }
        self.notes.iter().try_for_each(|note| f.write_str(&paragraph("", 2, note)))
    }
}

impl Examination {
    fn accounting(&self) -> String {
        let grid = &self.grid;
        let origin = match grid.origin {
            Origin::Environment => "place or intensity from the environment",
            Origin::CloudMetadata => "the cloud that the machine is in",
            Origin::TimeZone => "a guess from the machine's time zone",
            Origin::Unknown => "nobody said where the machine is; set SOOTPRINT_PLACE",
            _ => "place or intensity from the settings",
        };
        let mut figure = format!("{} ({} to {})", grid.intensity, grid.low, grid.high);
        if let Some(year) = grid.year {
            // Writing to a String does not fail.
            let _ = write!(figure, " in {year}");
        }
        let lines = [
            ("place", grid.place.as_deref().unwrap_or("unknown").to_owned()),
            ("intensity", format!("{figure}; {}", grid.source)),
            ("origin", origin.to_owned()),
            ("PUE", format!("{:.2} ({})", self.pue, self.pue_origin)),
        ];
        lines.iter().map(|(title, text)| paragraph(&format!("  {title}"), COLUMN, text)).collect()
    }

    fn hub(&self) -> String {
        let said = match (self.token.origin, &self.token.problem) {
            (Some(origin), _) => format!("found in {origin}"),
            (None, Some(problem)) => problem.clone(),
            (None, None) => "none".to_owned(),
        };
        paragraph("  token", COLUMN, &said)
    }
}

fn source_in_words(source: &Source) -> String {
    let state = match source.state {
        State::Ready => "ready",
        State::Partial => "reads a part",
        State::Absent => "reads nothing",
    };
    let problems = source.problems.iter().map(|problem| paragraph("", COLUMN, problem));
    paragraph(&format!("  {}", source.name), COLUMN, state) + &problems.collect::<String>()
}

fn board_in_words(index: usize, board: &BoardFound) -> String {
    let numbers = [("CUDA", board.cuda), ("ROCm", board.rocm)];
    let numbers = numbers.iter().filter_map(|(runtime, number)| Some(format!(", {runtime} {}", (*number)?)));
    let address = format!("PCI {}{}", board.pci, numbers.collect::<String>());
    let limit = board.limit_w.map_or_else(String::new, |limit| format!("limit {limit}, "));
    let counter = match board.tick_s {
        Some(tick) => format!("{limit}counter ticks every {:.0} ms", tick * 1e3),
        None => format!("{limit}no counter was seen to tick"),
    };
    let facts = [board.uuid.as_str(), &address, &counter].map(|fact| paragraph("", COLUMN, fact));
    paragraph(&format!("  {index}"), COLUMN, &board.name) + &facts.concat()
}

fn component_in_words(component: &Component, boards: &[BoardFound]) -> String {
    let kind = component.kind.name();
    let power = component.mean_w.map_or_else(|| "no reading".to_owned(), |power| power.to_string());
    let method = component.method.map_or("not measured", Method::as_str);
    let mut line = format!("  {kind:<11}{power:<12}{method:<14}{}", component.name);
    // Boards of one machine often share a name.
    if component.kind == Kind::Gpu
        && let Some(index) = boards.iter().position(|board| board.uuid == component.id)
    {
        line += &format!(" (board {index})");
    }
    let note = component.note.iter().map(|note| paragraph("", COLUMN, note));
    line + "\n" + &note.collect::<String>()
}

fn checks_in_words(checks: &[CrossCheck]) -> String {
    let mut text = "Energy counters beside power readings\n".to_owned();
    if checks.is_empty() {
        text += "  no counter ticked on a board that tells its power\n";
    }
    for check in checks {
        let verdict = match check.difference() {
            Some(difference) if difference.abs() <= SENSOR_ERROR => "agree",
            Some(_) => "DIFFER: trust neither before the driver is updated or the board looked at",
            None => "no power was told",
        };
        text += &format!("  {} ({})\n", check.name, check.id);
        let figures = format!(
            "counter {}, readings {} ({:+.1} %) in {:.1} s, a tick every {:.0} ms",
            check.counter,
            check.integrated,
            check.difference().unwrap_or_default() * 100.0,
            check.time.as_secs_f64(),
            check.tick.as_secs_f64() * 1e3
        );
        text += &paragraph("", 4, &figures);
        text += &paragraph("", 4, verdict);
    }
    text
}
