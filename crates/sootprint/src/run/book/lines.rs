//! What is written of each reading: a line, a heartbeat, or nothing.

use std::time::Duration;

use sootprint_core::Energy;
use sootprint_power::{Component, Finding, Moment, Total};

use super::epochs::between;
use super::{Book, State};
use crate::ledger::{Begun, Counts, Entry, OpenEpoch};

/// At first a line a second, so that a short run has a curve; then one a minute, which keeps a day under 0.5 MB, since
/// but one in thirty has all of the totals. In between the heartbeat is replaced with each reading that is half a second
/// after the last one: boards that are dear to read are read once a second, and no more than two may be lost.
const FIRST_LINES: Duration = Duration::from_secs(60);
const FIRST_CADENCE: Duration = Duration::from_secs(1);
const CADENCE: Duration = Duration::from_secs(60);
const HEARTBEAT: Duration = Duration::from_millis(500);
const SLIM_LINES: u32 = 29;

/// Boards are read once a second or more often: up to so many seconds a reading may be outstanding.
const OUTSTANDING: f64 = 2.0;

impl Book {
    pub(in crate::run) fn sampled(&mut self, moment: &Moment<'_>, findings: &[Finding]) {
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
        if self.is_ending {
            return;
        }
        let cadence = if moment.now <= FIRST_LINES { FIRST_CADENCE } else { CADENCE };
        if self.written.is_none_or(|written| moment.now >= written + cadence) {
            self.written = Some(moment.now);
            let line = self.line(moment);
            self.record(line);
            if self.epoch.is_none() {
                self.write_between(moment, Counts::default());
            }
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

    fn beat(&mut self, moment: &Moment<'_>) {
        let (at, totals) = (moment.now.as_secs_f64(), moment.tally.totals(moment.now));
        self.newest = Some((at, totals.clone()));
        let Some(Begun { ledger, .. }) = &self.ledger else { return };
        let epoch = self.epoch.as_ref().map(|open| {
            let energy = between(&open.energy, &moment.tally.energy_at(moment.now));
            OpenEpoch { epoch: open.number, start: open.start.as_secs_f64(), energy }
        });
        ledger.beat(&Entry::Beat { at, totals, epoch });
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

fn describe(finding: &Finding, components: &[Component]) -> String {
    let name = |index: &usize| {
        components.get(*index).map_or_else(String::new, |it| format!("{} ({})", it.name, it.id))
    };
    match finding {
        Finding::Reset { component } => {
            format!(
                "{}: its energy counter began again; what it used just before is taken from its power, where it tells one",
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
