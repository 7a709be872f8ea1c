//! `sootprint doctor`: what a run on this machine would be measured and computed with.

use std::fmt::{self, Write as _};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use serde::Serialize;
use sootprint::{
    Answer, CrossCheck, Footprint, Kind, Method, Origin, Power, Run, SourceReport, cross_check, sources,
};
use sootprint_live::CloudMetadata;

use crate::arguments::DoctorArguments;
use crate::terminal::print;

/// Two readings of an energy counter, which are a second apart, and some room.
const READING: Duration = Duration::from_secs(2);

/// As NVIDIA documents it: two views of one sensor should not lie further apart than the sensor from the truth.
const SENSOR_ERROR: f64 = 0.05;

/// Prints what can be measured, what not, and what mends it.
pub(crate) fn doctor(arguments: &DoctorArguments) -> anyhow::Result<()> {
    let mut examination = Examination::make()?;
    examination.checks = arguments.check.map(|seconds| cross_check(Duration::from_secs(seconds)));
    print(&if arguments.json {
        serde_json::to_string_pretty(&examination)? + "\n"
    } else {
        examination.to_string()
    })?;
    Ok(())
}

/// What was found.
#[derive(Debug, Serialize)]
struct Examination {
    sources: Vec<Source>,
    /// How long the components were read.
    measured_s: f64,
    components: Vec<Component>,
    /// Counters beside power readings, when that was asked for.
    checks: Option<Vec<CrossCheck>>,
    grid: Answer,
    pue: f64,
    pue_origin: String,
    /// What is wrong besides.
    notes: Vec<String>,
}

#[derive(Debug, Serialize)]
struct Source {
    name: &'static str,
    state: State,
    /// What it cannot read, why, and what mends it.
    problems: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum State {
    /// It reads all that it knows of.
    Ready,
    /// It reads some of it.
    Partial,
    /// It reads nothing.
    Absent,
}

#[derive(Debug, Serialize)]
struct Component {
    kind: Kind,
    id: String,
    name: String,
    method: Option<Method>,
    /// The mean over the reading; none when it could not be read.
    mean_w: Option<Power>,
    note: Option<String>,
}

impl Examination {
    /// Looks at the machine and measures it for two seconds, as any run would.
    fn make() -> anyhow::Result<Self> {
        let sources: Vec<Source> = sources().into_iter().map(Source::from).collect();
        let footprint = short_run()?;
        let known = |note: &String| sources.iter().any(|source| source.problems.contains(note));
        let notes = footprint.notes.into_iter().filter(|note| !known(note)).collect();
        let components = footprint.components.into_iter().map(|component| Component {
            kind: component.kind,
            id: component.id,
            name: component.name,
            method: component.method,
            mean_w: component.mean,
            note: component.note,
        });
        Ok(Self {
            components: components.collect(),
            checks: None,
            measured_s: footprint.run.duration_s,
            grid: footprint.grid,
            pue: footprint.energy.pue,
            pue_origin: footprint.energy.pue_origin,
            notes,
            sources,
        })
    }
}

fn short_run() -> anyhow::Result<Footprint> {
    let dir =
        tempfile::tempdir().context("no temporary folder can be made; set TMPDIR to one that is writable")?;
    let run = Run::unlabelled(dir.path()).metadata(Arc::new(CloudMetadata::new())).start();
    thread::sleep(READING);
    Ok(run.finish())
}

impl From<SourceReport> for Source {
    fn from(report: SourceReport) -> Self {
        let state = match (report.components.is_empty(), report.gaps.is_empty()) {
            (true, _) => State::Absent,
            (false, false) => State::Partial,
            (false, true) => State::Ready,
        };
        Self { name: report.source, state, problems: report.gaps }
    }
}

impl fmt::Display for Examination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "Sources")?;
        for source in &self.sources {
            let state = match source.state {
                State::Ready => "ready",
                State::Partial => "reads a part",
                State::Absent => "reads nothing",
            };
            writeln!(f, "  {:<11}{state}", source.name)?;
            source.problems.iter().try_for_each(|problem| writeln!(f, "  {:<11}{problem}", ""))?;
        }
        writeln!(f, "Power, a mean over {:.1} s", self.measured_s)?;
        if self.components.is_empty() {
            writeln!(f, "  nothing can be measured")?;
        }
        self.components.iter().try_for_each(|component| component.fmt(f))?;
        self.checks.iter().try_for_each(|checks| fmt_checks(checks, f))?;
        writeln!(f, "Accounting")?;
        self.fmt_accounting(f)?;
        if !self.notes.is_empty() {
            writeln!(f, "Notes")?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "  {note}"))
    }
}

