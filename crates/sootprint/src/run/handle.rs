//! What hooks hold of a run.

mod attaching;
mod course;
mod live;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::Duration;

use sootprint_core::Outcome;
use sootprint_power::{Claim, Edge, Session};

use super::attach::Attached;
use super::book::{Book, Ended, PhaseId};
use super::budget::{Pace, Prediction};
use super::phase::Phase;
use super::said::Said;
use super::spans::{self, Spans};
use crate::ledger::Counts;
use live::Latest;

pub use live::Live;

/// A run as hooks see it: cheap to clone, safe to share, harmless after the run's end.
///
/// Each call posts a timestamp to the meter's thread and returns; none waits for a board, and none fails.
#[derive(Debug, Clone)]
pub struct RunHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// None when nothing is measured, and after the end.
    measured: Mutex<Option<Measured>>,
    book: Arc<Mutex<Book>>,
    live: Arc<Mutex<Latest>>,
    pace: Arc<Mutex<Pace>>,
    /// What was counted since the last edge of an epoch.
    counts: Mutex<Counts>,
    spans: Spans,
    phases: AtomicU64,
}

/// Who finds the energy at the moments of which the hooks speak.
#[derive(Debug)]
enum Measured {
    /// The meter of this process.
    Here(Session),
    /// The process that measures the command which this one is part of.
    Outside(Attached),
}

impl RunHandle {
    /// Says how many epochs there will be; a finish with fewer is an early stop.
    pub fn plan_epochs(&self, epochs: u32) {
        locked(&self.0.pace).planned(epochs);
        self.say(Said::Planned(epochs));
    }

    /// An epoch begins now. One that is still open ends here and is not complete.
    pub fn epoch_started(&self, number: u32) {
        let before = self.take_counts();
        locked(&self.0.pace).epoch_started(self.live().energy);
        let span = self.0.spans.epoch_started(number);
        let said = Said::EpochStarted { number, before };
        self.say_then(said, move |ended| spans::ended(span, false, ended));
    }

    /// The open epoch ends now.
    pub fn epoch_ended(&self, completed: bool) {
        let (counts, span) = (self.take_counts(), self.0.spans.epoch_ended());
        let live = self.live();
        let position = locked(&self.0.pace).epoch_ended(completed, live.energy);
        let pace = Arc::clone(&self.0.pace);
        self.say_then(Said::EpochEnded { completed, counts }, move |ended| {
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
        let (id, name) = (self.next_phase(), name.into());
        self.say(Said::PhaseStarted { id, name });
        Phase::new(self.clone(), id)
    }

    pub(super) fn phase_ended(&self, id: PhaseId) {
        self.say(Said::PhaseEnded(id));
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

    /// Why the loop is to stop now, when a [`Budget`](super::Budget) says so: for hooks that stop a loop by their own
    /// means and tell it by [`stop_early`](Self::stop_early).
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
        self.now().unwrap_or_default()
    }

    /// What the loop calls epochs are slices of one without any.
    pub(super) fn sliced(&self, every: String) {
        self.say(Said::Sliced(every));
    }

    /// Says which boards the framework trains on; without any, that it trains on none.
    ///
    /// Boards that no one claims are left out of the footprint. Claims add up.
    pub fn claim(&self, claims: impl IntoIterator<Item = Claim>) {
        self.say(Said::Claimed(claims.into_iter().collect()));
    }

    /// Says how the training ended, when the hook knows; the worst of several words stands.
    pub fn outcome(&self, outcome: Outcome) {
        self.say(Said::Outcome(outcome));
    }

    /// Says that the training goes on from a checkpoint of an earlier one: the run becomes the next attempt of the
    /// folder's newest unfinished run, and their footprint is one.
    ///
    /// For hooks that hear of it after the start; who knows before says [`RunBuilder::resume`](super::RunBuilder::resume).
    /// Where there is no such run, or another process records it, this run stays one by itself.
    pub fn resumed(&self) {
        self.say(Said::Resumed);
    }

    /// Adds what a reader of the footprint should hear.
    pub fn note(&self, text: impl Into<String>) {
        self.say(Said::Note(text.into()));
    }

    /// Waits until the meter has taken a reading after all that was posted before, and the ledger is written; whether it
    /// was within `patience`.
    ///
    /// Not for a training, which need not wait for anything: for tests, and for who reads a ledger beside the run.
    #[must_use = "the meter may not have come to it"]
    pub fn settle(&self, patience: Duration) -> bool {
        let (tell, told) = mpsc::channel();
        match locked(&self.0.measured).as_ref() {
            Some(Measured::Here(session)) => {
                let book = Arc::clone(&self.0.book);
                session.mark(session.now(), Edge::Now, move |_| locked(&book).tell(tell));
            }
            Some(Measured::Outside(attached)) => attached.settle(tell),
            None => return false,
        }
        told.recv_timeout(patience).is_ok()
    }

    /// What the run has used so far.
    #[must_use]
    pub fn live(&self) -> Live {
        let live = || locked(&self.0.live).live;
        match locked(&self.0.measured).as_ref() {
            Some(Measured::Here(session)) => live().at(session.now()),
            Some(Measured::Outside(attached)) => attached.live(),
            None => live(),
        }
    }

    /// Asks for what the run has used up to this very moment: `tell` hears it as soon as the boards are read, on the
    /// meter's thread, which should not be kept. It is not called where nothing is measured, nor after the run's end.
    pub fn read(&self, tell: impl FnOnce(Live) + Send + 'static) {
        match locked(&self.0.measured).as_ref() {
            Some(Measured::Here(session)) => {
                let (book, live) = (Arc::clone(&self.0.book), Arc::clone(&self.0.live));
                session.mark(session.now(), Edge::Now, move |moment| {
                    let (energy, emissions) = locked(&book).so_far(moment);
                    let power = locked(&live).live.power;
                    tell(Live { elapsed: moment.now, energy, power, emissions });
                });
            }
            Some(Measured::Outside(attached)) => attached.read(tell),
            None => {}
        }
    }

    fn take_counts(&self) -> Counts {
        std::mem::take(&mut *locked(&self.0.counts))
    }

    pub(super) fn next_phase(&self) -> PhaseId {
        self.0.phases.fetch_add(1, Ordering::Relaxed)
    }

    /// The time since the run began; none when nothing is measured.
    fn now(&self) -> Option<Duration> {
        match locked(&self.0.measured).as_ref()? {
            Measured::Here(session) => Some(session.now()),
            Measured::Outside(attached) => Some(attached.live().elapsed),
        }
    }

    fn say(&self, said: Said) {
        self.say_then(said, |_| ());
    }

    /// What a hook says, to whoever measures. `then` hears what the epoch came to that ends by it, once it is known.
    fn say_then(&self, said: Said, then: impl FnOnce(Option<Ended>) + Send + 'static) {
        match locked(&self.0.measured).as_ref() {
            Some(Measured::Here(session)) => {
                let book = Arc::clone(&self.0.book);
                session.mark(session.now(), said.edge(), move |moment| {
                    let ended = locked(&book).hear(said, moment);
                    then(ended);
                });
            }
            Some(Measured::Outside(attached)) => attached.say(said, then),
            None => {}
        }
    }
}

/// A panic while the lock was held leaves figures that are still good: each is replaced whole.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
