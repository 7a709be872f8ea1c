//! Power samples of a component with a counter, from which its energy between two ticks is derived.

use std::collections::VecDeque;
use std::time::Duration;

use sootprint_core::{Energy, Power};

use super::limits::{HISTORY_LEN, MAX_TICK_INTERVAL};
use crate::source::EnergyBounds;

/// A sample is used for moments at most this far away.
const MAX_SAMPLE_DISTANCE: Duration = Duration::from_secs(1);

/// Samples further apart than this leave a gap in the integral.
const MAX_SAMPLE_INTERVAL: Duration = Duration::from_millis(1_500);

/// Maximum age of a reported power. An H100 samples its power for 25 ms of every 100 ms and reports that value
/// until the next sample (Yang et al. 2023, <https://arxiv.org/abs/2312.02741>).
pub(super) const MAX_SAMPLE_AGE: Duration = Duration::from_millis(100);

/// The recent power samples of a component, and their integral since the first one.
#[derive(Debug, Default)]
pub(super) struct PowerHistory {
    /// The last samples, oldest first.
    samples: VecDeque<PowerSample>,
    /// The highest power of all samples.
    pub(super) highest_power: Power,
    /// The integral from the first sample to the last.
    integral: EnergyBounds,
    /// Whether a read has failed since the last sample.
    has_gap: bool,
}

/// A moment from which the energy to a later one can be determined, however many samples are between them.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct PowerMark {
    at: Duration,
    integral: EnergyBounds,
}

#[derive(Debug, Clone, Copy)]
struct PowerSample {
    at: Duration,
    power: Power,
    /// Whether a read failed between the previous sample and this one.
    after_gap: bool,
    /// The best estimate of the energy from the first sample to this one.
    integral: Energy,
}

impl PowerHistory {
    pub(super) fn record(&mut self, at: Duration, power: Power, max_power: Power) {
        if self.samples.len() == HISTORY_LEN {
            self.samples.pop_front();
        }
        let after_gap = std::mem::take(&mut self.has_gap);
        if let Some(last) = self.samples.back() {
            let time = at.saturating_sub(last.at);
            let energy = trapezoid_bounds(last.power, power, time);
            let is_joined = time <= MAX_SAMPLE_INTERVAL && !after_gap;
            self.integral =
                self.integral.plus(if is_joined { energy } else { energy.widen_to(max_power * time) });
        }
        self.samples.push_back(PowerSample { at, power, after_gap, integral: self.integral.best });
        if power > self.highest_power {
            self.highest_power = power;
        }
    }

    /// The energy from a mark to each later sample that is still stored, with the time of the sample.
    pub(super) fn energies_since(&self, mark: PowerMark) -> impl Iterator<Item = (Duration, Energy)> {
        let later = self.samples.iter().filter(move |sample| sample.at > mark.at);
        later.map(move |sample| (sample.at, sample.integral - mark.integral.best))
    }

    pub(super) fn has_samples(&self) -> bool {
        !self.samples.is_empty()
    }

    /// Creates a mark at `now`, from which [`energy_since`](Self::energy_since) can count later. `now` must
    /// not be before the newest sample.
    pub(super) fn mark(&self, now: Duration, max_power: Power) -> PowerMark {
        PowerMark { at: now, integral: self.integral_until(now, max_power).unwrap_or(self.integral) }
    }

    /// The energy from a mark to `to`, however far apart they are. `None` if there are no samples.
    pub(super) fn energy_since(
        &self,
        mark: PowerMark,
        to: Duration,
        max_power: Power,
    ) -> Option<EnergyBounds> {
        let EnergyBounds { low, best, high } = self.integral_until(to, max_power)?.minus(mark.integral);
        // The power that was assumed at the mark may have turned out to be lower.
        let best = best.max(Energy::ZERO);
        Some(EnergyBounds { low: low.max(Energy::ZERO).min(best), best, high: high.max(best) })
    }

    /// The energy from the first sample to a moment after the last one. After the last sample, its power is
    /// assumed; beyond [`MAX_SAMPLE_INTERVAL`], the bounds are widened to zero and `max_power`.
    fn integral_until(&self, to: Duration, max_power: Power) -> Option<EnergyBounds> {
        let last = self.samples.back()?;
        let time = to.saturating_sub(last.at);
        let tail = trapezoid_bounds(last.power, last.power, time);
        let tail = if time <= MAX_SAMPLE_INTERVAL { tail } else { tail.widen_to(max_power * time) };
        Some(self.integral.plus(tail))
    }

    /// Records that a read failed.
    pub(super) fn record_missed_read(&mut self) {
        self.has_gap = true;
    }

    /// The energy from `from` to `to`, which are a short time apart. `None` if no sample is near.
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
        let used = nearby.fold(used, |used, it| used.include(it.power * to.saturating_sub(from)));
        Some(self.stale_time(&samples, from, to).map_or(used, |time| EnergyBounds {
            low: Energy::ZERO,
            high: used.high + max_power * time,
            ..used
        }))
    }

    /// The time within a range in which the power is unknown because of a gap: the last sample before the gap
    /// may have been outdated. `None` if there is no such time.
    fn stale_time(&self, samples: &[PowerSample], from: Duration, to: Duration) -> Option<Duration> {
        let newest = self.samples.back().map(|sample| sample.at);
        let precedes_gap = |(index, sample): &(usize, &PowerSample)| match samples.get(index + 1) {
            Some(next) => next.after_gap,
            None => Some(sample.at) == newest && self.has_gap,
        };
        let hidden = samples.iter().enumerate().filter(precedes_gap).map(|(_, sample)| {
            let start = sample.at.saturating_sub(MAX_SAMPLE_AGE).max(from);
            sample.at.min(to).saturating_sub(start)
        });
        Some(hidden.sum()).filter(|time: &Duration| !time.is_zero())
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
