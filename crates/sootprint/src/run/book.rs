//! What a run knows of itself: its ledger and the sum of it. The meter's thread writes here.

mod live;

use std::path::Path;
use std::sync::mpsc;
use std::time::Duration;

use crate::allocation;
use crate::boards::{Board, Claim};
use crate::footprint::{Fold, Footprint};
use crate::grid::Series;
use crate::launch::{host, since_boot};
use crate::ledger::{
    Begun, Damage, Entry, LedgerError, Name, Opened, Outcome, Recovered, SCHEMA, Task, TrainingType, begin,
    begin_beside, resume,
};
use crate::meter::Moment;
use crate::settings::Settings;
use crate::source::Component;
use crate::tally::{Finding, Total};
use crate::units::{Co2e, Energy, Power};

pub(super) use live::Question;

/// At first a line a second, so that a short run has a curve; then one a minute, which keeps a day under 0.5 MB, since
/// but one in thirty has all of the totals. In between the heartbeat is replaced each second.
const FIRST_LINES: Duration = Duration::from_secs(60);
const FIRST_CADENCE: Duration = Duration::from_secs(1);
const CADENCE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_secs(1);
const SLIM_LINES: u32 = 29;

/// Boards are read once a second or more often: up to so many seconds a reading may be outstanding.
const OUTSTANDING: f64 = 2.0;

/// Whose run it is.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) training_type: Option<TrainingType>,
    pub(super) base_model: Option<String>,
}

/// What is asked of the folder.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Asked {
    /// To go on with the newest run.
    pub(super) resumes: bool,
    /// Not to record beside a run that another process records.
    pub(super) is_strict: bool,
}

#[derive(Debug)]
pub(super) struct Book {
    /// None when the folder cannot be written; then the sum is in memory only.
    ledger: Option<Begun>,
    fold: Fold,
    epoch: Option<OpenEpoch>,
    written: Option<Duration>,
    /// The last line's moment and totals, and how many lines since the last that had all of them.
    line: (f64, Vec<Total>, u32),
    beaten: Option<Duration>,
    outcome: Option<Outcome>,
    state: State,
    /// The user's own figures for the hours.
    series: Option<Series>,
    year: u16,
    /// What is to be noted once the record has begun.
    remarks: Vec<String>,
    /// Whether its time is none that another process's could be compared with.
    is_virtual: bool,
}

/// The meter takes its first reading before the first line can be written, and hooks may speak after the last.
#[derive(Debug, Clone, Copy, PartialEq)]
enum State {
    New,
    Begun,
    /// The last reading is taken; the closing lines come.
    Read,
    Closed,
}

#[derive(Debug)]
struct OpenEpoch {
    number: u32,
    start: Duration,
    energy: Vec<Energy>,
}

