//! What is written of each reading: a line, a heartbeat, or nothing.

use std::time::Duration;

use sootprint_core::Energy;
use sootprint_power::{ComponentInfo, ComponentTotal, SampleView, SensorEvent};

use super::epochs::energy_between;
use super::{RecorderState, RunRecorder};
use crate::ledger::{LedgerEntry, OpenEpoch, OpenLedger, WorkCounts};

/// At first a line a second, so that a short run has a curve; then one a minute, which keeps a day under 0.5 MB, since
/// but one in thirty has all of the totals. In between the heartbeat is replaced with each reading that is half a second
/// after the last one: boards that are dear to read are read once a second, and no more than two may be lost.
const INITIAL_PERIOD: Duration = Duration::from_secs(60);
const INITIAL_ENTRY_INTERVAL: Duration = Duration::from_secs(1);
const ENTRY_INTERVAL: Duration = Duration::from_secs(60);
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);
const COMPACT_ENTRIES_PER_FULL: u32 = 29;

/// Boards are read once a second or more often: up to so many seconds a reading may be outstanding.
const MAX_PENDING_SECONDS: f64 = 2.0;

impl RunRecorder {
    pub(in crate::run) fn on_sample(&mut self, moment: &SampleView<'_>, events: &[SensorEvent]) {
        if self.state != RecorderState::Recording {
            return;
        }
        for event in events {
            if let SensorEvent::UsersChanged { component, users } = *event {
                self.record(LedgerEntry::GpuUsers { at: moment.now.as_secs_f64(), component, users });
                continue;
            }
            self.record(LedgerEntry::Note {
                at: moment.now.as_secs_f64(),
                text: describe_event(event, moment.components),
            });
        }
        if self.is_finishing {
            return;
        }
        let interval = if moment.now <= INITIAL_PERIOD { INITIAL_ENTRY_INTERVAL } else { ENTRY_INTERVAL };
        if self.last_entry_at.is_none_or(|written| moment.now >= written + interval) {
            self.last_entry_at = Some(moment.now);
            let entry = self.next_totals_entry(moment);
            self.record(entry);
            if self.epoch.is_none() {
                self.write_outside_epochs(moment, WorkCounts::default());
            }
        }
        if self.last_heartbeat_at.is_none_or(|beaten| moment.now >= beaten + HEARTBEAT_INTERVAL) {
            self.last_heartbeat_at = Some(moment.now);
            self.write_heartbeat(moment);
        }
    }

    /// The totals so far; of most minutes the energies alone.
    fn next_totals_entry(&mut self, moment: &SampleView<'_>) -> LedgerEntry {
        let (at, totals) = (moment.now.as_secs_f64(), moment.accumulator.totals(moment.now));
        let (_, previous, compact_count) = &self.last_entry;
        let is_full = moment.now <= INITIAL_PERIOD || *compact_count >= COMPACT_ENTRIES_PER_FULL;
        let energy = if is_full { None } else { compact_energies(previous, &totals) };
        self.last_entry = (at, totals.clone(), if energy.is_some() { compact_count + 1 } else { 0 });
        match energy {
            Some(energy) => LedgerEntry::Energy { at, energy },
            None => LedgerEntry::Totals { at, totals },
        }
    }

    fn write_heartbeat(&mut self, moment: &SampleView<'_>) {
        let (at, totals) = (moment.now.as_secs_f64(), moment.accumulator.totals(moment.now));
        self.latest_totals = Some((at, totals.clone()));
        let Some(OpenLedger { ledger, .. }) = &self.ledger else { return };
        let epoch = self.epoch.as_ref().map(|open| {
            let energy = energy_between(&open.start_energy, &moment.accumulator.energy_at(moment.now));
            OpenEpoch { epoch: open.number, start: open.start.as_secs_f64(), energy }
        });
        ledger.write_heartbeat(&LedgerEntry::Heartbeat { at, totals, epoch });
    }
}

/// The energies, to a millijoule, where they say all that is new since the last line: each component was read all of
/// the time since then, or none of it.
fn compact_energies(previous: &[ComponentTotal], current: &[ComponentTotal]) -> Option<Vec<Option<Energy>>> {
    let energy = |(previous, current): (&ComponentTotal, &ComponentTotal)| {
        let measured = current.measured - previous.measured;
        let unmeasured = current.unmeasured - previous.unmeasured;
        let rounded = Energy::from_joules((current.energy.joules() * 1e3).round() / 1e3);
        match () {
            () if previous.resets != current.resets => None,
            () if measured <= 0.0 && unmeasured > MAX_PENDING_SECONDS => Some(None),
            () if unmeasured.abs() <= MAX_PENDING_SECONDS => Some(Some(rounded)),
            () => None,
        }
    };
    if previous.len() != current.len() {
        return None;
    }
    previous.iter().zip(current).map(energy).collect()
}

fn describe_event(event: &SensorEvent, components: &[ComponentInfo]) -> String {
    let name = |index: &usize| {
        components.get(*index).map_or_else(String::new, |it| format!("{} ({})", it.name, it.id))
    };
    match event {
        SensorEvent::CounterReset { component } => {
            format!(
                "{}: its energy counter began again; what it used just before is taken from its power, where it tells one",
                name(component)
            )
        }
        SensorEvent::Implausible { component } => {
            format!("{}: a reading showed more than it can draw and is not counted", name(component))
        }
        SensorEvent::UsersChanged { component, .. } => {
            format!("{} has other users than before", name(component))
        }
        SensorEvent::Unavailable { component, reason } => {
            format!("{} cannot be read: {reason}", name(component))
        }
        SensorEvent::Recovered { component } => format!("{} can be read again", name(component)),
    }
}
