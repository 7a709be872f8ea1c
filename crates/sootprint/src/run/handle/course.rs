//! How a run begins and ends: with this process's meter, or with none.

use std::path::Path;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use sootprint_core::{Footprint, MetadataError, Outcome, Place, Power, Provider, ProviderError};
use sootprint_power::{Edge, Instruments, Meter, Moment, OnSample, Opening, Session};

use super::{Latest, Measured, RunHandle, Shared, locked};
use crate::ledger::Name;
use crate::run::book::{Asked, Book, Identity, Question};
use crate::run::budget::{Budget, Pace};
use crate::run::spans::Spans;
use crate::run::watch::Watch;
use crate::run::{LONGEST_FINISH, StartError, spans};
use crate::settings::Settings;

impl RunHandle {
    pub(in crate::run) fn open(
        dir: &Path,
        identity: Identity,
        mut settings: Settings,
        asked: Asked,
        budgets: Vec<Budget>,
    ) -> (Self, Vec<StartError>) {
        let instruments = instruments(&settings);
        let mut problems: Vec<StartError> = settings.problems.drain(..).map(StartError::from).collect();
        let baseline = settings.baseline;
        let (book, problem) = Book::open(dir, identity, settings, asked);
        problems.extend(problem.map(StartError::from));

        let (id, training_type) = book.identity();
        let spans = Spans::of_run(id, training_type);
        let handle = Self::made(book, Pace::new(budgets), spans);
        let mut rested = None;
        let attached = Meter::shared().and_then(|meter| {
            rested = baseline.and_then(|rest| at_rest(&meter, instruments.clone(), rest));
            meter.attach(instruments, handle.on_sample())
        });
        let without_paths = |problems: &[StartError]| -> Vec<String> {
            problems.iter().map(StartError::without_path).collect()
        };
        match attached {
            Ok((session, mut opening)) => {
                for gap in &opening.gaps {
                    tracing::warn!("{gap}");
                }
                let mut gaps = std::mem::take(&mut opening.gaps);
                gaps.extend(without_paths(&problems));
                handle.begin(session, opening, gaps);
                rested.into_iter().for_each(|power| locked(&handle.0.book).rested(power));
            }
            Err(error) => {
                problems.push(StartError::Thread(error));
                locked(&handle.0.book).begin(Vec::new(), without_paths(&problems), 0.0);
            }
        }
        (handle, problems)
    }

    /// A handle that no meter serves.
    pub(in crate::run) fn without_meter(book: Book) -> Self {
        Self::made(book, Pace::default(), Spans::none())
    }

    pub(super) fn made(book: Book, pace: Pace, spans: Spans) -> Self {
        Self(Arc::new(Shared {
            measured: Mutex::new(None),
            book: Arc::new(Mutex::new(book)),
            live: Arc::new(Mutex::new(Latest::default())),
            pace: Arc::new(Mutex::new(pace)),
            counts: Mutex::default(),
            spans,
            phases: AtomicU64::new(0),
        }))
    }

