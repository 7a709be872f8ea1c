//! What the doctor found, for people.

use std::fmt::{self, Write as _};

use sootprint::{ComponentKind, CrossCheck, LocationSource, MeasurementMethod};

use super::{DoctorComponent, DoctorGpu, DoctorReport, DoctorSource, DoctorSourceState};
use crate::wrap::wrap_titled;

/// As NVIDIA documents it: two views of one sensor should not lie further apart than the sensor from the truth.
const SENSOR_TOLERANCE: f64 = 0.05;

/// Where the texts begin.
const TEXT_COLUMN: usize = 13;

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sources")?;
        self.sources.iter().try_for_each(|source| f.write_str(&render_source(source)))?;
        if !self.boards.is_empty() {
            writeln!(f, "Boards")?;
        }
        for (index, gpu) in self.boards.iter().enumerate() {
            f.write_str(&render_gpu(index, gpu))?;
        }
        writeln!(f, "Power, a mean over {:.1} s", self.measured_s)?;
        if self.components.is_empty() {
            writeln!(f, "  nothing can be measured")?;
        }
        for component in &self.components {
            f.write_str(&render_component(component, &self.boards))?;
        }
        self.checks.iter().try_for_each(|checks| f.write_str(&render_checks(checks)))?;
        writeln!(f, "Accounting")?;
        f.write_str(&self.render_accounting())?;
        writeln!(f, "Hub")?;
        f.write_str(&self.render_hub())?;
        if !self.notes.is_empty() {
            writeln!(f, "Notes")?;
        }
        self.notes.iter().try_for_each(|note| f.write_str(&wrap_titled("", 2, note)))
    }
}

impl DoctorReport {
    fn render_accounting(&self) -> String {
        let grid = &self.grid;
        let origin = match grid.origin {
            LocationSource::Environment => "place or intensity from the environment",
            LocationSource::CloudMetadata => "the cloud that the machine is in",
            LocationSource::TimeZone => "a guess from the machine's time zone",
            LocationSource::Unknown => "nobody said where the machine is; set SOOTPRINT_PLACE",
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
        lines.iter().map(|(title, text)| wrap_titled(&format!("  {title}"), TEXT_COLUMN, text)).collect()
    }

    fn render_hub(&self) -> String {
        let token = match (self.token.origin, &self.token.problem) {
            (Some(origin), _) => format!("found in {origin}"),
            (None, Some(problem)) => problem.clone(),
            (None, None) => "none".to_owned(),
        };
        wrap_titled("  token", TEXT_COLUMN, &token)
    }
}

fn render_source(source: &DoctorSource) -> String {
    let state = match source.state {
        DoctorSourceState::Ready => "ready",
        DoctorSourceState::Partial => "reads a part",
        DoctorSourceState::Absent => "reads nothing",
    };
    let problems = source.problems.iter().map(|problem| wrap_titled("", TEXT_COLUMN, problem));
    wrap_titled(&format!("  {}", source.name), TEXT_COLUMN, state) + &problems.collect::<String>()
}

fn render_gpu(index: usize, gpu: &DoctorGpu) -> String {
    let numbers = [("CUDA", gpu.cuda), ("ROCm", gpu.rocm)];
    let numbers = numbers.iter().filter_map(|(runtime, number)| Some(format!(", {runtime} {}", (*number)?)));
    let address = format!("PCI {}{}", gpu.pci, numbers.collect::<String>());
    let limit = gpu.limit_w.map_or_else(String::new, |limit| format!("limit {limit}, "));
    let counter = match gpu.tick_s {
        Some(tick) => format!("{limit}counter ticks every {:.0} ms", tick * 1e3),
        None => format!("{limit}no counter was seen to tick"),
    };
    let facts = [gpu.uuid.as_str(), &address, &counter].map(|fact| wrap_titled("", TEXT_COLUMN, fact));
    wrap_titled(&format!("  {index}"), TEXT_COLUMN, &gpu.name) + &facts.concat()
}

fn render_component(component: &DoctorComponent, gpus: &[DoctorGpu]) -> String {
    let kind = component.kind.name();
    let power = component.mean_w.map_or_else(|| "no reading".to_owned(), |power| power.to_string());
    let method = component.method.map_or("not measured", MeasurementMethod::as_str);
    let mut line = format!("  {kind:<11}{power:<12}{method:<14}{}", component.name);
    // Boards of one machine often share a name.
    if component.kind == ComponentKind::Gpu
        && let Some(index) = gpus.iter().position(|gpu| gpu.uuid == component.id)
    {
        line += &format!(" (board {index})");
    }
    let note = component.note.iter().map(|note| wrap_titled("", TEXT_COLUMN, note));
    line + "\n" + &note.collect::<String>()
}

fn render_checks(checks: &[CrossCheck]) -> String {
    let mut text = "Energy counters beside power readings\n".to_owned();
    if checks.is_empty() {
        text += "  no counter ticked on a board that tells its power\n";
    }
    for check in checks {
        let verdict = match check.relative_difference() {
            Some(difference) if difference.abs() <= SENSOR_TOLERANCE => "agree",
            Some(_) => "DIFFER: trust neither before the driver is updated or the board looked at",
            None => "no power was told",
        };
        text += &format!("  {} ({})\n", check.name, check.id);
        let figures = format!(
            "counter {}, readings {} ({:+.1} %) in {:.1} s, a tick every {:.0} ms",
            check.counter,
            check.integrated,
            check.relative_difference().unwrap_or_default() * 100.0,
            check.time.as_secs_f64(),
            check.tick.as_secs_f64() * 1e3
        );
        text += &wrap_titled("", 4, &figures);
        text += &wrap_titled("", 4, verdict);
    }
    text
}
