//! What hooks hold of a run.

use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::book::{Asked, Book, Identity, PhaseId, Question};
use super::budget::{Budget, Pace, Prediction};
use super::phase::Phase;
use super::spans::{self, Spans};
use super::watch::Watch;
use super::{LONGEST_FINISH, StartError};
use crate::boards::Claim;
use crate::footprint::Footprint;
use crate::grid::ProviderError;
use crate::ledger::{Counts, Name, Outcome};
use crate::live::{MetadataError, Provider};
use crate::meter::{Edge, Instruments, Meter, Moment, Session};
use crate::place::Place;
use crate::settings::{SettingError, Settings};
use crate::units::{Co2e, Energy, Power};

/// A live figure reaches this far beyond the last reading, at the last known power.
const FARTHEST_REACH: Duration = Duration::from_secs(2);

/// The live power is a mean over at least this long.
const POWER_WINDOW: Duration = Duration::from_millis(900);

/// A run as hooks see it: cheap to clone, safe to share, harmless after the run's end.
///
/// Each call posts a timestamp to the meter's thread and returns; none waits for a board, and none fails.
#[derive(Debug, Clone)]
pub struct RunHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// None when nothing is measured, and after the end.
    session: Mutex<Option<Session>>,
    book: Arc<Mutex<Book>>,
    live: Arc<Mutex<Latest>>,
    pace: Arc<Mutex<Pace>>,
    /// What was counted since the last edge of an epoch.
    counts: Mutex<Counts>,
    spans: Spans,
    phases: AtomicU64,
}

/// What a run has used so far, for display.
///
/// The figures reach from the last reading to now at the last known power, for two seconds at most; the footprint,
/// which is computed from readings alone, may differ a little.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct Live {
    /// Time since the run began.
    pub elapsed: Duration,
    /// Energy of what counts so far.
    pub energy: Energy,
    /// Mean power over about the last second; none before there are two readings.
    pub power: Option<Power>,
    /// What the energy emitted, at the table's intensity or the given one: figures for the hours count in the footprint.
    pub emissions: Co2e,
}

/// The last reading, and the one before it that the power is a mean since.
#[derive(Debug, Default)]
struct Latest {
    live: Live,
    since: Option<(Duration, Energy)>,
}

