//! A counter that moves in ticks, as NVIDIA's do every 20 to 100 ms: what it shows is the energy at its last tick.
//!
//! Readings a few milliseconds apart tell when it ticked. The energy at a moment before a tick is then the tick's,
//! less the power in between: so an edge is known to milliseconds, and not to a tick.

use std::collections::VecDeque;
use std::time::Duration;

use super::{LONGEST_TICK, REMEMBERED};
use crate::units::{Energy, Power};

/// A power reading speaks for a moment that is at most this far away.
const NEAR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Ticks {
    /// When the counter ticked and the energy that it then showed, as far as it was seen closely, oldest first.
    ticks: VecDeque<(Duration, Energy)>,
    powers: VecDeque<(Duration, Power)>,
    /// The energy that the counter had yet to show when the account began.
    pub(super) lag: Option<Energy>,
}

impl Ticks {
    pub(super) fn observe_tick(&mut self, at: Duration, energy: Energy) {
        push(&mut self.ticks, (at, energy));
    }

    pub(super) fn observe_power(&mut self, at: Duration, power: Power) {
        push(&mut self.powers, (at, power));
    }

    pub(super) fn has_ticked_since(&self, moment: Duration) -> bool {
        self.ticks.back().is_some_and(|(at, _)| *at >= moment)
    }

    /// The first tick at or after a moment, unless it is so late that one before it must have been missed.
    pub(super) fn next_after(&self, moment: Duration) -> Option<(Duration, Energy)> {
        let next = self.ticks.iter().find(|(at, _)| *at >= moment)?;
        (next.0 - moment <= LONGEST_TICK).then_some(*next)
    }

    /// The integral of the power readings over a short time; none where no reading is near.
    pub(super) fn used_between(&self, from: Duration, to: Duration) -> Option<Energy> {
        let near = |at: Duration| at + NEAR >= from && at <= to + NEAR;
        let powers: Vec<_> = self.powers.iter().copied().filter(|(at, _)| near(*at)).collect();
        let (mut then, mut before) = (from, power_at(&powers, from)?);
        let mut used = Energy::ZERO;
        let within = powers.iter().copied().filter(|(at, _)| *at > from && *at < to);
        for (at, power) in within.chain([(to, power_at(&powers, to)?)]) {
            used += (before + power) * 0.5 * (at - then);
            (then, before) = (at, power);
        }
        Some(used)
    }
}

/// The power at a moment, on the line between the readings around it; beyond them the nearest one's.
fn power_at(powers: &[(Duration, Power)], moment: Duration) -> Option<Power> {
    let after = powers.partition_point(|(at, _)| *at < moment);
    match (after.checked_sub(1).map(|before| powers[before]), powers.get(after)) {
        (Some((then, before)), Some(&(at, power))) => {
            let part = (moment - then).as_secs_f64() / (at - then).as_secs_f64();
            Some(before + (power - before) * part)
        }
        (Some((_, power)), None) | (None, Some(&(_, power))) => Some(power),
        (None, None) => None,
    }
}

fn push<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == REMEMBERED {
        kept.pop_front();
    }
    kept.push_back(item);
}
