//! How precisely the boundaries of epochs and phases are located, and the cost limit of doing so.
//!
//! After a boundary a ticking counter is read repeatedly until it has ticked. Each read may delay the training: if
//! all CPUs are busy, one of them has to run the sampler thread, and on real GPUs the driver may occupy it for
//! milliseconds (5 ms on an H100). Reads after a boundary may therefore take only a small part of the time since
//! the previous boundary: long epochs are resolved to milliseconds, and short ones as precisely as their length
//! allows.
//!
//! Boundaries of epochs are located with high precision. A training may have phases in every step, so phase
//! boundaries are located to 8 to 33 ms, depending on the length of the phase, if reads are cheap; energy within
//! one tick is shared by time. Epochs that follow each other within a tenth of a second are treated like phases.
//!
//! On an H100 the driver occupies a CPU for 4 to 5 ms to read the energy counter; reading the power costs a
//! sixtieth of that. The cost of each read is therefore measured. Between boundaries a counter is read as often as
//! a thousandth of the time allows, but at least once per second. After a boundary it is read as often as delays
//! the training by 0.3 % of the previous epoch, where each read is assumed to delay it by 0.1 ms plus 15 % of the
//! read's duration.
//!
//! # Accuracy
//! The energy at a boundary is the counter's value at the next tick, less the energy between the two, which comes from
//! the power readings. The bounds assume the lowest and the highest power reported from 0.1 s before the boundary until
//! the tick was observed, because a reported power may be slightly old: an H100 samples its power for 25 ms of every
//! 100 ms ([Yang et al. 2023](https://arxiv.org/abs/2312.02741)).
//!
//! - At constant power, the error is about a millisecond of the power limit. If the power changes abruptly, the bounds
//!   include up to one tick of the change. What one epoch gains the next one loses; the total of the run is unaffected.
//! - After an epoch of half a second the counter is read every 7 ms, and after one of less than a tenth of a second
//!   every 33 ms. The remaining error is half the distance of two readings, up to 40 ms of the power limit.
//! - On an H100 the counter is read every 28 ms after an epoch of one second. An epoch of less than 0.6 s has no
//!   reading of its own: its energy is interpolated between readings 0.3 s apart.
//! - If the GPU reports no power, the bounds assume anything from zero to the power limit until the tick. If the counter
//!   does not tick or is too expensive to poll, the error is a quarter of a second at the power limit, plus a quarter of
//!   the distance between the two readings around the boundary.

use std::time::Duration;

/// The required precision of the energy at a moment, for counters that update in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BoundaryPrecision {
    /// The end of a run: one to two milliseconds, because the training is over and cannot be delayed.
    Final,
    /// An epoch boundary: the same precision, as far as it does not slow down the training.
    High,
    /// A phase boundary: tens of milliseconds, or whatever the regular readings give, because a training step may
    /// have several.
    Low,
    /// Not a boundary: a caller asked for the current value, so every component is read immediately.
    Immediate,
}

/// Poll intervals of a ticking counter until it has ticked. The boundary is then known to half of the interval.
/// Most counters tick within the first 25 ms; the boundaries of slower ones are far apart and need less precision.
const TICK_POLL_INTERVAL: Duration = Duration::from_millis(1);
const SLOW_TICK_POLL_INTERVAL: Duration = Duration::from_millis(2);
const SLOW_COUNTER_AFTER: Duration = Duration::from_millis(25);

/// Minimum poll interval after a low-precision boundary.
const LOW_PRECISION_INTERVAL: Duration = Duration::from_millis(8);

/// Maximum part of the time by which reads may delay a training. For reads after a boundary, that time is the
/// previous epoch.
const MAX_OVERHEAD: f64 = 0.003;

/// Time that a busy training loses to one wake-up of the sampler thread, including the read and the ledger write,
/// in seconds. Two threads in lock step on two CPUs lose 45 µs to a third that occasionally runs for 30 µs, and 100
/// µs to one that runs for 100 µs.
const WAKEUP_COST: f64 = 100e-6;

/// Part of a read's duration by which the driver is assumed to delay the training. On an H100 with a spare CPU it
/// was 0.03 ms (-0.02 to 0.29 ms) of 4.5 ms; without a spare CPU, the driver takes one from the training.
const DRIVER_STALL_FRACTION: f64 = 0.15;

/// All known counters tick within this time.
const SLOWEST_KNOWN_TICK: Duration = Duration::from_millis(100);

