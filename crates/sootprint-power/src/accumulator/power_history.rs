//! Power samples of a component with a counter, from which its energy between two ticks is derived.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::Power;

use super::limits::{HISTORY_LEN, MAX_TICK_INTERVAL};
use crate::source::EnergyBounds;

/// A sample is used for moments at most this far away.
const MAX_SAMPLE_DISTANCE: Duration = Duration::from_secs(1);

/// Maximum age of a reported power. An H100 samples its power for 25 ms of every 100 ms and reports that value
/// until the next sample (Yang et al. 2023, <https://arxiv.org/abs/2312.02741>).
const MAX_SAMPLE_AGE: Duration = Duration::from_millis(100);

#[derive(Debug, Default)]
pub(super) struct PowerHistory {
    /// The last samples, oldest first.
    samples: VecDeque<PowerSample>,
    /// The highest power of all samples.
    pub(super) highest_power: Power,
    /// Whether a read has failed since the last sample.
    has_gap: bool,
}

#[derive(Debug, Clone, Copy)]
struct PowerSample {
    at: Duration,
    power: Power,
    /// Whether a read failed between the previous sample and this one.
    after_gap: bool,
}

impl PowerHistory {
    pub(super) fn record(&mut self, at: Duration, power: Power) {
        if self.samples.len() == HISTORY_LEN {
            self.samples.pop_front();
        }
        let after_gap = std::mem::take(&mut self.has_gap);
        self.samples.push_back(PowerSample { at, power, after_gap });
        if power > self.highest_power {
            self.highest_power = power;
        }
    }

    /// Records that a read failed.
    pub(super) fn record_missed_read(&mut self) {
        self.has_gap = true;
    }

    /// The energy from `from` to `to`, a short time. `None` if no sample is near.
    ///
    /// The power is bounded by the samples within that time and those close enough before and after it that they
    /// may belong to it. Where samples are far apart, around a failed read, and outside the first and last sample,
    /// it is bounded by zero and `max_power`.
    pub(super) fn energy_between(
        &self,
        from: Duration,
        to: Duration,
        max_power: Power,
    ) -> Option<EnergyBounds> {
        let near = |reading: &&PowerSample| {
            reading.at + MAX_SAMPLE_DISTANCE >= from && reading.at <= to + MAX_SAMPLE_DISTANCE
        };
        let samples: Vec<PowerSample> = self.samples.iter().filter(near).copied().collect();
        let (first, last) = (samples.first()?, samples.last()?);
        let pairs = samples.iter().zip(samples.iter().skip(1));
        let inside =
            pairs.map(|(then, now)| now.energy_since(then, from.max(then.at), to.min(now.at), max_power));
        // The best estimate is the power of the nearest sample.
        let outside =
            |time: Duration, power: Power| trapezoid_bounds(power, power, time).widen_to(max_power * time);
        let before = outside(first.at.min(to).saturating_sub(from), first.power);
        let after = outside(to.saturating_sub(last.at.max(from)), last.power);
        let used = inside.fold(before.plus(after), EnergyBounds::plus);
        let nearby =
            samples.iter().filter(|it| it.at + MAX_SAMPLE_AGE >= from && it.at <= to + MAX_SAMPLE_AGE);
        Some(nearby.fold(used, |used, it| used.include(it.power * to.saturating_sub(from))))
    }
}

impl PowerSample {
    /// The energy of a part of the time since another sample, interpolated linearly between the two.
    fn energy_since(&self, then: &Self, from: Duration, to: Duration, max_power: Power) -> EnergyBounds {
        let Some(time) = to.checked_sub(from).filter(|time| !time.is_zero()) else {
            return EnergyBounds::default();
        };
        let middle = (from - then.at + time / 2).as_secs_f64() / (self.at - then.at).as_secs_f64();
        let best = (then.power + (self.power - then.power) * middle) * time;
        let used = EnergyBounds { best, ..trapezoid_bounds(then.power, self.power, time) };
        let has_gap = self.after_gap || self.at - then.at > MAX_TICK_INTERVAL;
        if has_gap { used.widen_to(max_power * time) } else { used }
    }
}

/// The energy between two power samples, whose power is assumed to stay between the two values.
pub(super) fn trapezoid_bounds(before: Power, after: Power, time: Duration) -> EnergyBounds {
    let (low, high) = if before < after { (before, after) } else { (after, before) };
    EnergyBounds { low: low * time, best: (before + after) * 0.5 * time, high: high * time }
}
