//! `sootprint doctor`: what a run on this machine would be measured and computed with.

mod words;

use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use serde::Serialize;
use sootprint::{
    Answer, CrossCheck, Footprint, Kind, Method, Power, Run, SourceReport, cross_check, sources,
};
use sootprint_hub::token_origin;
use sootprint_live::CloudMetadata;

use crate::arguments::DoctorArguments;
use crate::terminal::{json, print, print_titled};

/// Two readings of an energy counter, which are a second apart, and some room.
const READING: Duration = Duration::from_secs(2);

/// Prints what can be measured, what not, and what mends it.
pub(crate) fn doctor(arguments: &DoctorArguments) -> anyhow::Result<()> {
    let examination = Examination::make(arguments.check.map(Duration::from_secs))?;
    if arguments.json {
        print(&json(&examination)?)?;
    } else {
        print_titled(&examination.to_string())?;
    }
    Ok(())
}

/// What was found.
#[derive(Debug, Serialize)]
struct Examination {
    sources: Vec<Source>,
    boards: Vec<BoardFound>,
    /// How long the components were read.
    measured_s: f64,
    components: Vec<Component>,
    /// Counters beside power readings, when that was asked for.
    checks: Option<Vec<CrossCheck>>,
    grid: Answer,
    pue: f64,
    pue_origin: String,
    /// Where a publication would find its token, and never the token.
    token: Token,
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
struct BoardFound {
    name: String,
    uuid: String,
    pci: String,
    /// Its number for CUDA, after `CUDA_VISIBLE_DEVICES`.
    cuda: Option<usize>,
    rocm: Option<usize>,
    limit_w: Option<Power>,
    /// The usual time between two ticks of its energy counter; none when none was seen.
    tick_s: Option<f64>,
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

#[derive(Debug, Serialize)]
struct Token {
    /// A variable's name, or a file in words.
    origin: Option<&'static str>,
    /// Why there is none, and what mends it.
    problem: Option<String>,
}

impl Examination {
    /// Looks at the machine and measures it, as any run would. Meanwhile the counters are watched.
    fn make(check: Option<Duration>) -> anyhow::Result<Self> {
        let reports = sources();
        let (footprint, checks) = short_run(check.unwrap_or(READING))?;
        let boards = reports.iter().flat_map(|report| BoardFound::all(report, &checks)).collect();
        let sources: Vec<Source> = reports.into_iter().map(Source::from).collect();
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
            boards,
            checks: check.map(|_| checks),
            measured_s: footprint.run.duration_s,
            grid: footprint.grid,
            pue: footprint.energy.pue,
            pue_origin: footprint.energy.pue_origin,
            token: Token::find(),
            notes,
            sources,
        })
    }
}

/// A short run, and the counters' ticks in it.
fn short_run(check: Duration) -> anyhow::Result<(Footprint, Vec<CrossCheck>)> {
    let dir =
        tempfile::tempdir().context("no temporary folder can be made; set TMPDIR to one that is writable")?;
    let run = Run::unlabelled(dir.path()).metadata(Arc::new(CloudMetadata::new())).start();
    let began = Instant::now();
    let checks = cross_check(check);
    // Without a counter that ticks there was nothing to watch.
    thread::sleep(READING.saturating_sub(began.elapsed()));
    Ok((run.finish(), checks))
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

impl BoardFound {
    fn all(report: &SourceReport, checks: &[CrossCheck]) -> Vec<Self> {
        let found = |(board, limit): &(sootprint::Board, Option<Power>)| {
            let check = checks.iter().find(|check| check.id == board.uuid);
            Self {
                name: board.model.clone(),
                uuid: board.uuid.clone(),
                pci: board.pci.clone(),
                cuda: board.cuda,
                rocm: board.rocm,
                limit_w: *limit,
                tick_s: check.map(|check| check.tick.as_secs_f64()),
            }
        };
        report.boards.iter().map(found).collect()
    }
}

impl Token {
    fn find() -> Self {
        match token_origin() {
            Ok(origin) => Self { origin: Some(origin), problem: None },
            Err(error) => Self { origin: None, problem: Some(error.to_string()) },
        }
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
