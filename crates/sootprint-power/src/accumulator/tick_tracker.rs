//! Tracks the ticks of a counter that updates in steps, as the counters of NVIDIA GPUs do every 20 to 100 ms.
//! Between two ticks, the counter reports the energy at the last one.
//!
//! Readings a few milliseconds apart locate a tick. The energy at a moment before the tick is the energy at
//! the tick less the energy used in between, so a boundary is resolved to milliseconds instead of a whole
//! tick.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::Energy;

use super::limits::{HISTORY_LEN, MAX_TICK_INTERVAL};
use super::power_history::PowerHistory;

/// Two readings at most this far apart locate a tick between them, with an error of at most half of it. Where
/// readings are expensive, [`TickTracker::set_resolution`] sets a longer interval.
const TICK_RESOLUTION: Duration = Duration::from_millis(10);

/// The ticks and the power samples of one counter.
#[derive(Debug)]
pub(super) struct TickTracker {
    /// The ticks that were observed closely, oldest first.
    ticks: VecDeque<CounterTick>,
    pub(super) power_history: PowerHistory,
    /// How far the counter lagged at the start. Known once the counter has ticked for the first time, or
    /// should have.
    pub(super) initial_lag: Option<InitialLag>,
    /// The maximum distance of two readings that locate a tick.
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

/// A tick of the counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct CounterTick {
    /// The midpoint of the readings around it.
    pub(super) at: Duration,
    /// The maximum distance of the tick from `at`.
    pub(super) uncertainty: Duration,
    /// The counter's value from this tick on.
    pub(super) energy: Energy,
}

/// Energy used before the start that the counter reported only later, and its uncertainty.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct InitialLag {
    pub(super) energy: Energy,
    pub(super) uncertainty: Energy,
}

impl TickTracker {
    /// Sets the interval between two readings of the counter from now on.
    pub(super) fn set_resolution(&mut self, interval: Duration) {
        self.resolution = interval.max(TICK_RESOLUTION);
    }

    /// Records a tick between the readings at `then` and `now`.
    pub(super) fn record_tick(&mut self, then: Duration, now: Duration, energy: Energy) {
        if self.ticks.len() == HISTORY_LEN {
            self.ticks.pop_front();
        }
        self.ticks.push_back(CounterTick { at: (then + now) / 2, uncertainty: (now - then) / 2, energy });
    }

    /// Removes the ticks after a moment.
    pub(super) fn forget_since(&mut self, moment: Duration) {
        self.ticks.retain(|tick| tick.at <= moment);
    }

    /// Whether at least this many ticks have been located.
    pub(super) fn has_ticks(&self, count: usize) -> bool {
        self.ticks.len() >= count
    }

    /// The next located tick after `tick`, otherwise the last one before it. `None` if neither is near.
    pub(super) fn nearest_to(&self, tick: CounterTick) -> Option<CounterTick> {
        /// The mean power over a longer time does not represent the power around the tick.
        const MAX_DISTANCE: Duration = Duration::from_secs(2);

        let next = self.ticks.iter().find(|other| other.at > tick.at);
        let before = self.ticks.iter().rev().find(|other| other.at < tick.at);
        let near = |other: &&CounterTick| other.at.abs_diff(tick.at) <= MAX_DISTANCE;
        next.filter(near).or(before.filter(near)).copied()
    }

    pub(super) fn has_ticked_since(&self, moment: Duration) -> bool {
        self.ticks.back().is_some_and(|tick| tick.at >= moment)
    }

    /// The first tick at or after a moment. `None` if it is so late that an earlier tick must have been missed.
    pub(super) fn first_tick_after(&self, moment: Duration) -> Option<CounterTick> {
        let next = self.ticks.iter().find(|tick| tick.at >= moment)?;
        (next.at - moment <= MAX_TICK_INTERVAL).then_some(*next)
    }
}
