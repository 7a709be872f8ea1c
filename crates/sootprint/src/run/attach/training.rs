//! One training inside the run: its words go into the run's record, and into a sum of its own.

use std::collections::BTreeMap;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use sootprint_core::{Footprint, Outcome};

use super::devices::Devices;
use super::message::{Answer, FromChild, FromParent, Hello, PROTOCOL, age, line};
use super::parent::{Outer, spawn};
use crate::ledger::Counts;
use crate::run::book::{Ended, Inside, PhaseId};
use crate::run::said::Said;
use crate::run::{LONGEST_FINISH, RunHandle};

/// How often a training hears what it has used.
const FIGURES: Duration = Duration::from_secs(1);

const OF_ITS_OWN: &str =
    "measured by the `sootprint run` around the training, whose footprint counts this energy as well";
const OF_THIS_ATTEMPT: &str = "the training went on from a checkpoint: what earlier attempts used is in the record of `sootprint run` alone";
const OF_THE_FIRST: &str =
    "several ranks trained inside the command: the epochs and their phases are those of the first one";
const OF_ALL: &str =
    "a rank of several inside `sootprint run`: the figures are those of the whole command so far";

/// A run that is attached, as the one that measures knows it.
struct Training<'a> {
    outer: &'a Outer,
    id: u64,
    /// Sums up the training alone; none for a rank of several, which are measured as one: the command.
    own: Option<RunHandle>,
    inside: Inside,
    /// Whether it may speak of epochs: of several ranks in one command the first one does.
    is_heard: bool,
    devices: Devices,
    /// The epoch that is open in a rank that is not heard.
    epoch: Option<u32>,
    /// The phases that are open, by their numbers in the training, and those in the run.
    phases: BTreeMap<PhaseId, PhaseId>,
    out: Sender<FromParent>,
}

/// From hello to the end of one connection.
pub(super) fn serve(outer: &Outer, id: u64, stream: UnixStream) {
    let Ok(writes) = stream.try_clone() else { return };
    let mut reader = BufReader::new(stream);
    let Some(Hello { rank, ranks, devices, inside, .. }) = hello(&mut reader) else { return };
    let run = if ranks > 1 { outer.name.run.clone() } else { format!("{}-t{id}", outer.name.run) };
    let own = if ranks > 1 { None } else { outer.run.beside(run.clone(), &inside) };
    if own.is_none() && ranks <= 1 {
        return;
    }
    let (out, to_write) = mpsc::channel();
    // Who waits for it may be gone.
    let _ = out.send(FromParent::Welcome { run, is_virtual: outer.run.is_virtual() });
    let told = own.as_ref().unwrap_or(&outer.run).clone();
    if spawn("sootprint-tells", move || write(writes, &to_write, &told)).is_err() {
        return;
    }
    let is_heard = rank == 0 || rank == outer.name.rank;
    let mut training =
        Training { outer, id, own, inside, is_heard, devices, epoch: None, phases: BTreeMap::new(), out };
    training.begin();
    let mut text = String::new();
    while reader.read_line(&mut text).is_ok_and(|length| length > 0) {
        // A later version may say more than this one understands.
        if let Ok(message) = serde_json::from_str(&text) {
            training.hear(message);
        }
        text.clear();
    }
    training.gone();
}

