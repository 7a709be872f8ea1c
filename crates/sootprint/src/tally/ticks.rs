//! A counter that moves in ticks, as NVIDIA's do every 20 to 100 ms: what it shows is the energy at its last tick.
//!
//! Readings a few milliseconds apart tell when it ticked. The energy at a moment before a tick is then the tick's,
//! less the power in between: so an edge is known to milliseconds, and not to a tick.

use std::collections::VecDeque;
use std::time::Duration;

use super::account::between_powers;
use super::{LONGEST_TICK, REMEMBERED};
use crate::source::Bounded;
use crate::units::{Energy, Power};

/// A power reading speaks for a moment that is at most this far away.
const NEAR: Duration = Duration::from_secs(1);

#[derive(Debug, Default)]
pub(super) struct Ticks {
    /// As far as they were seen closely, oldest first.
    ticks: VecDeque<Tick>,
    powers: VecDeque<(Duration, Power)>,
    /// The highest of all power readings.
    pub(super) highest: Power,
    /// Known as soon as the counter has ticked once, or should have.
    pub(super) lag: Option<Lag>,
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
        push(&mut self.ticks, Tick { at: (then + now) / 2, width: (now - then) / 2, energy });
    }

    pub(super) fn observe_power(&mut self, at: Duration, power: Power) {
        push(&mut self.powers, (at, power));
        if power > self.highest {
            self.highest = power;
        }
    }

    pub(super) fn has_ticked_since(&self, moment: Duration) -> bool {
        self.ticks.back().is_some_and(|tick| tick.at >= moment)
    }

    /// The first tick at or after a moment, unless it is so late that one before it must have been missed.
    pub(super) fn next_after(&self, moment: Duration) -> Option<Tick> {
        let next = self.ticks.iter().find(|tick| tick.at >= moment)?;
        (next.at - moment <= LONGEST_TICK).then_some(*next)
    }

    /// The integral of the power readings over a short time; none where no reading is near. Between two readings the
    /// power is taken to lie between them; where they are far apart, and outside of them, between nothing and `most`.
    pub(super) fn used_between(&self, from: Duration, to: Duration, most: Power) -> Option<Bounded> {
        let near = |at: Duration| at + NEAR >= from && at <= to + NEAR;
        let powers: Vec<_> = self.powers.iter().copied().filter(|(at, _)| near(*at)).collect();
        let first = powers.first().copied()?;
        let last = powers.last().copied()?;
        let pairs = powers.iter().zip(powers.iter().skip(1));
        let inside =
            pairs.map(|(then, now)| part_between(*then, *now, from.max(then.0), to.min(now.0), most));
        // Before the first reading the best guess is what it showed, and so after the last.
        let outside = |time: Duration, power: Power| between_powers(power, power, time).up_to(most * time);
        let before = outside(first.0.min(to).saturating_sub(from), first.1);
        let after = outside(to.saturating_sub(last.0.max(from)), last.1);
        Some(inside.fold(before.plus(after), Bounded::plus))
    }
}

/// What was used in a part of the time between two readings, on the line between them.
fn part_between(
    then: (Duration, Power),
    now: (Duration, Power),
    from: Duration,
    to: Duration,
    most: Power,
) -> Bounded {
    let Some(time) = to.checked_sub(from).filter(|time| !time.is_zero()) else { return Bounded::default() };
    let middle = (from - then.0 + time / 2).as_secs_f64() / (now.0 - then.0).as_secs_f64();
    let best = (then.1 + (now.1 - then.1) * middle) * time;
    let part = Bounded { best, ..between_powers(then.1, now.1, time) };
    if now.0 - then.0 > LONGEST_TICK { part.up_to(most * time) } else { part }
}

fn push<T>(kept: &mut VecDeque<T>, item: T) {
    if kept.len() == REMEMBERED {
        kept.pop_front();
    }
    kept.push_back(item);
}