impl Examination {
    fn fmt_accounting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let grid = &self.grid;
        let origin = match grid.origin {
            Origin::Environment => "place or intensity from the environment",
            Origin::CloudMetadata => "the cloud that the machine is in",
            Origin::TimeZone => "a guess from the machine's time zone",
            Origin::Unknown => "nobody said where the machine is",
            _ => "place or intensity from the settings",
        };
        writeln!(f, "  {:<11}{}", "place", grid.place.as_deref().unwrap_or("unknown"))?;
        let mut figure = format!("{} ({} to {})", grid.intensity, grid.low, grid.high);
        if let Some(year) = grid.year {
            write!(figure, " in {year}")?;
        }
        writeln!(f, "  {:<11}{figure}; {}", "intensity", grid.source)?;
        writeln!(f, "  {:<11}{origin}", "origin")?;
        writeln!(f, "  {:<11}{:.2} ({})", "PUE", self.pue, self.pue_origin)
    }
}

fn fmt_checks(checks: &[CrossCheck], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    writeln!(f, "Energy counters beside power readings")?;
    if checks.is_empty() {
        writeln!(f, "  no counter ticked on a board that tells its power")?;
    }
    for check in checks {
        let verdict = match check.difference() {
            Some(difference) if difference.abs() <= SENSOR_ERROR => "agree",
            Some(_) => "DIFFER: trust neither before the driver is updated or the board looked at",
            None => "no power was told",
        };
        writeln!(f, "  {} ({})", check.name, check.id)?;
        writeln!(
            f,
            "    counter {}, readings {} ({:+.1} %) in {:.1} s, a tick every {:.0} ms",
            check.counter,
            check.integrated,
            check.difference().unwrap_or_default() * 100.0,
            check.time.as_secs_f64(),
            check.tick.as_secs_f64() * 1e3
        )?;
        writeln!(f, "    {verdict}")?;
    }
    Ok(())
}

impl fmt::Display for Component {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = match self.kind {
            Kind::Gpu => "GPU",
            Kind::Cpu => "CPU",
            Kind::Memory => "memory",
            _ => "other",
        };
        let power = self.mean_w.map_or_else(|| "no reading".to_owned(), |power| power.to_string());
        let method = self.method.map_or("not measured", Method::as_str);
        write!(f, "  {kind:<11}{power:<12}{method:<12}{}", self.name)?;
        // Boards of one machine often share a name.
        if self.kind == Kind::Gpu {
            write!(f, " ({})", self.id)?;
        }
        writeln!(f)?;
        self.note.iter().try_for_each(|note| writeln!(f, "  {:<11}{note}", ""))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_as_good_as_what_it_reads() {
        let [mut whole, mut part, mut none] = [(); 3].map(|()| sources().swap_remove(0));
        whole.components = vec![("board".to_owned(), Method::Counter)];
        part.components.clone_from(&whole.components);
        whole.gaps.clear();
        part.gaps = vec!["the other board is lost".to_owned()];
        none.components.clear();
        let states = [whole, part, none].map(|report| Source::from(report).state);
        assert_eq!(states, [State::Ready, State::Partial, State::Absent]);
    }
}
