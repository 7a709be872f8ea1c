//! A counter that moves in ticks, as NVIDIA's do every 20 to 100 ms: what it shows is the energy at its last tick.
//!
//! Readings a few milliseconds apart tell when it ticked. The energy at a moment before a tick is then the tick's,
//! less the power in between: so an edge is known to milliseconds, and not to a tick.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::Energy;

use super::powers::Powers;
use super::{FINE, LONGEST_TICK, REMEMBERED};

#[derive(Debug)]
pub(super) struct Ticks {
    /// As far as they were seen closely, oldest first.
    ticks: VecDeque<Tick>,
    pub(super) powers: Powers,
    /// Known as soon as the counter has ticked once, or should have.
    pub(super) lag: Option<Lag>,
    /// How close two readings have to be to tell when it ticked.
    pub(super) fine: Duration,
}

impl Default for Ticks {
    fn default() -> Self {
        Self { ticks: VecDeque::new(), powers: Powers::default(), lag: None, fine: FINE }
    }
}

/// A movement of the counter.
#[derive(Debug, Clone, Copy)]
pub(super) struct Tick {
    /// The middle of the readings around it.
    pub(super) at: Duration,
    /// How far it may lie from there.
    pub(super) width: Duration,
    /// What the counter showed from then on.
    pub(super) energy: Energy,
}

/// The energy that the counter had yet to show when the account began, and how far that may be off.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Lag {
    pub(super) energy: Energy,
    pub(super) blur: Energy,
}

impl Ticks {
    /// The counter ticked between two readings.
    pub(super) fn observe_tick(&mut self, then: Duration, now: Duration, energy: Energy) {
        if self.ticks.len() == REMEMBERED {
            self.ticks.pop_front();
        }
        self.ticks.push_back(Tick { at: (then + now) / 2, width: (now - then) / 2, energy });
    }

    pub(super) fn has_ticked_since(&self, moment: Duration) -> bool {
        self.ticks.back().is_some_and(|tick| tick.at >= moment)
    }

    /// The first tick at or after a moment, unless it is so late that one before it must have been missed.
    pub(super) fn next_after(&self, moment: Duration) -> Option<Tick> {
        let next = self.ticks.iter().find(|tick| tick.at >= moment)?;
        (next.at - moment <= LONGEST_TICK).then_some(*next)
    }
}