/// Reads further apart than the first limit do not help to locate a boundary. They are then as rare as between
/// boundaries, up to the second limit.
const MAX_USEFUL_INTERVAL: Duration = Duration::from_millis(50);
const MAX_INTERVAL: Duration = Duration::from_secs(1);

/// Boundaries closer together than this get low precision. Otherwise a training with very short epochs would have
/// its counters read continuously, for little gain per epoch.
const MIN_HIGH_PRECISION_EPOCH: Duration = Duration::from_millis(100);

/// Assumed epoch length before the first boundary.
const ASSUMED_FIRST_EPOCH: Duration = Duration::from_secs(5);

/// The boundaries of a session: the last one of an epoch, and the last one of any kind.
#[derive(Debug, Default)]
pub(super) struct BoundaryHistory {
    last_epoch_boundary: Option<PendingBoundary>,
    last_boundary: Option<PendingBoundary>,
}

/// A boundary that has not been located yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct PendingBoundary {
    pub(super) precision: BoundaryPrecision,
    /// On the clock of the sensor group.
    pub(super) moment: Duration,
    /// The time since the previous boundary.
    since_previous: Duration,
}

impl BoundaryHistory {
    /// Records a boundary, with the precision that the distance from the previous one allows.
    pub(super) fn record(&mut self, precision: BoundaryPrecision, moment: Duration) -> PendingBoundary {
        /// The end of one epoch or phase and the start of the next are one boundary.
        const COALESCE_WITHIN: Duration = Duration::from_millis(1);

        let previous = match precision {
            BoundaryPrecision::Final | BoundaryPrecision::High => self.last_epoch_boundary,
            BoundaryPrecision::Low | BoundaryPrecision::Immediate => self.last_boundary,
        };
        let since_previous =
            previous.map_or(ASSUMED_FIRST_EPOCH, |before| moment.saturating_sub(before.moment));
        let same = previous.filter(|before| {
            since_previous <= COALESCE_WITHIN && before.precision != BoundaryPrecision::Final
        });
        let boundary = match (precision, same) {
            (BoundaryPrecision::High, Some(first)) => return PendingBoundary { moment, ..first },
            (BoundaryPrecision::Low, Some(first)) => return PendingBoundary { precision, moment, ..first },
            (BoundaryPrecision::High, None) if since_previous < MIN_HIGH_PRECISION_EPOCH => {
                PendingBoundary { precision: BoundaryPrecision::Low, moment, since_previous }
            }
            _ => PendingBoundary { precision, moment, since_previous },
        };
        if matches!(precision, BoundaryPrecision::Final | BoundaryPrecision::High) {
            self.last_epoch_boundary = Some(boundary);
        }
        if precision != BoundaryPrecision::Immediate {
            self.last_boundary = Some(boundary);
        }
        boundary
    }
}

impl PendingBoundary {
    /// The boundary at the start of a run.
    pub(super) fn run_start(moment: Duration) -> Self {
        Self { precision: BoundaryPrecision::High, moment, since_previous: ASSUMED_FIRST_EPOCH }
    }

    /// Of boundaries with the same poll interval, the one with the highest priority applies.
    pub(super) fn priority(&self) -> (u8, Duration) {
        let precision = match self.precision {
            BoundaryPrecision::Final => 2,
            BoundaryPrecision::High => 1,
            BoundaryPrecision::Low | BoundaryPrecision::Immediate => 0,
        };
        (precision, self.moment)
    }

    /// The time until the next read, if one read of all counters takes `cost`.
    pub(super) fn poll_interval(&self, now: Duration, cost: Duration) -> Duration {
        let min_interval = match self.precision {
            BoundaryPrecision::Final | BoundaryPrecision::High => {
                tick_poll_interval(now.saturating_sub(self.moment))
            }
            BoundaryPrecision::Low | BoundaryPrecision::Immediate => LOW_PRECISION_INTERVAL,
        };
        let closest = min_interval.max(cost);
        if self.precision == BoundaryPrecision::Final {
            return closest;
        }
        let stall_seconds = WAKEUP_COST + DRIVER_STALL_FRACTION * cost.as_secs_f64();
        let default_interval = stall_seconds / MAX_OVERHEAD;
        let boundary_allowance =
            (self.since_previous.as_secs_f64() / SLOWEST_KNOWN_TICK.as_secs_f64()).max(1.0);
        let duration = |seconds| Duration::try_from_secs_f64(seconds).unwrap_or(MAX_INTERVAL);
        let interval = duration(default_interval / boundary_allowance).max(closest);
        if interval <= MAX_USEFUL_INTERVAL {
            interval
        } else {
            duration(default_interval).min(MAX_INTERVAL).max(closest)
        }
    }

