//! What is written for each sample: a ledger line, a heartbeat, or nothing.
//!
//! In the first minute a line is written every second, so that a short run has a power curve; then one per minute. Of
//! those, only every thirtieth has the full totals of all components, and the others have the energies alone, which keeps
//! a day of ten components under 0.5 MB instead of 1.5 MB. The heartbeat, the epochs and the last line always have the
//! full totals.

use std::time::Duration;

use sootprint_core::{Energy, SensorFault};
use sootprint_power::{ComponentInfo, ComponentTotal, SUSPENDED_POWER, SampleView, SensorEvent};

use super::open_intervals::energy_between;
use super::{RecorderState, RunRecorder};
use crate::ledger::{LedgerEntry, OpenEpoch, OpenLedger, WorkCounts};

const INITIAL_PERIOD: Duration = Duration::from_secs(60);
const INITIAL_ENTRY_INTERVAL: Duration = Duration::from_secs(1);
const ENTRY_INTERVAL: Duration = Duration::from_secs(60);
const COMPACT_ENTRIES_PER_FULL: u32 = 29;

/// The heartbeat is replaced with the first sample after this interval. GPUs that are expensive to read are sampled once
/// per second, and a killed run may lose at most the last two seconds.
const HEARTBEAT_INTERVAL: Duration = Duration::from_millis(500);

/// The hardware is sampled at least once per second: a pending sample leaves at most this much time unmeasured.
const MAX_PENDING_SECONDS: f64 = 2.0;

impl RunRecorder {
    pub(crate) fn on_sample(&mut self, sample: &SampleView<'_>, events: &[SensorEvent]) {
        if self.state == RecorderState::New {
            // The first sample is taken before the header is written.
            self.first_events.extend_from_slice(events);
        }
        if self.state != RecorderState::Recording {
            return;
        }
        self.add_components(sample);
        let first_events = std::mem::take(&mut self.first_events);
        for event in first_events.iter().chain(events) {
            if let SensorEvent::UsersChanged { component, users } = *event {
                self.record(LedgerEntry::GpuUsers { at: sample.now.as_secs_f64(), component, users });
                continue;
            }
            if let Some((component, fault)) = sensor_fault(event)
                && !self.builder.has_fault(component, fault)
            {
                self.record(LedgerEntry::SensorFault { at: sample.now.as_secs_f64(), component, fault });
            }
            let text = describe_event(event, sample.components);
            // A driver may repeat the same fault several times per second.
            if !self.builder.has_note(&text) {
                self.record(LedgerEntry::Note { at: sample.now.as_secs_f64(), text });
            }
        }
        if self.is_finishing {
            return;
        }
        let interval = if sample.now <= INITIAL_PERIOD { INITIAL_ENTRY_INTERVAL } else { ENTRY_INTERVAL };
        if self.last_entry_at.is_none_or(|last| sample.now >= last + interval) {
            self.last_entry_at = Some(sample.now);
            let entry = self.next_totals_entry(sample);
            self.record(entry);
            if self.epoch.is_none() {
                self.write_outside_epochs(sample.now, WorkCounts::default());
            }
        }
        if self.last_heartbeat_at.is_none_or(|last| sample.now >= last + HEARTBEAT_INTERVAL) {
            self.last_heartbeat_at = Some(sample.now);
            self.write_heartbeat(sample);
        }
    }

    /// A line with the totals so far, or with the energies alone.
    fn next_totals_entry(&mut self, sample: &SampleView<'_>) -> LedgerEntry {
        let (at, totals) = (sample.now.as_secs_f64(), sample.accumulator.totals(sample.now));
        let (_, previous, compact_count) = &self.last_entry;
        let is_full = sample.now <= INITIAL_PERIOD || *compact_count >= COMPACT_ENTRIES_PER_FULL;
        let energy = if is_full { None } else { compact_energies(previous, &totals) };
        self.last_entry = (at, totals.clone(), if energy.is_some() { compact_count + 1 } else { 0 });
        match energy {
            Some(energy) => LedgerEntry::Energy { at, energy },
            None => LedgerEntry::Totals { at, totals },
        }
    }

    fn write_heartbeat(&mut self, sample: &SampleView<'_>) {
        let (at, totals) = (sample.now.as_secs_f64(), sample.accumulator.totals(sample.now));
        self.latest_totals = Some((at, totals.clone()));
        let Some(OpenLedger { ledger, .. }) = &self.ledger else { return };
        let epoch = self.epoch.as_ref().map(|open| {
            let energy = energy_between(&open.start_energy, &sample.accumulator.energy_at(sample.now));
            OpenEpoch { epoch: open.number, start: open.start.as_secs_f64(), energy }
        });
        ledger.write_heartbeat(&LedgerEntry::Heartbeat { at, totals, epoch });
    }
}

/// The energies, rounded to a millijoule. `None` if they do not describe everything since the last line: a counter was
/// reset, or a component was measured for a part of that time only.
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

/// The fault that an event reveals, and its component.
fn sensor_fault(event: &SensorEvent) -> Option<(usize, SensorFault)> {
    match *event {
        SensorEvent::Implausible { component } => Some((component, SensorFault::ImplausibleReadings)),
        SensorEvent::CounterFaulty { component } => Some((component, SensorFault::CounterFaulty)),
        _ => None,
    }
}

fn describe_event(event: &SensorEvent, components: &[ComponentInfo]) -> String {
    let name = |index: &usize| {
        components.get(*index).map_or_else(String::new, |it| format!("{} ({})", it.name, it.id))
    };
    match event {
        SensorEvent::CounterReset { component } => {
            format!(
                "{}: energy counter reset; the gap is filled from power readings if available",
                name(component)
            )
        }
        SensorEvent::Implausible { component } => {
            format!(
                "{}: implausible reading, not counted: outside the power range of this component",
                name(component)
            )
        }
        SensorEvent::CounterFaulty { component } => {
            format!(
                "{}: energy counter stopped or far below the power readings; those are used instead if available",
                name(component)
            )
        }
        SensorEvent::Suspended { component } => {
            format!("{}: suspended, counted as 0 to {SUSPENDED_POWER}", name(component))
        }
        SensorEvent::UsersChanged { component, .. } => {
            format!("{}: the processes using it changed", name(component))
        }
        SensorEvent::Unavailable { component, reason } => {
            format!("{} cannot be read: {reason}", name(component))
        }
        SensorEvent::Recovered { component } => format!("{}: readings resumed", name(component)),
    }
}