impl RunHandle {
    pub(super) fn open(
        dir: &Path,
        identity: Identity,
        mut settings: Settings,
        asked: Asked,
        budgets: Vec<Budget>,
    ) -> (Self, Vec<StartError>) {
        let instruments = instruments(&settings);
        // In the footprint, which may be published, without the paths of the user's files.
        let unpublished: Vec<String> = settings.problems.iter().map(SettingError::without_path).collect();
        let mut problems: Vec<StartError> = settings.problems.drain(..).map(StartError::from).collect();
        let baseline = settings.baseline;
        let (book, problem) = Book::open(dir, identity, settings, asked);
        problems.extend(problem.map(StartError::from));

        let (id, training_type) = book.identity();
        let spans = Spans::of_run(id, training_type);
        let handle = Self::made(book, Pace::new(budgets), spans);
        let (book, live) = (Arc::clone(&handle.0.book), Arc::clone(&handle.0.live));
        let on_sample = move |moment: &Moment<'_>, findings: &[_]| {
            let mut book = locked(&book);
            book.sampled(moment, findings);
            locked(&live).update(&book, moment);
        };
        let mut rested = None;
        let attached = Meter::shared().and_then(|meter| {
            rested = baseline.and_then(|rest| at_rest(&meter, instruments.clone(), rest));
            meter.attach(instruments, Box::new(on_sample))
        });
        match attached {
            Ok((session, opening)) => {
                for gap in &opening.gaps {
                    tracing::warn!("{gap}");
                }
                let others = problems.iter().skip(unpublished.len()).map(ToString::to_string);
                let gaps = opening.gaps.into_iter().chain(unpublished).chain(others);
                let mut book = locked(&handle.0.book);
                book.begin(opening.components, gaps.collect(), session.now().as_secs_f64());
                rested.into_iter().for_each(|power| book.rested(power));
                *locked(&handle.0.session) = Some(session);
            }
            Err(error) => {
                problems.push(StartError::Thread(error));
                let others = problems.iter().skip(unpublished.len()).map(ToString::to_string);
                let gaps = unpublished.iter().cloned().chain(others);
                locked(&handle.0.book).begin(Vec::new(), gaps.collect(), 0.0);
            }
        }
        (handle, problems)
    }

    /// A handle that no meter serves.
    pub(super) fn without_meter(book: Book) -> Self {
        Self::made(book, Pace::default(), Spans::none())
    }

    fn made(book: Book, pace: Pace, spans: Spans) -> Self {
        Self(Arc::new(Shared {
            session: Mutex::new(None),
            book: Arc::new(Mutex::new(book)),
            live: Arc::default(),
            pace: Arc::new(Mutex::new(pace)),
            counts: Mutex::default(),
            spans,
            phases: AtomicU64::new(0),
        }))
    }

    /// Says how many epochs there will be; a finish with fewer is an early stop.
    pub fn plan_epochs(&self, epochs: u32) {
        locked(&self.0.pace).planned(epochs);
        self.mark(Edge::Rough, move |book, _| book.planned(epochs));
    }

    /// An epoch begins now. One that is still open ends here and is not complete.
    pub fn epoch_started(&self, number: u32) {
        let counts = self.take_counts();
        locked(&self.0.pace).epoch_started(self.live().energy);
        let before = self.0.spans.epoch_started(number);
        self.mark(Edge::Sharp, move |book, moment| {
            spans::ended(before, false, book.epoch_started(number, moment, counts));
        });
    }

    /// The open epoch ends now.
    pub fn epoch_ended(&self, completed: bool) {
        let (counts, span) = (self.take_counts(), self.0.spans.epoch_ended());
        let live = self.live();
        let position = locked(&self.0.pace).epoch_ended(completed, live.energy);
        let pace = Arc::clone(&self.0.pace);
        self.mark(Edge::Sharp, move |book, moment| {
            let ended = book.epoch_ended(completed, moment, counts);
            spans::ended(span, completed, ended);
            if let (Some(position), Some(ended)) = (position, ended) {
                locked(&pace).measured(position, ended.energy);
            }
        });
        let warnings = locked(&self.0.pace).warnings(live.energy, live.grams_per_joule());
        for warning in warnings {
            tracing::warn!("{warning}");
        }
    }

    /// A named part of an epoch begins now, and ends when what is returned is dropped; see [`Phase`].
    pub fn phase(&self, name: impl Into<String>) -> Phase {
        let (id, name) = (self.0.phases.fetch_add(1, Ordering::Relaxed), name.into());
        self.mark(Edge::Rough, move |book, moment| book.phase_started(id, name, moment));
        Phase::new(self.clone(), id)
    }

    pub(super) fn phase_ended(&self, id: PhaseId) {
        self.mark(Edge::Rough, move |book, moment| book.phase_ended(id, moment));
    }

    /// So many more samples were trained on, in the open epoch if there is one. Validation's do not belong here.
    pub fn samples(&self, samples: u64) {
        locked(&self.0.counts).add(Counts { samples: Some(samples), tokens: None });
    }

    /// So many more tokens were trained on, in the open epoch if there is one.
    pub fn tokens(&self, tokens: u64) {
        locked(&self.0.counts).add(Counts { samples: None, tokens: Some(tokens) });
    }

    /// What the whole run will come to, once an epoch is complete and their number is known.
    #[must_use]
    pub fn prediction(&self) -> Option<Prediction> {
        let live = self.live();
        locked(&self.0.pace).prediction(live.energy, live.grams_per_joule())
    }

    /// Why the loop is to stop now, when a [`Budget`] says so: for hooks that stop a loop by their own means and tell it
    /// by [`stop_early`](Self::stop_early).
    ///
    /// Within an epoch the reason is that the budget is used up; between epochs also that the next one, at the mean of
    /// those before, would go beyond it.
    #[must_use]
    pub fn over_budget(&self) -> Option<String> {
        if !locked(&self.0.pace).has_budget() {
            return None;
        }
        let live = self.live();
        locked(&self.0.pace).stops(live.energy, live.grams_per_joule())
    }

    /// Says that the loop ends before its time, and why; one warning, a note in the footprint, and its outcome.
    pub fn stop_early(&self, reason: &str) {
        tracing::warn!("the training stops early: {reason}");
        self.note(format!("the training stopped early: {reason}"));
        self.outcome(Outcome::StoppedEarly);
    }

    /// The time since the run began, on the run's clock; nothing after its end, and in a run that is switched off.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        locked(&self.0.session).as_ref().map(Session::now).unwrap_or_default()
    }

    /// What the loop calls epochs are slices of one without any.
    pub(super) fn sliced(&self, every: String) {
        self.mark(Edge::Rough, move |book, _| book.sliced(every));
    }

    /// Says which boards the framework trains on; without any, that it trains on none.
    ///
    /// Boards that no one claims are left out of the footprint. Claims add up.
    pub fn claim(&self, claims: impl IntoIterator<Item = Claim>) {
        let claims: Vec<Claim> = claims.into_iter().collect();
        self.mark(Edge::Rough, move |book, moment| book.claimed(moment, &claims));
    }

    /// Says how the training ended, when the hook knows; the worst of several words stands.
    pub fn outcome(&self, outcome: Outcome) {
        self.mark(Edge::Rough, move |book, _| book.outcome(outcome));
    }

    /// Says that the training goes on from a checkpoint of an earlier one: the run becomes the next attempt of the
    /// folder's newest unfinished run, and their footprint is one.
    ///
    /// For hooks that hear of it after the start; who knows before says [`RunBuilder::resume`](super::RunBuilder::resume).
    /// Where there is no such run, or another process records it, this run stays one by itself.
    pub fn resumed(&self) {
        self.mark(Edge::Rough, move |book, _| book.resumed());
    }

    /// Adds what a reader of the footprint should hear.
    pub fn note(&self, text: impl Into<String>) {
        let text = text.into();
        self.mark(Edge::Rough, move |book, moment| book.note(moment.now, text));
    }

    /// Waits until the meter has taken a reading after all that was posted before, and the ledger is written; whether it
    /// was within `patience`.
    ///
    /// Not for a training, which need not wait for anything: for tests, and for who reads a ledger beside the run.
    #[must_use = "the meter may not have come to it"]
    pub fn settle(&self, patience: Duration) -> bool {
        let (tell, told) = mpsc::channel();
        self.mark(Edge::Sharp, move |book, _| book.tell(tell));
        told.recv_timeout(patience).is_ok()
    }

    /// What the run has used so far.
    #[must_use]
    pub fn live(&self) -> Live {
        let now = locked(&self.0.session).as_ref().map(Session::now);
        let live = locked(&self.0.live).live;
        now.map_or(live, |now| live.at(now))
    }

    /// Asks for what the run has used up to this very moment: `tell` hears it as soon as the boards are read, on the
    /// meter's thread, which should not be kept. It is not called where nothing is measured, nor after the run's end.
    pub fn read(&self, tell: impl FnOnce(Live) + Send + 'static) {
        if let Some(session) = locked(&self.0.session).as_ref() {
            let (book, live) = (Arc::clone(&self.0.book), Arc::clone(&self.0.live));
            session.mark(session.now(), Edge::Rough, move |moment| {
                let (energy, emissions) = locked(&book).so_far(moment);
                let power = locked(&live).live.power;
                tell(Live { elapsed: moment.now, energy, power, emissions });
            });
        }
    }

    /// Ends the run: a last reading, what the provider knows, the last line, the footprint of this process; and the name
    /// of its record, if the folder has one.
    pub(super) fn close(
        &self,
        outcome: Option<Outcome>,
        patience: Duration,
        watch: Option<&mut Watch>,
        provider: Option<&dyn Provider>,
    ) -> (Footprint, Option<Name>) {
        let session = locked(&self.0.session).take();
        let last = session.as_ref().map_or(0.0, |session| session.now().as_secs_f64());
        let is_read = session.is_some_and(|session| {
            let (tell, told) = mpsc::channel();
            let book = Arc::clone(&self.0.book);
            let (counts, span) = (self.take_counts(), self.0.spans.epoch_ended());
            session.mark(session.now(), Edge::Sharp, move |moment| {
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
    pub(super) fn ask_so_far(&self, provider: &dyn Provider) -> Option<Result<(), ProviderError>> {
        let now = locked(&self.0.session).as_ref().map(Session::now)?;
        let question = locked(&self.0.book).question_so_far(now.as_secs_f64());
        let Question { place, from, to } = question?;
        let answer = provider.hours(place, from, to);
        Some(answer.map(|series| locked(&self.0.book).answered_so_far(series)))
    }

    /// The machine's cloud said where it is, or why not.
    pub(super) fn located(&self, found: Result<Option<Place>, MetadataError>) {
        locked(&self.0.book).located(found);
    }

    /// As when the process is killed: nothing more is written, and the ledger's lock is gone.
    #[cfg(test)]
    pub(super) fn kill(&self) {
        locked(&self.0.session).take();
        locked(&self.0.book).kill();
    }

    fn take_counts(&self) -> Counts {
        std::mem::take(&mut *locked(&self.0.counts))
    }

    fn mark(&self, edge: Edge, act: impl FnOnce(&mut Book, &Moment<'_>) + Send + 'static) {
        if let Some(session) = locked(&self.0.session).as_ref() {
            let book = Arc::clone(&self.0.book);
            session.mark(session.now(), edge, move |moment| act(&mut locked(&book), moment));
        }
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
    session.mark(session.now(), Edge::Sharp, move |moment| {
        let energy = moment.tally.energy_at(moment.now);
        let power: Option<Vec<Power>> = energy.into_iter().map(|energy| energy / moment.now).collect();
        // Who waits may have lost patience.
        let _ = tell.send(power);
    });
    told.recv_timeout(LONGEST_FINISH).ok()?
}

impl Latest {
    fn update(&mut self, book: &Book, moment: &Moment<'_>) {
        let (energy, emissions) = book.so_far(moment);
        let (then, before) = *self.since.get_or_insert((moment.now, energy));
        let window = moment.now.saturating_sub(then);
        if window >= POWER_WINDOW || self.live.power.is_none() {
            self.live.power = (energy - before) / window;
        }
        if window >= POWER_WINDOW {
            self.since = Some((moment.now, energy));
        }
        self.live = Live { elapsed: moment.now, energy, emissions, power: self.live.power };
    }
}

impl Live {
    /// What a joule emits; 0 as long as nothing was used.
    fn grams_per_joule(&self) -> f64 {
        if self.energy > Energy::ZERO { self.emissions.grams() / self.energy.joules() } else { 0.0 }
    }

    /// Reaches from the last reading to `now`.
    fn at(self, now: Duration) -> Self {
        let reach = now.saturating_sub(self.elapsed).min(FARTHEST_REACH);
        let further = self.power.unwrap_or_default() * reach;
        let grams_per_joule = self.grams_per_joule();
        Self {
            elapsed: now,
            energy: self.energy + further,
            emissions: self.emissions + Co2e::from_grams(further.joules() * grams_per_joule),
            power: self.power,
        }
    }
}

/// A panic while the lock was held leaves figures that are still good: each is replaced whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
