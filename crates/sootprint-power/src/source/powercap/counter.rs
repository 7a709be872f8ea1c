//! A counter that begins again at its end, made into one that does not. Pure: readings and the time go in.

use std::time::Duration;

/// No package draws more than a kilowatt, and no memory of one; an assumption. The largest processors of 2024
/// (EPYC 9965, Xeon 6980P) are rated at 500 W.
const MOST_MICROJOULES_PER_MICROSECOND: u128 = 1_000;

/// A reading can be this much later than the time it is given with, when the machine is overloaded.
const LATENESS: Duration = Duration::from_secs(1);

/// A counter of microjoules that wraps around at the end of its range.
#[derive(Debug)]
pub(super) struct Counter {
    /// What it counts up to; none when the kernel does not tell.
    range: Option<u64>,
    last: Option<(Duration, u64)>,
}

/// What happened since the reading before, in microjoules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    /// This much was used, beyond doubt.
    Used(u64),
    /// The counter restarted, or went round an unknown number of times: this much was used at least.
    Restarted(u64),
}

impl Counter {
    pub(super) const fn new(range: Option<u64>) -> Self {
        Self { range, last: None }
    }

    /// Takes a reading; the first one is an origin and nothing is used at it.
    ///
    /// Of all that the reading can mean, only what the package can have drawn in the time is considered: the
    /// difference itself, or with one or more rounds of the counter. When exactly one of these is possible, it is so.
    pub(super) fn observe(&mut self, now: Duration, shown: u64) -> Step {
        let Some((then, before)) = self.last.replace((now, shown)) else { return Step::Used(0) };
        let most = most_within(now.saturating_sub(then));
        let with_no_more_rounds = shown.checked_sub(before);
        let used = with_no_more_rounds.or_else(|| Some(self.range?.checked_sub(before)? + shown));
        let can_be_more = |used: u64| self.range.is_some_and(|range| used.saturating_add(range) <= most);
        match used {
            Some(used) if used <= most && !can_be_more(used) => Step::Used(used),
            _ => {
                // After a restart the counter shows what was used since; after rounds, a part of what was used.
                let least = with_no_more_rounds.unwrap_or(shown);
                Step::Restarted(if least <= most { least } else { 0 })
            }
        }
    }

    /// Takes the next reading for a first one.
    pub(super) fn forget(&mut self) {
        self.last = None;
    }
}

fn most_within(time: Duration) -> u64 {
    u64::try_from((time + LATENESS).as_micros() * MOST_MICROJOULES_PER_MICROSECOND).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That of a Xeon whose unit is 2^-14 J: 2^32 of them.
    const RANGE: u64 = 262_143_328_850;

    /// The step from one reading, in joules, to another some seconds later.
    fn step(range: Option<u64>, before: u64, seconds: u64, shown: u64) -> Step {
        let mut counter = Counter::new(range);
        assert_eq!(counter.observe(Duration::from_secs(5), before), Step::Used(0), "the first is an origin");
        counter.observe(Duration::from_secs(5 + seconds), shown)
    }

    #[test]
    fn a_difference_is_what_was_used() {
        assert_eq!(step(Some(RANGE), 1_000_000, 1, 251_000_000), Step::Used(250_000_000));
        assert_eq!(step(None, 1_000_000, 1, 251_000_000), Step::Used(250_000_000));
        assert_eq!(step(Some(RANGE), 7, 1, 7), Step::Used(0));
    }

    #[test]
    fn a_wrap_is_what_was_left_of_the_range_and_what_is_shown() {
        // 100 J below the end, then 150 J past it.
        assert_eq!(step(Some(RANGE), RANGE - 100_000_000, 1, 150_000_000), Step::Used(250_000_000));
    }

    #[test]
    fn a_step_back_that_no_wrap_explains_is_a_restart() {
        // A wrap would be 162 kJ in a second.
        assert_eq!(step(Some(RANGE), 100_000_000_000, 1, 40_000_000), Step::Restarted(40_000_000));
        // From this place a restart could not have come so far either.
        assert_eq!(step(Some(RANGE), 100_000_000_000, 1, 90_000_000_000), Step::Restarted(0));
    }

    #[test]
    fn without_a_range_a_step_back_is_a_restart_and_never_negative() {
        assert_eq!(step(None, RANGE - 100_000_000, 1, 150_000_000), Step::Restarted(150_000_000));
    }

    #[test]
    fn a_jump_that_no_package_can_make_is_not_counted() {
        assert_eq!(step(Some(RANGE), 0, 1, 100_000_000_000), Step::Restarted(0));
    }

    #[test]
    fn a_time_in_which_a_whole_round_can_hide_is_not_known() {
        // 300 s at up to 1 kW: 20 kJ or 282 kJ. 200 s: only 20 kJ.
        let used = 20_000_000_000;
        assert_eq!(step(Some(RANGE), 0, 300, used), Step::Restarted(used));
        assert_eq!(step(Some(RANGE), 0, 200, used), Step::Used(used));
        // The same across the counter's end: at least what it shows was used.
        assert_eq!(step(Some(RANGE), RANGE - used, 400, 5), Step::Restarted(5));
    }

    #[test]
    fn after_forgetting_a_reading_is_an_origin_again() {
        let mut counter = Counter::new(Some(RANGE));
        counter.observe(Duration::ZERO, 5);
        counter.forget();
        assert_eq!(counter.observe(Duration::from_secs(1), 9_000), Step::Used(0));
    }
}
