//! What a run knows of itself: its ledger and the sum of it. The meter's thread writes here.

mod live;

use std::path::Path;
use std::time::Duration;

use crate::boards::{Board, Claim};
use crate::footprint::{Fold, Footprint};
use crate::grid::Series;
use crate::ledger::{Entry, Ledger, LedgerError, Opened, Outcome, Recovered, SCHEMA, TrainingType};
use crate::meter::Moment;
use crate::settings::Settings;
use crate::source::Component;
use crate::tally::Finding;
use crate::units::{Co2e, Energy, Power};

pub(super) use live::Question;

/// At first a line a second, so that a short run has a curve; then one a minute, which keeps a day under 0.5 MB.
const FIRST_LINES: Duration = Duration::from_secs(60);
const FIRST_CADENCE: Duration = Duration::from_secs(1);
const CADENCE: Duration = Duration::from_secs(60);

/// Whose run it is.
#[derive(Debug)]
pub(super) struct Identity {
    pub(super) training_type: Option<TrainingType>,
    pub(super) base_model: Option<String>,
}

#[derive(Debug)]
pub(super) struct Book {
    /// None when the folder cannot be written; then the sum is in memory only.
    ledger: Option<Ledger>,
    fold: Fold,
    epoch: Option<OpenEpoch>,
    written: Option<Duration>,
    outcome: Option<Outcome>,
    state: State,
    /// The user's own figures for the hours.
    series: Option<Series>,
    year: u16,
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
    pub(super) fn open(dir: &Path, identity: Identity, settings: Settings) -> (Self, Option<LedgerError>) {
        let now = jiff::Timestamp::now();
        let (ledger, run, problem) = match Ledger::create(dir, now) {
            Ok((ledger, run)) => (Some(ledger), run, None),
            Err(error) => (None, format!("unrecorded-{}", now.as_millisecond()), Some(error)),
        };
        (Self::new(ledger, run, identity, settings, now), problem)
    }

    /// The record of a run that is switched off: nothing is in it.
    pub(super) fn off(identity: Identity, settings: Settings) -> Self {
        let now = jiff::Timestamp::now();
        let mut book = Self::new(None, "off".to_owned(), identity, settings, now);
        book.begin(Vec::new(), vec!["SOOTPRINT=off: nothing was measured".to_owned()]);
        book
    }

    fn new(
        ledger: Option<Ledger>,
        run: String,
        identity: Identity,
        settings: Settings,
        now: jiff::Timestamp,
    ) -> Self {
        // Without components: what they are is known when the boards are open.
        let fold = Fold::new(Box::new(Opened {
            schema: SCHEMA.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            run,
            training_type: identity.training_type,
            base_model: identity.base_model,
            started: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
            grid: settings.grid,
            pue: settings.pue,
            components: Vec::new(),
            gaps: Vec::new(),
        }));
        let Settings { series, year, .. } = settings;
        Self { ledger, fold, epoch: None, written: None, outcome: None, state: State::New, series, year }
    }

    /// Writes the first line, once the boards are known.
    pub(super) fn begin(&mut self, components: Vec<Component>, gaps: Vec<String>) {
        self.state = State::Begun;
        let opened = Opened { components, gaps, ..self.fold.opened().clone() };
        self.record(Entry::Opened(Box::new(opened)));
        self.begin_series();
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
            self.record(totals(moment));
        }
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

    /// Writes the last line.
    pub(super) fn close(&mut self, outcome: Option<Outcome>) {
        let outcome =
            outcome.max(self.outcome).unwrap_or(Outcome::Completed).max(self.fold.natural_outcome());
        if self.state == State::Read {
            let (at, totals) = self.fold.last();
            self.append(Entry::Closed { at, outcome, totals });
        }
        self.sync();
        self.state = State::Closed;
        self.ledger = None;
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

    pub(super) fn has_ledger(&self) -> bool {
        self.ledger.is_some()
    }

    fn record(&mut self, entry: Entry) {
        if self.state == State::Begun {
            self.append(entry);
        }
    }

    fn append(&mut self, entry: Entry) {
        self.attempt(|ledger| ledger.append(&entry));
        self.fold.apply(entry);
    }

    fn sync(&mut self) {
        self.attempt(|ledger| ledger.sync());
    }

    /// A ledger that fails once is left alone: the loss is said once and the training goes on.
    fn attempt(&mut self, write: impl FnOnce(&mut Ledger) -> Result<(), LedgerError>) {
        if let Some(ledger) = &mut self.ledger
            && let Err(error) = write(ledger)
        {
            tracing::warn!("{error}");
            self.fold.note(error.to_string());
            self.ledger = None;
        }
    }
}

/// What was used between two edges. Each is found from the readings around it, so that of two that nearly touch the
/// later one may come out below the earlier one.
fn used(then: Energy, now: Energy) -> Energy {
    if now < then { Energy::ZERO } else { now - then }
}

/// The footprint that a ledger's lines add up to.
pub(super) fn footprint(recovered: Recovered, unclosed: Outcome) -> Footprint {
    let mut fold = Fold::new(recovered.opened);
    recovered.entries.into_iter().for_each(|entry| fold.apply(entry));
    if let Some(line) = recovered.damaged {
        fold.note(format!("the ledger is damaged from line {line} on: what came after it is not counted"));
    }
    fold.footprint(unclosed)
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
