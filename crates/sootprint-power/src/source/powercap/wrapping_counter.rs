//! Turns a counter that wraps at the end of its range into one that does not. It is pure: readings and their time
//! go in.

use std::time::Duration;

/// Assumed maximum power of a package or its memory: one kilowatt. The largest CPUs of 2024 (EPYC 9965, Xeon 6980P)
/// are rated at 500 W.
const MAX_MICROJOULES_PER_MICROSECOND: u128 = 1_000;

/// Maximum delay between the timestamp of a reading and the reading itself, on an overloaded machine.
const MAX_READ_DELAY: Duration = Duration::from_secs(1);

/// A counter of microjoules that wraps at the end of its range.
#[derive(Debug)]
pub(super) struct WrappingCounter {
    /// The range of the counter. `None` if the kernel does not report it.
    range: Option<u64>,
    last: Option<(Duration, u64)>,
}

/// The change since the previous reading, in microjoules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterStep {
    /// Exactly this much was used.
    Advanced(u64),
    /// The counter restarted or wrapped an unknown number of times: at least this much was used.
    Restarted(u64),
}

impl WrappingCounter {
    pub(super) const fn new(range: Option<u64>) -> Self {
        Self { range, last: None }
    }

    /// Records a reading. The first one is the origin and uses no energy.
    ///
    /// A reading may be explained by the difference itself, or by one or more wraps. Only explanations within the
    /// maximum power of the package are considered. If exactly one remains, it is taken as certain.
    pub(super) fn observe(&mut self, now: Duration, count: u64) -> CounterStep {
        let Some((then, before)) = self.last.replace((now, count)) else { return CounterStep::Advanced(0) };
        let max_energy = max_energy_within(now.saturating_sub(then));
        let without_wrap = count.checked_sub(before);
        let used = without_wrap.or_else(|| Some(self.range?.checked_sub(before)? + count));
        let can_hide_wrap =
            |used: u64| self.range.is_some_and(|range| used.saturating_add(range) <= max_energy);
        match used {
            Some(used) if used <= max_energy && !can_hide_wrap(used) => CounterStep::Advanced(used),
            _ => {
                // After a restart the counter shows the energy since; after several wraps, a part of the energy.
                let min_energy = without_wrap.unwrap_or(count);
                CounterStep::Restarted(if min_energy <= max_energy { min_energy } else { 0 })
            }
        }
    }

    /// Makes the next reading the origin.
    pub(super) fn reset(&mut self) {
        self.last = None;
    }
}

fn max_energy_within(time: Duration) -> u64 {
    u64::try_from((time + MAX_READ_DELAY).as_micros() * MAX_MICROJOULES_PER_MICROSECOND).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The range of a Xeon whose unit is 2^-14 J: 2^32 units.
    const RANGE: u64 = 262_143_328_850;

    /// The step from one reading, in joules, to another some seconds later.
    fn step_between(range: Option<u64>, before: u64, seconds: u64, shown: u64) -> CounterStep {
        let mut counter = WrappingCounter::new(range);
        assert_eq!(
            counter.observe(Duration::from_secs(5), before),
            CounterStep::Advanced(0),
            "the first is an origin"
        );
        counter.observe(Duration::from_secs(5 + seconds), shown)
    }

    #[test]
    fn difference_is_energy_used() {
        assert_eq!(step_between(Some(RANGE), 1_000_000, 1, 251_000_000), CounterStep::Advanced(250_000_000));
        assert_eq!(step_between(None, 1_000_000, 1, 251_000_000), CounterStep::Advanced(250_000_000));
        assert_eq!(step_between(Some(RANGE), 7, 1, 7), CounterStep::Advanced(0));
    }

    #[test]
    fn wrap_adds_both_sides() {
        // 100 J before the end, then 150 J after it.
        assert_eq!(
            step_between(Some(RANGE), RANGE - 100_000_000, 1, 150_000_000),
            CounterStep::Advanced(250_000_000)
        );
    }

    #[test]
    fn implausible_wrap_is_a_restart() {
        // A wrap would be 162 kJ in a second.
        assert_eq!(
            step_between(Some(RANGE), 100_000_000_000, 1, 40_000_000),
            CounterStep::Restarted(40_000_000)
        );
        // A restart cannot explain this value either.
        assert_eq!(step_between(Some(RANGE), 100_000_000_000, 1, 90_000_000_000), CounterStep::Restarted(0));
    }

    #[test]
    fn decrease_without_range_is_restart() {
        assert_eq!(
            step_between(None, RANGE - 100_000_000, 1, 150_000_000),
            CounterStep::Restarted(150_000_000)
        );
    }

    #[test]
    fn impossible_jump_is_not_counted() {
        assert_eq!(step_between(Some(RANGE), 0, 1, 100_000_000_000), CounterStep::Restarted(0));
    }

    #[test]
    fn possible_hidden_wrap_is_a_restart() {
        // 300 s at up to 1 kW: 20 kJ or 282 kJ. 200 s: only 20 kJ.
        let used = 20_000_000_000;
        assert_eq!(step_between(Some(RANGE), 0, 300, used), CounterStep::Restarted(used));
        assert_eq!(step_between(Some(RANGE), 0, 200, used), CounterStep::Advanced(used));
        // Across the end of the range: at least the value shown was used.
        assert_eq!(step_between(Some(RANGE), RANGE - used, 400, 5), CounterStep::Restarted(5));
    }

    #[test]
    fn reading_after_reset_is_origin() {
        let mut counter = WrappingCounter::new(Some(RANGE));
        counter.observe(Duration::ZERO, 5);
        counter.reset();
        assert_eq!(counter.observe(Duration::from_secs(1), 9_000), CounterStep::Advanced(0));
    }
}
