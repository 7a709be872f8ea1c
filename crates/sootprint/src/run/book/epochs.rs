//! Epochs and phases in a run's record.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sootprint_core::{Co2e, Energy};
use sootprint_power::Moment;

use super::{Book, State};
use crate::ledger::{Counts, Entry, Phase};

/// An epoch that has begun and not ended.
#[derive(Debug)]
pub(super) struct OpenEpoch {
    pub(super) number: u32,
    pub(super) start: Duration,
    pub(super) energy: Vec<Energy>,
}

/// What an epoch came to, for who watches.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(in crate::run) struct Ended {
    pub(in crate::run) duration: Duration,
    pub(in crate::run) energy: Energy,
    pub(in crate::run) emissions: Co2e,
}

/// Tells one open phase from another of its name.
pub(in crate::run) type PhaseId = u64;

/// The open phases, and the sum of those that ended since the last line that told of any.
#[derive(Debug, Default)]
pub(super) struct Phases {
    open: Vec<OpenPhase>,
    sums: Vec<Phase>,
}

#[derive(Debug)]
struct OpenPhase {
    id: PhaseId,
    name: String,
    start: Duration,
    energy: Vec<Energy>,
}

impl Book {
    /// An epoch begins; one that is still open ended here without being complete. What was counted before belongs to
    /// the one that ends, or to none.
    pub(super) fn epoch_started(
        &mut self,
        number: u32,
        moment: &Moment<'_>,
        before: Counts,
    ) -> Option<Ended> {
        if self.state != State::Begun {
            return None;
        }
        let ended = if self.epoch.is_some() {
            self.epoch_ended(false, moment, before)
        } else {
            self.end_between(moment, before);
            None
        };
        let energy = moment.tally.energy_at(moment.now);
        self.epoch = Some(OpenEpoch { number, start: moment.now, energy });
        ended
    }

    /// The open epoch ends; what it came to, when there was one.
    pub(super) fn epoch_ended(
        &mut self,
        completed: bool,
        moment: &Moment<'_>,
        counts: Counts,
    ) -> Option<Ended> {
        let OpenEpoch { number, start, energy } = self.epoch.take()?;
        let now = moment.tally.energy_at(moment.now);
        self.phases.cut(moment.now, &now);
        let energy = between(&energy, &now);
        let sum = self.fold.sum(moment.components, &energy);
        let phases = std::mem::take(&mut self.phases.sums);
        self.record(Entry::Epoch {
            epoch: number,
            start: start.as_secs_f64(),
            end: moment.now.as_secs_f64(),
            energy,
            completed,
            counts,
            phases,
        });
        self.sync();
        let duration = moment.now.saturating_sub(start);
        Some(Ended { duration, energy: sum, emissions: self.fold.emissions(sum) })
    }

    pub(super) fn phase_started(&mut self, id: PhaseId, name: String, moment: &Moment<'_>) {
        if self.state == State::Begun {
            let energy = moment.tally.energy_at(moment.now);
            self.phases.open.push(OpenPhase { id, name, start: moment.now, energy });
        }
    }

    pub(super) fn phase_ended(&mut self, id: PhaseId, moment: &Moment<'_>) {
        let Some(position) = self.phases.open.iter().position(|open| open.id == id) else { return };
        let open = self.phases.open.swap_remove(position);
        self.phases.add(&open, moment.now, &moment.tally.energy_at(moment.now));
    }

    /// An epoch begins here, or the run ends: what was outside of epochs up to now is written.
    pub(super) fn end_between(&mut self, moment: &Moment<'_>, counts: Counts) {
        self.phases.cut(moment.now, &moment.tally.energy_at(moment.now));
        self.write_between(moment, counts);
    }

    /// Writes what was counted outside of epochs, and the phases that ended there, if there is any of it.
    pub(super) fn write_between(&mut self, moment: &Moment<'_>, counts: Counts) {
        let phases = std::mem::take(&mut self.phases.sums);
        if counts != Counts::default() || !phases.is_empty() {
            self.record(Entry::Between { at: moment.now.as_secs_f64(), counts, phases });
        }
    }
}

impl Phases {
    /// An epoch ends or begins here: what the open phases used up to here belongs to what was before.
    fn cut(&mut self, now: Duration, energy: &[Energy]) {
        for mut open in std::mem::take(&mut self.open) {
            self.add(&open, now, energy);
            (open.start, open.energy) = (now, energy.to_vec());
            self.open.push(open);
        }
    }

    fn add(&mut self, open: &OpenPhase, now: Duration, energy: &[Energy]) {
        let seconds = now.saturating_sub(open.start).as_secs_f64();
        let used = between(&open.energy, energy);
        match self.sums.iter_mut().find(|sum| sum.name == open.name) {
            Some(sum) => {
                sum.seconds += seconds;
                sum.energy.iter_mut().zip(used).for_each(|(sum, used)| *sum += used);
            }
            None => self.sums.push(Phase { name: open.name.clone(), seconds, energy: used }),
        }
    }
}

/// What each component used between two edges. Each is found from the readings around it, so that of two that nearly
/// touch the later one may come out below the earlier one.
pub(super) fn between(then: &[Energy], now: &[Energy]) -> Vec<Energy> {
    let used = |(then, now): (&Energy, &Energy)| if now < then { Energy::ZERO } else { *now - *then };
    then.iter().zip(now).map(used).collect()
}
