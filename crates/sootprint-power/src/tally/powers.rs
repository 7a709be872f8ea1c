//! The power of a counter's component from reading to reading, by which what it used between two ticks is known.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::Power;

use super::{LONGEST_TICK, REMEMBERED};
use crate::source::Bounded;

/// A reading speaks for a moment that is at most this far away.
const NEAR: Duration = Duration::from_secs(1);

/// The power that a board tells may be this old: an H100 looks at it for 25 ms in each 100 ms, and tells what it saw until
/// the next time (Yang et al. 2023, <https://arxiv.org/abs/2312.02741>).
const OLDEST: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct Powers {
    /// The last readings, oldest first.
    readings: VecDeque<Reading>,
    /// The highest of all.
    pub(super) highest: Power,
    /// Whether the component was silent since the last reading.
    is_silent: bool,
}

#[derive(Debug, Clone, Copy)]
struct Reading {
    at: Duration,
    power: Power,
    /// Whether nothing is known of the time since the one before it.
    after_silence: bool,
}

impl Powers {
    pub(super) fn observe(&mut self, at: Duration, power: Power) {
        if self.readings.len() == REMEMBERED {
            self.readings.pop_front();
        }
        let after_silence = std::mem::take(&mut self.is_silent);
        self.readings.push_back(Reading { at, power, after_silence });
        if power > self.highest {
            self.highest = power;
        }
    }

    /// The component did not answer.
    pub(super) fn miss(&mut self) {
        self.is_silent = true;
    }

    /// The integral over a short time; none where no reading is near.
    ///
    /// The power is taken to lie between all that were told in that time, or so soon before and after that they may be of
    /// it. Where readings are far apart or on either side of a silence, and before the first one and after the last, it
    /// may be anything from nothing to `most`.
    pub(super) fn used_between(&self, from: Duration, to: Duration, most: Power) -> Option<Bounded> {
        let near = |reading: &&Reading| reading.at + NEAR >= from && reading.at <= to + NEAR;
        let readings: Vec<Reading> = self.readings.iter().filter(near).copied().collect();
        let (first, last) = (readings.first()?, readings.last()?);
        let pairs = readings.iter().zip(readings.iter().skip(1));
        let inside = pairs.map(|(then, now)| now.used_since(then, from.max(then.at), to.min(now.at), most));
        // The best guess is what the nearest reading showed.
        let outside = |time: Duration, power: Power| between(power, power, time).up_to(most * time);
        let before = outside(first.at.min(to).saturating_sub(from), first.power);
        let after = outside(to.saturating_sub(last.at.max(from)), last.power);
        let used = inside.fold(before.plus(after), Bounded::plus);
        let told = readings.iter().filter(|it| it.at + OLDEST >= from && it.at <= to + OLDEST);
        Some(told.fold(used, |used, it| used.or(it.power * to.saturating_sub(from))))
    }
}

impl Reading {
    /// What was used in a part of the time since another reading, on the line between the two.
    fn used_since(&self, then: &Self, from: Duration, to: Duration, most: Power) -> Bounded {
        let Some(time) = to.checked_sub(from).filter(|time| !time.is_zero()) else {
            return Bounded::default();
        };
        let middle = (from - then.at + time / 2).as_secs_f64() / (self.at - then.at).as_secs_f64();
        let best = (then.power + (self.power - then.power) * middle) * time;
        let used = Bounded { best, ..between(then.power, self.power, time) };
        let is_unsure = self.after_silence || self.at - then.at > LONGEST_TICK;
        if is_unsure { used.up_to(most * time) } else { used }
    }
}

/// The energy between two readings of the power, which is taken to lie between them all the time.
pub(super) fn between(before: Power, after: Power, time: Duration) -> Bounded {
    let (low, high) = if before < after { (before, after) } else { (after, before) };
    Bounded { low: low * time, best: (before + after) * 0.5 * time, high: high * time }
}
