//! What a run knows of itself: its ledger and the sum of it. The meter's thread writes here.

mod epochs;
mod lines;
mod live;
mod open;

use std::sync::mpsc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy, Footprint, Outcome, Power, Series, TrainingType};
use sootprint_power::{Board, Claim, Component, Moment, Total};

use crate::footprint::Fold;
use crate::launch::since_boot;
use crate::ledger::{Begun, Counts, Damage, Entry, Name, Opened, Recovered, Task};
use crate::run::said::Said;
use epochs::{OpenEpoch, Phases};

pub(super) use epochs::{Ended, PhaseId};
pub(super) use live::Question;
pub(super) use open::Inside;

/// Whose run it is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    phases: Phases,
    written: Option<Duration>,
    /// The last line's moment and totals, and how many lines since the last that had all of them.
    line: (f64, Vec<Total>, u32),
    beaten: Option<Duration>,
    /// What the last heartbeat said, whether or not it was written.
    newest: Option<(f64, Vec<Total>)>,
    /// Whether the last reading is asked for: none after it counts.
    is_ending: bool,
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

impl Book {
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

    #[cfg(unix)]
    pub(super) fn name(&self) -> Option<&Name> {
        self.ledger.as_ref().map(|begun| &begun.name)
    }

    #[cfg(unix)]
    pub(super) fn components(&self) -> &[Component] {
        &self.fold.opened().components
    }

    #[cfg(unix)]
    pub(super) const fn is_virtual(&self) -> bool {
        self.is_virtual
    }

    /// The run's id and its label.
    pub(super) fn identity(&self) -> (&str, Option<TrainingType>) {
        let opened = self.fold.opened();
        (&opened.run, opened.training_type)
    }

    pub(super) fn rested(&mut self, power: Vec<Power>) {
        self.record(Entry::Rested { power });
    }

    /// What a hook says, of this process or of one that is attached; what the epoch came to that ends by it.
    pub(super) fn hear(&mut self, said: Said, moment: &Moment<'_>) -> Option<Ended> {
        match said {
            Said::Label { training_type, base_model } => self.labelled(training_type, base_model),
            Said::Planned(epochs) => self.record(Entry::Planned { epochs }),
            Said::Sliced(every) => self.record(Entry::Sliced { every }),
            Said::EpochStarted { number, before } => return self.epoch_started(number, moment, before),
            Said::EpochEnded { completed, counts } => return self.epoch_ended(completed, moment, counts),
            Said::PhaseStarted { id, name } => self.phase_started(id, name, moment),
            Said::PhaseEnded(id) => self.phase_ended(id, moment),
            Said::Left(counts) => return self.left(moment, counts),
            Said::Counted { epoch, counts } => self.record(Entry::Counted { epoch, counts }),
            Said::Claimed(claims) => self.claimed(moment, &claims),
            Said::Outcome(outcome) => self.outcome = self.outcome.max(Some(outcome)),
            Said::Resumed => self.resumed(),
            Said::Note(text) => self.record(Entry::Note { at: moment.now.as_secs_f64(), text }),
        }
        None
    }

    /// A training that is attached says what it is; what the command was told stands.
    fn labelled(&mut self, training_type: Option<TrainingType>, base_model: Option<String>) {
        if self.fold.opened().training_type.is_none() {
            self.record(Entry::Labelled { training_type, base_model });
        }
    }

    fn claimed(&mut self, moment: &Moment<'_>, claims: &[Claim]) {
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

    /// The last reading is asked for, and what is read from now on may be of later.
    pub(super) const fn await_last(&mut self) {
        self.is_ending = true;
    }

    /// Takes the last reading; nothing that hooks say later counts.
    pub(super) fn read_last(&mut self, moment: &Moment<'_>, counts: Counts) -> Option<Ended> {
        let ended = self.left(moment, counts);
        self.end(totals(moment));
        ended
    }

    /// The training is over. Who leaves it within an epoch counted what he counted in that epoch.
    fn left(&mut self, moment: &Moment<'_>, counts: Counts) -> Option<Ended> {
        let (inside, outside) =
            if self.epoch.is_some() { (counts, Counts::default()) } else { (Counts::default(), counts) };
        let ended = self.epoch_ended(false, moment, inside);
        self.end_between(moment, outside);
        ended
    }

    /// A line of the totals so far.
    #[cfg(unix)]
    pub(super) fn totals_now(&mut self, moment: &Moment<'_>) {
        self.record(totals(moment));
    }

    /// Ends the measuring of a run that no meter serves, or whose meter hangs: the last totals stand, and nobody knows
    /// what was used since.
    pub(super) fn not_read(&mut self, at: f64) {
        if !self.fold.opened().components.is_empty() {
            let text = "the boards did not answer at the end: the last readings stand".to_owned();
            self.record(Entry::Note { at, text });
        }
        let (then, mut totals) = self.newest.take().unwrap_or_else(|| self.fold.last());
        totals.iter_mut().for_each(|total| total.unmeasured += (at - then).max(0.0));
        self.end(Entry::Totals { at, totals });
    }

    fn end(&mut self, last: Entry) {
        self.record(last);
        if self.state == State::Begun {
            self.state = State::Read;
        }
    }

    /// The training goes on from a checkpoint: this is the next attempt of the folder's newest unfinished run.
    fn resumed(&self) {
        if self.state == State::Begun
            && self.fold.opened().task.attempt == 1
            && let Some(Begun { ledger, .. }) = &self.ledger
        {
            ledger.resume();
        }
    }

    /// Writes the last line; the name of the record, where there is one. The disk has so long to take it.
    pub(super) fn close(&mut self, outcome: Option<Outcome>, patience: Duration) -> Option<Name> {
        let outcome = self.ending(outcome);
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

    /// How a run ends that ends now: the worst word stands.
    fn ending(&self, outcome: Option<Outcome>) -> Outcome {
        outcome.max(self.outcome).unwrap_or(Outcome::Completed).max(self.fold.natural_outcome())
    }

    /// The footprint up to now, for who ends while the run goes on.
    #[cfg(unix)]
    pub(super) fn so_far_of(&self, outcome: Option<Outcome>) -> Footprint {
        let mut footprint = self.footprint();
        footprint.run.outcome = self.ending(outcome);
        footprint
    }

    pub(super) fn footprint(&self) -> Footprint {
        self.fold.footprint(Outcome::Running)
    }

    /// The energy of what counts, and its emissions.
    pub(super) fn so_far(&self, moment: &Moment<'_>) -> (Energy, Co2e) {
        let energy = self.fold.sum(moment.components, &moment.tally.energy_at(moment.now));
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

#[cfg(test)]
mod tests;