impl Book {
    /// Begins the record of a run in `dir`; without a ledger when there can be none, and why.
    pub(super) fn open(
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
    pub(super) fn off(identity: Identity, settings: Settings) -> Self {
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

    /// Writes what the run consists of, once the boards are known; it began so many seconds ago.
    pub(super) fn begin(&mut self, components: Vec<Component>, gaps: Vec<String>, ago: f64) {
        self.state = State::Begun;
        let opened = self.fold.opened().clone();
        let booted = since_boot().filter(|_| !self.is_virtual).map(|now| now - ago);
        let task = Task { booted, ..opened.task.clone() };
        self.record(Entry::Opened(Box::new(Opened { components, gaps, task, ..opened })));
        self.begin_series();
        for text in std::mem::take(&mut self.remarks) {
            self.record(Entry::Note { at: 0.0, text });
        }
        self.sync();
    }

    pub(super) fn sampled(&mut self, moment: &Moment<'_>, findings: &[Finding]) {
        if self.state != State::Begun {
            return;
        }
        for finding in findings {
            if let Finding::Used { component, users } = *finding {
                self.record(Entry::Used { at: moment.now.as_secs_f64(), component, users });
                continue;
            }
            self.record(Entry::Note {
                at: moment.now.as_secs_f64(),
                text: describe(finding, moment.components),
            });
        }
        let cadence = if moment.now <= FIRST_LINES { FIRST_CADENCE } else { CADENCE };
        if self.written.is_none_or(|written| moment.now >= written + cadence) {
            self.written = Some(moment.now);
            let line = self.line(moment);
            self.record(line);
        }
        if self.beaten.is_none_or(|beaten| moment.now >= beaten + HEARTBEAT) {
            self.beaten = Some(moment.now);
            self.beat(moment);
        }
    }

    /// The totals so far; of most minutes the energies alone.
    fn line(&mut self, moment: &Moment<'_>) -> Entry {
        let (at, totals) = (moment.now.as_secs_f64(), moment.tally.totals(moment.now));
        let (_, before, slim) = &self.line;
        let is_full = moment.now <= FIRST_LINES || *slim >= SLIM_LINES;
        let energy = if is_full { None } else { energies(before, &totals) };
        self.line = (at, totals.clone(), if energy.is_some() { slim + 1 } else { 0 });
        match energy {
            Some(energy) => Entry::Energy { at, energy },
            None => Entry::Totals { at, totals },
        }
    }

    fn beat(&self, moment: &Moment<'_>) {
        let Some(Begun { ledger, .. }) = &self.ledger else { return };
        let epoch = self.epoch.as_ref().map(|open| {
            let now = moment.tally.energy_at(moment.now).into_iter();
            let energy = now.zip(&open.energy).map(|(now, then)| used(*then, now)).collect();
            crate::ledger::OpenEpoch { epoch: open.number, start: open.start.as_secs_f64(), energy }
        });
        let (at, totals) = (moment.now.as_secs_f64(), moment.tally.totals(moment.now));
        ledger.beat(&Entry::Beat { at, totals, epoch });
    }

    pub(super) fn rested(&mut self, power: Vec<Power>) {
        self.record(Entry::Rested { power });
    }

    pub(super) fn planned(&mut self, epochs: u32) {
        self.record(Entry::Planned { epochs });
    }

    pub(super) fn claimed(&mut self, moment: &Moment<'_>, claims: &[Claim]) {
        let boards: Vec<(usize, &Board)> = moment
            .components
            .iter()
            .enumerate()
            .filter_map(|(position, component)| Some((position, component.board.as_ref()?)))
            .collect();
        let visible: Vec<Board> = boards.iter().map(|(_, board)| (*board).clone()).collect();
        let (mut components, mut unresolved) = (Vec::new(), Vec::new());
        for claim in claims {
            match claim.find(&visible) {
                Some(found) => components.push(boards[found].0),
                None => unresolved.push(claim.name()),
            }
        }
        self.record(Entry::Claimed { at: moment.now.as_secs_f64(), components, unresolved });
    }

    /// An epoch begins; one that is still open ended here without being complete.
    pub(super) fn epoch_started(&mut self, number: u32, moment: &Moment<'_>) {
        if self.state != State::Begun {
            return;
        }
        self.epoch_ended(false, moment);
        let energy = moment.tally.energy_at(moment.now);
        self.epoch = Some(OpenEpoch { number, start: moment.now, energy });
    }

    pub(super) fn epoch_ended(&mut self, completed: bool, moment: &Moment<'_>) {
        let Some(OpenEpoch { number, start, energy }) = self.epoch.take() else { return };
        let now = moment.tally.energy_at(moment.now);
        self.record(Entry::Epoch {
            epoch: number,
            start: start.as_secs_f64(),
            end: moment.now.as_secs_f64(),
            energy: now.into_iter().zip(energy).map(|(now, then)| used(then, now)).collect(),
            completed,
        });
        self.sync();
    }

    pub(super) fn note(&mut self, at: Duration, text: String) {
        self.record(Entry::Note { at: at.as_secs_f64(), text });
    }

    /// What the training itself says of its end; the worst word stands.
    pub(super) fn outcome(&mut self, outcome: Outcome) {
        self.outcome = self.outcome.max(Some(outcome));
    }

    /// Takes the last reading; nothing that hooks say later counts.
    pub(super) fn read_last(&mut self, moment: &Moment<'_>) {
        self.epoch_ended(false, moment);
        self.end(totals(moment));
    }

    /// Ends the measuring of a run that no meter serves, or whose meter hangs: the last totals stand.
    pub(super) fn not_read(&mut self, at: f64) {
        if !self.fold.opened().components.is_empty() {
            let text = "the boards did not answer at the end: the last readings stand".to_owned();
            self.record(Entry::Note { at, text });
        }
        let (_, totals) = self.fold.last();
        self.end(Entry::Totals { at, totals });
    }

    fn end(&mut self, last: Entry) {
        self.record(last);
        if self.state == State::Begun {
            self.state = State::Read;
        }
    }

    /// The training goes on from a checkpoint: this is the next attempt of the folder's newest unfinished run.
    pub(super) fn resumed(&self) {
        if self.state == State::Begun
            && self.fold.opened().task.attempt == 1
            && let Some(Begun { ledger, .. }) = &self.ledger
        {
            ledger.resume();
        }
    }

    /// Writes the last line; the name of the record, where there is one. The disk has so long to take it.
    pub(super) fn close(&mut self, outcome: Option<Outcome>, patience: Duration) -> Option<Name> {
        let outcome =
            outcome.max(self.outcome).unwrap_or(Outcome::Completed).max(self.fold.natural_outcome());
        if self.state == State::Read {
            let (at, totals) = self.fold.last();
            self.append(Entry::Closed { at, outcome, totals });
        }
        self.state = State::Closed;
        let Begun { ledger, name } = self.ledger.take()?;
        let (loss, resumed) = ledger.close(patience);
        if let Some(reason) = loss.reason {
            let lines = match loss.lines {
                0 => "the disk may not keep all of the run's record".to_owned(),
                1 => "1 line of the run's record is not written".to_owned(),
                lines => format!("{lines} lines of the run's record are not written"),
            };
            self.fold.note(format!("{lines}: {reason}"));
        }
        if let Some(Name { run, attempt, .. }) = resumed.clone() {
            self.fold.apply(Entry::Resumed { run, attempt });
        }
        Some(resumed.unwrap_or(name))
    }

    pub(super) fn footprint(&self) -> Footprint {
        self.fold.footprint(Outcome::Running)
    }

    /// The energy of what counts, and its emissions.
    pub(super) fn so_far(&self, moment: &Moment<'_>) -> (Energy, Co2e) {
        let totals = moment.tally.totals(moment.now);
        let each = moment.components.iter().zip(totals).enumerate();
        let energy = each
            .filter(|(position, (component, _))| self.fold.counts(*position, component))
            .map(|(_, (_, total))| total.energy)
            .sum();
        (energy, self.fold.emissions(energy))
    }

    #[cfg(test)]
    pub(super) fn kill(&mut self) {
        let (tell, told) = mpsc::channel();
        self.tell(tell);
        self.ledger = None;
        assert!(told.recv().is_ok());
    }

    /// Says when all so far is written.
    pub(super) fn tell(&self, tell: mpsc::Sender<()>) {
        match &self.ledger {
            Some(Begun { ledger, .. }) => ledger.tell(tell),
            // Who waits may have lost patience.
            None => drop(tell.send(())),
        }
    }

    fn record(&mut self, entry: Entry) {
        if self.state == State::Begun {
            self.append(entry);
        }
    }

    fn append(&mut self, entry: Entry) {
        if let Some(Begun { ledger, .. }) = &self.ledger {
            ledger.append(&entry);
        }
        self.fold.apply(entry);
    }

    fn sync(&self) {
        if let Some(Begun { ledger, .. }) = &self.ledger {
            ledger.sync();
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

/// The energies, to a millijoule, where they say all that is new since the last line: each component was read all of
/// the time since then, or none of it.
fn energies(before: &[Total], now: &[Total]) -> Option<Vec<Option<Energy>>> {
    let energy = |(before, now): (&Total, &Total)| {
        let measured = now.measured - before.measured;
        let unmeasured = now.unmeasured - before.unmeasured;
        let rounded = Energy::from_joules((now.energy.joules() * 1e3).round() / 1e3);
        match () {
            () if before.resets != now.resets => None,
            () if measured <= 0.0 && unmeasured > OUTSTANDING => Some(None),
            () if unmeasured.abs() <= OUTSTANDING => Some(Some(rounded)),
            () => None,
        }
    };
    if before.len() != now.len() {
        return None;
    }
    before.iter().zip(now).map(energy).collect()
}

/// What was used between two edges. Each is found from the readings around it, so that of two that nearly touch the
/// later one may come out below the earlier one.
fn used(then: Energy, now: Energy) -> Energy {
    if now < then { Energy::ZERO } else { now - then }
}

/// The sum of a ledger's lines.
pub(super) fn folded(recovered: Recovered) -> Fold {
    let mut fold = Fold::new(recovered.opened);
    recovered.entries.into_iter().for_each(|entry| fold.apply(entry));
    match recovered.damage {
        // The process is about to write the rest of it.
        Some(Damage { is_tail: true, .. }) if recovered.is_open => {}
        Some(Damage { is_tail: true, first, .. }) => {
            fold.note(format!("the ledger is cut in line {first}: what it would have said is not counted"));
        }
        Some(Damage { first, lines, .. }) => {
            let lines =
                if lines == 1 { "line".to_owned() } else { format!("{lines} lines, the first in line") };
            fold.note(format!(
                "the ledger is damaged in {lines} {first}: what it said of epochs and events is not counted"
            ));
        }
        None => {}
    }
    fold
}

fn totals(moment: &Moment<'_>) -> Entry {
    Entry::Totals { at: moment.now.as_secs_f64(), totals: moment.tally.totals(moment.now) }
}

fn describe(finding: &Finding, components: &[Component]) -> String {
    let name = |index: &usize| {
        components.get(*index).map_or_else(String::new, |it| format!("{} ({})", it.name, it.id))
    };
    match finding {
        Finding::Reset { component } => {
            format!(
                "{}: its energy counter began again; what it used just before is not counted",
                name(component)
            )
        }
        Finding::Implausible { component } => {
            format!("{}: a reading showed more than it can draw and is not counted", name(component))
        }
        Finding::Used { component, .. } => format!("{} has other users than before", name(component)),
        Finding::Silent { component, reason } => format!("{} cannot be read: {reason}", name(component)),
        Finding::Back { component } => format!("{} can be read again", name(component)),
    }
}
