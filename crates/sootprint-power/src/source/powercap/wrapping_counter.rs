//! A counter that begins again at its end, made into one that does not. Pure: readings and the time go in.

use std::time::Duration;

/// No package draws more than a kilowatt, and no memory of one; an assumption. The largest processors of 2024
/// (EPYC 9965, Xeon 6980P) are rated at 500 W.
const MAX_MICROJOULES_PER_MICROSECOND: u128 = 1_000;

/// A reading can be this much later than the time it is given with, when the machine is overloaded.
const MAX_READ_DELAY: Duration = Duration::from_secs(1);

/// A counter of microjoules that wraps around at the end of its range.
#[derive(Debug)]
pub(super) struct WrappingCounter {
    /// What it counts up to; none when the kernel does not tell.
    range: Option<u64>,
    last: Option<(Duration, u64)>,
}

/// What happened since the reading before, in microjoules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CounterStep {
    /// This much was used, beyond doubt.
    Advanced(u64),
    /// The counter restarted, or went round an unknown number of times: this much was used at least.
    Restarted(u64),
}

impl WrappingCounter {
    pub(super) const fn new(range: Option<u64>) -> Self {
        Self { range, last: None }
    }

    /// Takes a reading; the first one is an origin and nothing is used at it.
    ///
    /// Of all that the reading can mean, only what the package can have drawn in the time is considered: the
    /// difference itself, or with one or more rounds of the counter. When exactly one of these is possible, it is so.
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
                // After a restart the counter shows what was used since; after rounds, a part of what was used.
                let min_energy = without_wrap.unwrap_or(count);
                CounterStep::Restarted(if min_energy <= max_energy { min_energy } else { 0 })
            }
        }
    }

    /// Takes the next reading for a first one.
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

    /// That of a Xeon whose unit is 2^-14 J: 2^32 of them.
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
        // 100 J below the end, then 150 J past it.
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
        // From this place a restart could not have come so far either.
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
        // The same across the counter's end: at least what it shows was used.
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