impl Training<'_> {
    fn begin(&self) {
        let label = self.inside.training.clone();
        if label.training_type.is_some() {
            let (training_type, base_model) = (label.training_type, label.base_model);
            self.outer.run.hear(Duration::ZERO, Said::Label { training_type, base_model }, |_| ());
        }
        if !self.is_heard {
            self.outer.run.note(OF_THE_FIRST);
        }
        // Who is told may be gone.
        let _ = self.out.send(FromParent::Figures(self.handle().live().into()));
    }

    /// What measures the training: a sum of its own, or the run's.
    fn handle(&self) -> &RunHandle {
        self.own.as_ref().unwrap_or(&self.outer.run)
    }

    fn hear(&mut self, message: FromChild) {
        match message {
            FromChild::Said { at, said, answer } => self.said(age(at), said, answer),
            FromChild::Read { answer } => {
                let out = self.out.clone();
                self.handle().read(move |live| {
                    // Who is told may be gone.
                    let _ = out.send(FromParent::Figures(live.into()));
                    let _ = out.send(FromParent::Answer(answer, Answer::Read(live.into())));
                });
            }
            FromChild::Settle { answer } => {
                let is_settled =
                    self.handle().settle(LONGEST_FINISH) && self.outer.run.settle(LONGEST_FINISH);
                if is_settled {
                    self.answer(answer, Answer::Settled);
                }
            }
            FromChild::Finish { outcome, answer } => {
                let footprint = self.finished(outcome);
                self.answer(answer, Answer::Footprint(Box::new(footprint)));
            }
            FromChild::Hello(_) => {}
        }
    }

    /// Into the sum of its own, and into the run's record where this training is the one that is heard there.
    fn said(&mut self, ago: Duration, said: Said, answer: Option<u64>) {
        let said = self.translated(said);
        let reply = self.reply(answer);
        match (self.own.clone(), self.for_the_record(said.clone())) {
            (Some(own), record) => {
                if said == Said::Resumed {
                    own.note(OF_THIS_ATTEMPT);
                }
                own.hear(ago, said, reply);
                if let Some(record) = record {
                    self.outer.run.hear(ago, record, |_| ());
                }
            }
            (None, Some(record)) => self.outer.run.hear(ago, record, reply),
            (None, None) => reply(None),
        }
    }

    fn reply(&self, answer: Option<u64>) -> impl FnOnce(Option<Ended>) + Send + 'static {
        let (out, run) = (self.out.clone(), self.handle().clone());
        move |ended| {
            if let Some(answer) = answer {
                // Who is told may be gone.
                let _ = out.send(FromParent::Figures(run.live().into()));
                let _ = out.send(FromParent::Answer(answer, Answer::Ended(ended)));
            }
        }
    }

    /// What the run's record hears of it; nothing of a training that is not heard.
    fn for_the_record(&mut self, said: Said) -> Option<Said> {
        if !self.is_heard
            && let Some(counts) = self.counted(&said)
        {
            return Some(counts);
        }
        if let Said::Left(counts) = said {
            // Who only counted speaks now for the first time.
            let _ = counts != Counts::default() && self.outer.lets_speak(self.id);
            self.end_phases();
            return self.outer.ends_speech(self.id).then_some(said);
        }
        let is_everybodys =
            matches!(said, Said::Claimed(_) | Said::Outcome(_) | Said::Note(_) | Said::Label { .. });
        let is_heard = is_everybodys || self.is_heard && self.outer.lets_speak(self.id);
        if !is_heard {
            return None;
        }
        // Two trainings may number their phases alike.
        match said {
            Said::PhaseStarted { id, name } => {
                let here = self.outer.run.next_phase();
                self.phases.insert(id, here);
                Some(Said::PhaseStarted { id: here, name })
            }
            Said::PhaseEnded(id) => self.phases.remove(&id).map(Said::PhaseEnded),
            said => Some(said),
        }
    }

    /// What a rank has counted that is not heard of its epochs.
    fn counted(&mut self, said: &Said) -> Option<Said> {
        let (epoch, counts) = match said {
            Said::EpochStarted { number, before } => (self.epoch.replace(*number), *before),
            Said::EpochEnded { counts, .. } | Said::Left(counts) => (self.epoch.take(), *counts),
            _ => return None,
        };
        (counts != Counts::default()).then_some(Said::Counted { epoch, counts })
    }

    /// A claim in words that hold in this process.
    fn translated(&self, said: Said) -> Said {
        let Said::Claimed(claims) = said else { return said };
        let (here, components) = (Devices::of_this_process(), self.outer.run.components());
        let boards: Vec<_> = components.iter().filter_map(|component| component.board.as_ref()).collect();
        let translated = |claim| self.devices.translated(claim, &here, &boards);
        Said::Claimed(claims.into_iter().map(translated).collect())
    }

    /// The training is finished: its footprint, when the run's record has all that it said.
    fn finished(&self, outcome: Option<Outcome>) -> Footprint {
        let is_settled = self.outer.run.settle(LONGEST_FINISH);
        let (mut footprint, note) = match &self.own {
            Some(own) => {
                own.follow(&self.outer.run, &self.inside);
                // Who only drops a run waits for nobody else's word.
                let provider = self.outer.provider.as_deref().filter(|_| outcome.is_none());
                (own.close(outcome, LONGEST_FINISH, None, provider).0, OF_ITS_OWN)
            }
            None => (self.outer.run.so_far(outcome), OF_ALL),
        };
        footprint.notes.push(note.to_owned());
        if !is_settled {
            footprint.notes.push("the record of the run around it may lack its end".to_owned());
        }
        footprint
    }

    fn answer(&self, number: u64, answer: Answer) {
        // Who is told may be gone.
        let _ = self.out.send(FromParent::Figures(self.handle().live().into()));
        let _ = self.out.send(FromParent::Answer(number, answer));
    }

    /// The other process is gone; an epoch that it left open is not complete.
    fn gone(mut self) {
        if let Some(left) = self.for_the_record(Said::Left(Counts::default())) {
            self.outer.run.hear(Duration::ZERO, left, |_| ());
        }
    }

    fn end_phases(&mut self) {
        for phase in std::mem::take(&mut self.phases).into_values() {
            self.outer.run.hear(Duration::ZERO, Said::PhaseEnded(phase), |_| ());
        }
    }
}

fn hello(reader: &mut BufReader<UnixStream>) -> Option<Hello> {
    let mut text = String::new();
    reader.read_line(&mut text).ok()?;
    match serde_json::from_str(&text).ok()? {
        FromChild::Hello(hello) if hello.protocol == PROTOCOL => Some(*hello),
        _ => None,
    }
}

/// Tells what is to be told, and each second what the training has used.
fn write(mut stream: UnixStream, messages: &Receiver<FromParent>, run: &RunHandle) {
    let mut tell = |message: &FromParent| -> io::Result<()> { stream.write_all(line(message)?.as_bytes()) };
    loop {
        let message = match messages.recv_timeout(FIGURES) {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout) => FromParent::Figures(run.live().into()),
            Err(RecvTimeoutError::Disconnected) => return,
        };
        if tell(&message).is_err() {
            return;
        }
    }
}
