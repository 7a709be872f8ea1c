//! A counter that moves in ticks, as NVIDIA's do every 20 to 100 ms: what it shows is the energy at its last tick.
//!
//! Readings a few milliseconds apart tell when it ticked. The energy at a moment before a tick is then the tick's,
//! less the power in between: so an edge is known to milliseconds, and not to a tick.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::Energy;

use super::limits::{HISTORY_LEN, MAX_TICK_INTERVAL};
use super::power_history::PowerHistory;

/// Two readings this close tell when a counter ticked between them: to half of this at worst. Where readings are dear it
/// may be more, as [`EnergyAccumulator::set_tick_resolution`] says.
const TICK_RESOLUTION: Duration = Duration::from_millis(10);

#[derive(Debug)]
pub(super) struct TickTracker {
    /// As far as they were seen closely, oldest first.
    ticks: VecDeque<CounterTick>,
    pub(super) power_history: PowerHistory,
    /// Known as soon as the counter has ticked once, or should have.
    pub(super) initial_lag: Option<InitialLag>,
    /// How close two readings have to be to tell when it ticked.
    pub(super) resolution: Duration,
}

impl Default for TickTracker {
    fn default() -> Self {
        Self {
            ticks: VecDeque::new(),
            power_history: PowerHistory::default(),
            initial_lag: None,
            resolution: TICK_RESOLUTION,
        }
    }
}

/// A movement of the counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct CounterTick {
    /// The middle of the readings around it.
    pub(super) at: Duration,
    /// How far it may lie from there.
    pub(super) uncertainty: Duration,
    /// What the counter showed from then on.
    pub(super) energy: Energy,
}

/// The energy that the counter had yet to show when the account began, and how far that may be off.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InitialLag {
    pub(super) energy: Energy,
    pub(super) uncertainty: Energy,
}

impl TickTracker {
    /// Sets how close together two readings of the counter are from now on.
    pub(super) fn set_resolution(&mut self, interval: Duration) {
        self.resolution = interval.max(TICK_RESOLUTION);
    }

    /// The counter ticked between two readings.
    pub(super) fn record_tick(&mut self, then: Duration, now: Duration, energy: Energy) {
        if self.ticks.len() == HISTORY_LEN {
            self.ticks.pop_front();
        }
        self.ticks.push_back(CounterTick { at: (then + now) / 2, uncertainty: (now - then) / 2, energy });
    }

    pub(super) fn has_ticked_since(&self, moment: Duration) -> bool {
        self.ticks.back().is_some_and(|tick| tick.at >= moment)
    }

    /// The first tick at or after a moment, unless it is so late that one before it must have been missed.
    pub(super) fn first_tick_after(&self, moment: Duration) -> Option<CounterTick> {
        let next = self.ticks.iter().find(|tick| tick.at >= moment)?;
        (next.at - moment <= MAX_TICK_INTERVAL).then_some(*next)
    }
}
