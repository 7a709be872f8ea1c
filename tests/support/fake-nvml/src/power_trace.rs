use std::time::Duration;

/// The power of a GPU over time: constant from each step to the next; the last step lasts until the trace
/// repeats, or forever.
///
/// Time is in whole nanoseconds and power in whole milliwatts, so energy is in whole picojoules and is not
/// rounded until it is read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PowerTrace {
    /// The start of each step and its milliwatts; ascending, the first at zero.
    pub(crate) steps: Vec<(Duration, u64)>,
    /// The trace repeats after this time.
    pub(crate) period: Option<Duration>,
}

impl PowerTrace {
    /// The milliwatts at `at`; `None` if the script has no power.
    pub(crate) fn power_at(&self, at: Duration) -> Option<u64> {
        let (_, at) = self.cycles_and_rest(at.as_nanos());
        let current = self.steps.iter().rev().find(|(start, _)| start.as_nanos() <= at);
        current.map(|(_, milliwatts)| *milliwatts)
    }

    /// The picojoules between two times, in closed form.
    pub(crate) fn energy_between(&self, from: Duration, to: Duration) -> u128 {
        self.energy_until(to).saturating_sub(self.energy_until(from))
    }

    /// The mean milliwatts between two times; `None` if the script has no power.
    pub(crate) fn mean_power(&self, from: Duration, to: Duration) -> Option<u64> {
        let nanoseconds = to.saturating_sub(from).as_nanos();
        match self.energy_between(from, to).checked_div(nanoseconds) {
            Some(milliwatts) if !self.steps.is_empty() => u64::try_from(milliwatts).ok(),
            _ => self.power_at(to),
        }
    }

    fn energy_until(&self, at: Duration) -> u128 {
        let (cycles, rest) = self.cycles_and_rest(at.as_nanos());
        let whole = self.period.map_or(0, |period| self.energy_in_cycle(period.as_nanos()));
        whole.saturating_mul(cycles).saturating_add(self.energy_in_cycle(rest))
    }

    /// The number of completed cycles before `at`, and the time since the current one began.
    fn cycles_and_rest(&self, at: u128) -> (u128, u128) {
        match self.period.map(|period| period.as_nanos()) {
            Some(period) if period > 0 => (at / period, at % period),
            _ => (0, at),
        }
    }

    /// The picojoules of the first `at` nanoseconds, without repetition.
    fn energy_in_cycle(&self, at: u128) -> u128 {
        let starts = self.steps.iter().map(|(start, _)| start.as_nanos());
        let ends = starts.clone().skip(1).chain([u128::MAX]);
        let lengths = starts.zip(ends).map(|(start, end)| at.min(end).saturating_sub(start));
        lengths
            .zip(&self.steps)
            .map(|(nanoseconds, (_, milliwatts))| nanoseconds.saturating_mul(u128::from(*milliwatts)))
            .fold(0, u128::saturating_add)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    fn two_phase_trace() -> PowerTrace {
        PowerTrace { steps: vec![(ms(0), 100_000), (ms(700), 400_000)], period: Some(ms(1030)) }
    }

    #[test]
    fn energy_equals_sum_of_milliseconds() {
        let trace = two_phase_trace();
        let mut millijoules = 0;
        for millisecond in 0..5000 {
            assert_eq!(trace.energy_between(ms(0), ms(millisecond)), millijoules * 1_000_000_000);
            millijoules += if millisecond % 1030 < 700 { 100 } else { 400 };
        }
    }

    #[test]
    fn energy_between_spans_cycles() {
        // 600 to 700 ms at 100 W, 700 to 1030 ms at 400 W, 1030 to 1130 ms at 100 W.
        assert_eq!(two_phase_trace().energy_between(ms(600), ms(1130)), 152_000_000_000_000);
        assert_eq!(two_phase_trace().energy_between(ms(1130), ms(600)), 0);
    }

    #[test]
    fn power_changes_exactly_at_step() {
        let trace = two_phase_trace();
        assert_eq!(trace.power_at(ms(700) - Duration::from_nanos(1)), Some(100_000));
        assert_eq!(trace.power_at(ms(700)), Some(400_000));
        assert_eq!(trace.power_at(ms(1030)), Some(100_000));
        assert_eq!(PowerTrace { period: None, ..trace }.power_at(ms(90_000)), Some(400_000));
    }

    #[test]
    fn mean_of_empty_window_is_power() {
        // 700 ms at 100 W, 330 ms at 400 W, 370 ms at 100 W: 239 J in 1.4 s.
        assert_eq!(two_phase_trace().mean_power(ms(0), ms(1400)), Some(170_714));
        assert_eq!(two_phase_trace().mean_power(ms(800), ms(800)), Some(400_000));
    }

    #[test]
    fn empty_trace_has_no_power() {
        assert_eq!(PowerTrace::default().power_at(ms(5)), None);
        assert_eq!(PowerTrace::default().mean_power(ms(0), ms(5)), None);
    }
}