    /// What is done with each reading.
    pub(super) fn on_sample(&self) -> OnSample {
        let (book, live) = (Arc::clone(&self.0.book), Arc::clone(&self.0.live));
        Box::new(move |moment: &Moment<'_>, findings: &[_]| {
            let mut book = locked(&book);
            book.sampled(moment, findings);
            locked(&live).update(&book, moment);
        })
    }

    /// The boards are known, and the hooks can speak.
    pub(super) fn begin(&self, session: Session, opening: Opening, gaps: Vec<String>) {
        let ago = session.now().as_secs_f64();
        locked(&self.0.book).begin(opening.components, gaps, ago);
        *locked(&self.0.measured) = Some(Measured::Here(session));
    }

    /// Ends the run: a last reading, what the provider knows, the last line, the footprint of this process; and the name
    /// of its record, if the folder has one.
    pub(in crate::run) fn close(
        &self,
        outcome: Option<Outcome>,
        patience: Duration,
        watch: Option<&mut Watch>,
        provider: Option<&dyn Provider>,
    ) -> (Footprint, Option<Name>) {
        // Without the lock: what waits for an answer may be asked for the live figures.
        let measured = locked(&self.0.measured).take();
        let session = match measured {
            Some(Measured::Here(session)) => Some(session),
            Some(Measured::Outside(attached)) => return (self.leave(attached, outcome, patience), None),
            None => None,
        };
        let last = session.as_ref().map_or(0.0, |session| session.now().as_secs_f64());
        let is_read = session.is_some_and(|session| {
            let (tell, told) = mpsc::channel();
            let book = Arc::clone(&self.0.book);
            let (counts, span) = (self.take_counts(), self.0.spans.epoch_ended());
            locked(&book).await_last();
            session.mark(session.now(), Edge::Last, move |moment| {
                let ended = locked(&book).read_last(moment, counts);
                spans::ended(span, false, ended);
                // Who waits may have lost patience.
                let _ = tell.send(());
            });
            told.recv_timeout(patience).is_ok()
        });
        if !is_read {
            locked(&self.0.book).not_read(last);
        }
        if let Some(watch) = watch {
            watch.end();
        }
        if let Some(provider) = provider {
            self.ask(provider);
        }
        let mut book = locked(&self.0.book);
        book.end_series();
        let name = book.close(outcome, patience);
        let footprint = book.footprint();
        drop(book);
        self.0.spans.run_ended(&footprint);
        (footprint, name)
    }

    /// Asks on this thread, and without the book's lock: the meter's thread may take it and has other runs to serve.
    fn ask(&self, provider: &dyn Provider) {
        let question = locked(&self.0.book).question();
        if let Some(Question { place, from, to }) = question {
            let answer = provider.hours(place, from, to);
            locked(&self.0.book).answered(answer);
        }
    }

    /// Asks about the run so far, and keeps what is new; none where there is nothing to ask about.
    pub(in crate::run) fn ask_so_far(&self, provider: &dyn Provider) -> Option<Result<(), ProviderError>> {
        let question = locked(&self.0.book).question_so_far(self.now()?.as_secs_f64());
        let Question { place, from, to } = question?;
        let answer = provider.hours(place, from, to);
        Some(answer.map(|series| locked(&self.0.book).answered_so_far(series)))
    }

    /// The machine's cloud said where it is, or why not.
    pub(in crate::run) fn located(&self, found: Result<Option<Place>, MetadataError>) {
        locked(&self.0.book).located(found);
    }

    /// As when the process is killed: nothing more is written, and the ledger's lock is gone.
    #[cfg(test)]
    pub(in crate::run) fn kill(&self) {
        locked(&self.0.measured).take();
        locked(&self.0.book).kill();
    }
}

/// What a run is measured with.
fn instruments(settings: &Settings) -> Instruments {
    match &settings.replay {
        Some(replay) => Instruments::Replay(replay.clone()),
        None => Instruments::System { nvml: settings.nvml.clone(), clock: settings.clock.clone() },
    }
}

/// The power of each component over a rest; none when no time passes, as on a virtual clock.
fn at_rest(meter: &Arc<Meter>, instruments: Instruments, rest: Duration) -> Option<Vec<Power>> {
    let (session, _) = meter.attach(instruments, Box::new(|_, _| ())).ok()?;
    std::thread::sleep(rest);
    let (tell, told) = mpsc::channel();
    session.mark(session.now(), Edge::Last, move |moment| {
        let energy = moment.tally.energy_at(moment.now);
        let power: Option<Vec<Power>> = energy.into_iter().map(|energy| energy / moment.now).collect();
        // Who waits may have lost patience.
        let _ = tell.send(power);
    });
    told.recv_timeout(LONGEST_FINISH).ok()?
}
