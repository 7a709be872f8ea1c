//! How a run's record begins: which run it is of, and what is known before the boards are.

use std::path::Path;

use super::{Asked, Book, Identity, Phases, State};
use crate::allocation;
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

    fn new(ledger: Option<Begun>, first: Opened, settings: Settings) -> Self {
        let mut fold = Fold::new(Box::new(first));
        if let Some(Begun { name, .. }) = &ledger {
            fold.apply(Entry::Resumed { run: name.run.clone(), attempt: name.attempt });
        }
        Self {
            ledger,
            fold,
            epoch: None,
            phases: Phases::default(),
            written: None,
            line: (0.0, Vec::new(), 0),
            beaten: None,
            outcome: None,
            state: State::New,
            is_virtual: settings.is_virtual(),
            series: settings.series,
            year: settings.year,
            remarks: Vec::new(),
        }
    }
}

/// What is known before the boards are. The run and the attempt are the ledger's to say.
fn first_line(identity: Identity, settings: &Settings, now: jiff::Timestamp) -> Opened {
    let launch = &settings.launch;
    // A script's processor is everybody's.
    let is_measured = settings.replay.is_none() && !settings.is_off;
    let given = is_measured.then(allocation::Identity::of_this_process).flatten();
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
