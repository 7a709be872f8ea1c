//! The doctor's report as text.

use std::fmt::{self, Write as _};

use sootprint::{ComponentKind, CrossCheck, LocationSource, MeasurementMethod};

use super::{DoctorComponent, DoctorGpu, DoctorReport, DoctorSource, DoctorSourceState};
use crate::wrap::wrap_titled;

/// The accuracy that NVIDIA documents for the sensor: two readings of it should not differ by more.
const SENSOR_TOLERANCE: f64 = 0.05;

/// The column where the text starts.
const TEXT_COLUMN: usize = 13;

impl fmt::Display for DoctorReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sources")?;
        self.sources.iter().try_for_each(|source| f.write_str(&render_source(source)))?;
        if !self.gpus.is_empty() {
            writeln!(f, "GPUs")?;
        }
        for (index, gpu) in self.gpus.iter().enumerate() {
            f.write_str(&render_gpu(index, gpu))?;
        }
        writeln!(f, "Power, mean over {:.1} s", self.measured_s)?;
        if self.components.is_empty() {
            writeln!(f, "  no component can be measured")?;
        }
        for component in &self.components {
            f.write_str(&render_component(component, &self.gpus))?;
        }
        if let Some(checks) = &self.checks {
            f.write_str(&render_checks(checks))?;
        }
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
            LocationSource::Environment => "set in the environment",
            LocationSource::CloudMetadata => "cloud metadata",
            LocationSource::TimeZone => "guessed from the time zone",
            LocationSource::Unknown => "location unknown; set SOOTPRINT_PLACE",
            _ => "set in a sootprint.toml",
        };
        let mut intensity = format!("{} ({} to {})", grid.intensity, grid.low, grid.high);
        if let Some(year) = grid.year {
            // Writing to a String cannot fail.
            let _ = write!(intensity, " in {year}");
        }
        let lines = [
            ("place", grid.place.as_deref().unwrap_or("unknown").to_owned()),
            ("intensity", format!("{intensity}; {}", grid.source)),
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
        DoctorSourceState::Partial => "partial",
        DoctorSourceState::Faulty => "faulty",
        DoctorSourceState::Absent => "unavailable",
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
        Some(tick) => format!("{limit}energy counter ticks every {:.0} ms", tick * 1e3),
        None => format!("{limit}no update of an energy counter was observed"),
    };
    let facts = [gpu.uuid.as_str(), &address, &counter].map(|fact| wrap_titled("", TEXT_COLUMN, fact));
    wrap_titled(&format!("  {index}"), TEXT_COLUMN, &gpu.name) + &facts.concat()
}

fn render_component(component: &DoctorComponent, gpus: &[DoctorGpu]) -> String {
    let kind = component.kind.name();
    let power = component.mean_w.map_or_else(|| "no reading".to_owned(), |power| power.to_string());
    let method = component.method.map_or("not measured", MeasurementMethod::as_str);
    let mut line = format!("  {kind:<11}{power:<12}{method:<14}{}", component.name);
    // GPUs of one machine often share a name.
    if component.kind == ComponentKind::Gpu
        && let Some(index) = gpus.iter().position(|gpu| gpu.uuid == component.id)
    {
        line += &format!(" (GPU {index})");
    }
    let note = component.note.iter().map(|note| wrap_titled("", TEXT_COLUMN, note));
    line + "\n" + &note.collect::<String>()
}

fn render_checks(checks: &[CrossCheck]) -> String {
    let mut text = "Energy counters compared with power readings\n".to_owned();
    if checks.is_empty() {
        text += "  no GPU with power readings has a ticking energy counter\n";
    }
    for check in checks {
        let verdict = match check.relative_difference() {
            Some(difference) if difference.abs() <= SENSOR_TOLERANCE => "agree",
            Some(_) => "MISMATCH: update the driver or check the GPU",
            None => "no power reading",
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
