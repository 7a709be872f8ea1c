//! The handle of a training that another process measures, and of the run around it.

use std::path::Path;
use std::time::Duration;

use sootprint_core::{Footprint, Outcome};

use super::{Measured, RunHandle, locked};
use crate::run::attach::Attached;
use crate::run::book::{Book, Identity};
use crate::run::budget::{Budget, Pace};
use crate::run::said::Said;
use crate::run::spans;
use crate::run::spans::Spans;
use crate::settings::Settings;

impl RunHandle {
    /// A handle on a training inside the run of another process, which meters and records.
    pub(in crate::run) fn attach(
        attached: Attached,
        identity: Identity,
        settings: Settings,
        budgets: Vec<Budget>,
    ) -> Self {
        let spans = Spans::of_run(attached.run(), identity.training_type);
        let book = Book::blank(attached.run(), identity, settings);
        let handle = Self::made(book, Pace::new(budgets), spans);
        *locked(&handle.0.measured) = Some(Measured::Outside(attached));
        handle
    }

    /// Ends the training's part of the other's run: the footprint that the other process has of it.
    pub(super) fn leave(
        &self,
        attached: Attached,
        outcome: Option<Outcome>,
        patience: Duration,
    ) -> Footprint {
        // Who asks from now on asks this handle alone.
        locked(&self.0.live).live = attached.live();
        let (counts, span) = (self.take_counts(), self.0.spans.epoch_ended());
        attached.say(Said::Left(counts), move |ended| spans::ended(span, false, ended));
        if let Some(outcome) = outcome {
            attached.say(Said::Outcome(outcome), |_| ());
        }
        let told = attached.finish(outcome, patience);
        locked(&self.0.live).live = attached.live();
        let footprint = told.unwrap_or_else(|| {
            let text = "the `sootprint run` that measured this training did not answer at its end: what the training \
                        used is in the record of that run alone";
            tracing::warn!("{text}");
            let mut footprint = locked(&self.0.book).footprint();
            footprint.run.outcome = outcome.unwrap_or(Outcome::Completed);
            footprint.notes.push(text.to_owned());
            footprint
        });
        self.0.spans.run_ended(&footprint);
        footprint
    }

    pub(in crate::run) fn is_attached(&self) -> bool {
        matches!(*locked(&self.0.measured), Some(Measured::Outside(_)))
    }

    /// Whether the run around this training is recorded in another folder.
    pub(in crate::run) fn is_attached_elsewhere(&self, dir: &Path) -> bool {
        matches!(&*locked(&self.0.measured), Some(Measured::Outside(attached)) if !attached.is_of(dir))
    }
}

/// For a run that measures what is attached to it.
#[cfg(unix)]
mod outer {
    use std::sync::{Arc, mpsc};

    use sootprint_power::{Component, Edge};

    use super::{Duration, Footprint, Measured, Outcome, RunHandle, Said, locked};
    use crate::ledger::Name;
    use crate::run::LONGEST_FINISH;
    use crate::run::book::{Ended, Inside};

    impl RunHandle {
        /// A sum of a training's own, on this run's readings; none after this run's end.
        pub(in crate::run) fn beside(&self, run: String, inside: &Inside) -> Option<Self> {
            let handle = Self::without_meter(locked(&self.0.book).beside(run, inside));
            let begin = match locked(&self.0.measured).as_ref()? {
                Measured::Here(session) => session.beside(),
                Measured::Outside(_) => return None,
            };
            let (session, mut opening) = begin(handle.on_sample()).ok()?;
            let mut gaps = std::mem::take(&mut opening.gaps);
            gaps.extend(inside.gaps.iter().cloned());
            handle.begin(session, opening, gaps);
            Some(handle)
        }

        /// Takes what a hook in another process said so long ago.
        pub(in crate::run) fn hear(
            &self,
            ago: Duration,
            said: Said,
            then: impl FnOnce(Option<Ended>) + Send + 'static,
        ) {
            if let Some(Measured::Here(session)) = locked(&self.0.measured).as_ref() {
                let book = Arc::clone(&self.0.book);
                // A script's time is nobody else's.
                let ago = if locked(&book).is_virtual() { Duration::ZERO } else { ago };
                let at = session.now().saturating_sub(ago);
                session.mark(at, said.edge(), move |moment| {
                    let ended = locked(&book).hear(said, moment);
                    then(ended);
                });
            }
        }

        /// Takes over what `outer` has learnt of its place.
        pub(in crate::run) fn follow(&self, outer: &Self, inside: &Inside) {
            let outer = locked(&outer.0.book);
            locked(&self.0.book).follow(&outer, inside);
        }

        /// The run's footprint up to now, of a training that ends so.
        pub(in crate::run) fn so_far(&self, outcome: Option<Outcome>) -> Footprint {
            let (tell, told) = mpsc::channel();
            if let Some(Measured::Here(session)) = locked(&self.0.measured).as_ref() {
                let book = Arc::clone(&self.0.book);
                session.mark(session.now(), Edge::Last, move |moment| {
                    locked(&book).totals_now(moment);
                    // Who waits may have lost patience.
                    let _ = tell.send(());
                });
            }
            // Without that reading the last one stands.
            let _ = told.recv_timeout(LONGEST_FINISH);
            locked(&self.0.book).so_far_of(outcome)
        }

        /// The ledger's name, where there is one.
        pub(in crate::run) fn record(&self) -> Option<Name> {
            locked(&self.0.book).name().cloned()
        }

        pub(in crate::run) fn components(&self) -> Vec<Component> {
            locked(&self.0.book).components().to_vec()
        }

        pub(in crate::run) fn is_virtual(&self) -> bool {
            locked(&self.0.book).is_virtual()
        }
    }
}