    /// Whether a read `interval` later is sufficient, instead of one at the boundary itself.
    pub(super) fn is_deferrable(&self, interval: Duration) -> bool {
        match self.precision {
            BoundaryPrecision::Final | BoundaryPrecision::Immediate => false,
            BoundaryPrecision::High => interval > MAX_USEFUL_INTERVAL,
            BoundaryPrecision::Low => true,
        }
    }
}

/// The poll interval this long after a boundary, if reads are free.
pub(super) fn tick_poll_interval(elapsed: Duration) -> Duration {
    if elapsed < SLOW_COUNTER_AFTER { TICK_POLL_INTERVAL } else { SLOW_TICK_POLL_INTERVAL }
}

/// The achievable distance of two readings with this poll interval, if one read of everything takes `cost`. It
/// allows for late wake-ups by the system.
pub(super) fn achievable_resolution(interval: Duration, cost: Duration) -> Duration {
    const SCHEDULING_SLACK: Duration = Duration::from_millis(8);

    interval
        .saturating_add(cost * 3)
        .saturating_add(SCHEDULING_SLACK)
        .min(MAX_USEFUL_INTERVAL + MAX_USEFUL_INTERVAL / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn millis(millis: u64) -> Duration {
        Duration::from_millis(millis)
    }

    #[test]
    fn close_boundaries_become_low_precision() {
        let mut history = BoundaryHistory::default();
        let mut precision_at =
            |precision, micros| history.record(precision, Duration::from_micros(micros)).precision;
        let (last, high, low) = (BoundaryPrecision::Final, BoundaryPrecision::High, BoundaryPrecision::Low);
        assert_eq!(precision_at(high, 1_000_000), high);
        // The next epoch starts where the last one ends.
        assert_eq!(precision_at(high, 1_000_020), high);
        assert_eq!(precision_at(high, 1_150_000), high);
        assert_eq!(
            [precision_at(high, 1_175_000), precision_at(high, 1_175_020), precision_at(high, 1_200_000)],
            [low; 3]
        );
        // A phase does not lower the precision of an epoch boundary.
        assert_eq!([precision_at(low, 1_399_000), precision_at(high, 1_400_000)], [low, high]);
        assert_eq!([precision_at(last, 1_400_010), precision_at(last, 1_410_000)], [last; 2]);
    }

    /// The part of the previous epoch by which reads of a counter that ticks every 100 ms delay a training.
    fn stall_fraction(length: Duration, cost: Duration) -> f64 {
        let mut history = BoundaryHistory::default();
        history.record(BoundaryPrecision::High, Duration::ZERO);
        let (boundary, mut now, mut readings) = (history.record(BoundaryPrecision::High, length), length, 0);
        while now < length + millis(100) {
            now += boundary.poll_interval(now, cost).max(cost);
            readings += 1;
        }
        f64::from(readings) * stall_per_reading(cost) / length.as_secs_f64()
    }

    fn stall_per_reading(cost: Duration) -> f64 {
        0.000_1 + 0.15 * cost.as_secs_f64()
    }

    #[test]
    fn boundary_polling_stays_within_overhead_budget() {
        for cost in [Duration::ZERO, Duration::from_micros(20), millis(1), millis(5), millis(40)] {
            for length in [millis(100), millis(300), millis(1_000), millis(5_000), millis(60_000)] {
                let one = stall_per_reading(cost) / length.as_secs_f64();
                let delayed = stall_fraction(length, cost);
                assert!(delayed <= 0.003 + 1.01 * one, "{delayed} for {length:?} and {cost:?}");
            }
        }
    }

    #[test]
    fn long_epoch_boundaries_resolve_to_milliseconds() {
        let micros = Duration::from_micros;
        let boundary = PendingBoundary {
            precision: BoundaryPrecision::High,
            moment: millis(9_000),
            since_previous: millis(5_000),
        };
        assert_eq!(
            [9_000, 9_030].map(|now| boundary.poll_interval(millis(now), micros(20))),
            [1, 2].map(millis)
        );
        let half_a_second = PendingBoundary { since_previous: millis(500), ..boundary };
        assert_eq!(half_a_second.poll_interval(millis(9_000), micros(20)).as_micros(), 6_866);
    }

    #[test]
    fn frequent_phases_are_polled_less_often() {
        let mut history = BoundaryHistory::default();
        let mut interval_at = |precision, moment| {
            history.record(precision, millis(moment)).poll_interval(millis(moment), Duration::ZERO)
        };
        assert_eq!(interval_at(BoundaryPrecision::Low, 1_000), LOW_PRECISION_INTERVAL);
        assert_eq!(interval_at(BoundaryPrecision::Low, 2_000), LOW_PRECISION_INTERVAL);
        let intervals =
            [2_010, 2_020, 2_030].map(|moment| interval_at(BoundaryPrecision::Low, moment).as_micros());
        assert_eq!(intervals, [33_333; 3]);
        // Immediate queries are not boundaries.
        assert_eq!(interval_at(BoundaryPrecision::Immediate, 2_980), LOW_PRECISION_INTERVAL);
        assert_eq!(interval_at(BoundaryPrecision::Low, 3_000), LOW_PRECISION_INTERVAL);
    }

    #[test]
    fn adjacent_phase_boundaries_are_merged() {
        let mut history = BoundaryHistory::default();
        let mut length = |micros| {
            history.record(BoundaryPrecision::Low, Duration::from_micros(micros)).since_previous.as_millis()
        };
        assert_eq!(
            [1_000_000, 3_000_000, 3_000_020, 3_000_900].map(&mut length),
            [5_000, 2_000, 2_000, 2_000]
        );
        // Boundaries that keep following each other closely are not merged indefinitely.
        assert_eq!([3_001_800, 3_002_700].map(&mut length), [1, 1]);
        assert_eq!(history.record(BoundaryPrecision::High, millis(3_003)).precision, BoundaryPrecision::High);
        let phase = history.record(BoundaryPrecision::Low, millis(3_004));
        assert_eq!((phase.precision, phase.since_previous), (BoundaryPrecision::Low, ASSUMED_FIRST_EPOCH));
    }

    #[test]
    fn planned_poll_interval_resolves_ticks() {
        for length in [millis(0), millis(100), millis(200), millis(400), millis(5_000)] {
            for cost in [Duration::ZERO, Duration::from_micros(20), Duration::from_micros(300)] {
                let boundary = PendingBoundary {
                    precision: BoundaryPrecision::Low,
                    moment: millis(0),
                    since_previous: length,
                };
                let interval = boundary.poll_interval(millis(0), cost);
                assert!(achievable_resolution(interval, cost) >= interval + millis(8), "{length:?} {cost:?}");
            }
        }
    }

    #[test]
    fn low_precision_readings_are_deferrable() {
        let boundary =
            |precision| PendingBoundary { precision, moment: millis(0), since_previous: millis(0) };
        let deferrable = [
            BoundaryPrecision::Final,
            BoundaryPrecision::Immediate,
            BoundaryPrecision::High,
            BoundaryPrecision::Low,
        ]
        .map(|precision| boundary(precision).is_deferrable(millis(50)));
        assert_eq!(deferrable, [false, false, false, true]);
        assert!(boundary(BoundaryPrecision::High).is_deferrable(millis(51)));
    }

    #[test]
    fn expensive_counter_follows_epoch_length() {
        let interval_for = |precision, length| {
            let boundary = PendingBoundary { precision, moment: millis(0), since_previous: millis(length) };
            boundary.poll_interval(millis(0), millis(5)).as_millis()
        };
        assert_eq!([100_000, 1_000].map(|length| interval_for(BoundaryPrecision::High, length)), [5, 28]);
        // One read is sufficient for an epoch of a third of a second.
        assert_eq!(
            [interval_for(BoundaryPrecision::High, 300), interval_for(BoundaryPrecision::Low, 300)],
            [283; 2]
        );
        // After the training there is nothing to delay.
        assert_eq!(interval_for(BoundaryPrecision::Final, 300), 5);
        let most_expensive = PendingBoundary {
            precision: BoundaryPrecision::Low,
            moment: millis(0),
            since_previous: Duration::ZERO,
        };
        assert_eq!(most_expensive.poll_interval(millis(0), Duration::MAX), Duration::MAX);
    }
}
