//! How a run's record begins: which run it is of, and what is known before the boards are.

use std::path::Path;

use serde::{Deserialize, Serialize};
use sootprint_core::{Answer, Origin, Pue, PueOrigin, Series};
use sootprint_power::HostShareId;

use super::{Asked, Book, Identity, Phases, State};
use crate::footprint::Fold;
use crate::launch::host;
use crate::ledger::{Begun, Entry, LedgerError, Opened, SCHEMA, Task, begin, begin_beside, resume};
use crate::settings::Settings;

impl Book {
    /// Begins the record of a run in `dir`; without a ledger when there can be none, and why.
    pub(in crate::run) fn open(
        dir: &Path,
        identity: Identity,
        settings: Settings,
        asked: Asked,
    ) -> (Self, Option<LedgerError>) {
        let now = jiff::Timestamp::now();
        let launch = &settings.launch;
        let first = first_line(identity, &settings, now);
        let found = if asked.resumes { resume(dir, launch, &first) } else { Ok(None) };
        let is_new = matches!(found, Ok(None));
        let begun = found.and_then(|found| found.map_or_else(|| begin(dir, now, launch, &first), Ok));
        let (mut begun, problem) = match begun {
            Ok(begun) => (Some(begun), None),
            // The run is recorded all the same, but for who asked for an error.
            Err(error @ LedgerError::Busy { .. }) if !asked.is_strict => {
                (begin_beside(dir, now, launch, &first).ok(), Some(error))
            }
            Err(error) => (None, Some(error)),
        };
        if settings.is_virtual() {
            begun.iter_mut().for_each(|begun| begun.ledger.be_patient());
        }
        let mut book = Self::new(begun, first, settings);
        if asked.resumes && is_new && problem.is_none() {
            book.remarks.push("there was no unfinished run to resume: this is a new one".to_owned());
        }
        (book, problem)
    }

    /// The record of a run that is switched off: nothing is in it.
    pub(in crate::run) fn off(identity: Identity, settings: Settings) -> Self {
        let first = first_line(identity, &settings, jiff::Timestamp::now());
        let mut book = Self::new(None, Opened { run: "off".to_owned(), ..first }, settings);
        book.begin(Vec::new(), vec!["SOOTPRINT=off: nothing was measured".to_owned()], 0.0);
        book
    }

    /// No record: another process's has it all.
    pub(in crate::run) fn blank(run: &str, identity: Identity, settings: Settings) -> Self {
        let first = first_line(identity, &settings, jiff::Timestamp::now());
        Self::new(None, Opened { run: run.to_owned(), ..first }, settings)
    }

    /// The sum of a training inside the run of this book, without a record of its own. What the training does not say of
    /// its electricity is what the run says.
    #[cfg(unix)]
    pub(in crate::run) fn beside(&self, run: String, inside: &Inside) -> Self {
        let outer = self.fold.opened();
        let opened = Opened {
            run,
            training_type: inside.training.training_type,
            base_model: inside.training.base_model.clone(),
            started: jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            grid: inside.grid.clone().unwrap_or_else(|| outer.grid.clone()),
            pue: inside.pue.unwrap_or(outer.pue),
            task: Task { rank: 0, ranks: 1, attempt: 1, ..outer.task.clone() },
            ..outer.clone()
        };
        let mut fold = Fold::new(Box::new(opened));
        if let Some(power) = self.fold.rest() {
            fold.apply(Entry::Rested { power: power.to_vec() });
        }
        let series = if inside.grid.is_some() { inside.series.clone() } else { self.series.clone() };
        Self { is_virtual: self.is_virtual, year: self.year, ..Self::of(None, fold, series) }
    }

    /// What another's run has learnt of its place is this training's place, unless it says that itself.
    #[cfg(unix)]
    pub(in crate::run) fn follow(&mut self, outer: &Self, inside: &Inside) {
        let (own, outer) = (self.fold.opened(), outer.fold.opened());
        let grid = if inside.grid.is_some() { own.grid.clone() } else { outer.grid.clone() };
        let pue = if inside.pue.is_some() { own.pue } else { outer.pue };
        if (&grid, pue) != (&own.grid, own.pue) {
            self.record(Entry::Located { grid: Box::new(grid), pue });
        }
    }

    fn new(ledger: Option<Begun>, first: Opened, settings: Settings) -> Self {
        let mut fold = Fold::new(Box::new(first));
        if let Some(Begun { name, .. }) = &ledger {
            fold.apply(Entry::Resumed { run: name.run.clone(), attempt: name.attempt });
        }
        let (is_virtual, year) = (settings.is_virtual(), settings.year);
        Self { is_virtual, year, ..Self::of(ledger, fold, settings.series) }
    }

    fn of(ledger: Option<Begun>, fold: Fold, series: Option<Series>) -> Self {
        Self {
            ledger,
            fold,
            epoch: None,
            phases: Phases::default(),
            written: None,
            line: (0.0, Vec::new(), 0),
            beaten: None,
            newest: None,
            is_ending: false,
            outcome: None,
            state: State::New,
            is_virtual: false,
            series,
            year: 0,
            remarks: Vec::new(),
        }
    }
}

/// What a training says of itself to the run that measures it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(in crate::run) struct Inside {
    pub(in crate::run) training: Identity,
    /// What its own program says of the electricity; all else the run knows as well.
    pub(in crate::run) grid: Option<Answer>,
    pub(in crate::run) series: Option<Series>,
    pub(in crate::run) pue: Option<Pue>,
    /// What it asked for and does not get.
    pub(in crate::run) gaps: Vec<String>,
}

impl Inside {
    pub(in crate::run) fn of(training: Identity, settings: &Settings, gaps: Vec<String>) -> Self {
        let series = settings.series.clone().filter(Series::is_argument);
        let says_grid = series.is_some() || settings.grid.origin == Origin::Argument;
        let pue = Some(settings.pue).filter(|pue| pue.origin() == PueOrigin::Argument);
        Self { training, grid: says_grid.then(|| settings.grid.clone()), series, pue, gaps }
    }
}

/// What is known before the boards are. The run and the attempt are the ledger's to say.
fn first_line(identity: Identity, settings: &Settings, now: jiff::Timestamp) -> Opened {
    let launch = &settings.launch;
    // A script's processor is everybody's.
    let is_measured = settings.replay.is_none() && !settings.is_off;
    let given = is_measured.then(HostShareId::of_this_process).flatten();
    Opened {
        schema: SCHEMA.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        run: format!("unrecorded-{}", now.as_millisecond()),
        training_type: identity.training_type,
        base_model: identity.base_model,
        started: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        grid: settings.grid.clone(),
        pue: settings.pue,
        components: Vec::new(),
        gaps: Vec::new(),
        task: Task {
            rank: launch.rank,
            ranks: launch.ranks,
            attempt: 1,
            launch: launch.is_known().then(|| launch.id()),
            host: host(&launch.job),
            booted: None,
            processors: given.as_ref().map(|given| given.processors.clone()),
            memory: given.map(|given| given.memory),
        },
    }
}
