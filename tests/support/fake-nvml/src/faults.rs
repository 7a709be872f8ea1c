//! What a faulty driver reports or does: counters that stop, dip or step back, absurd powers, and calls that never
//! return.

use crate::quantity::{format_energy, format_power, format_time, parse_energy, parse_power, parse_time};
use std::thread;
use std::time::Duration;

/// Longer than any test.
const FOREVER: Duration = Duration::from_secs(86_400);

/// The faults of a GPU's driver.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct GpuFaults {
    /// From when on no query returns.
    pub(crate) hang_from: Option<Duration>,
    /// From when until when the counter keeps its value.
    pub(crate) freeze: Option<(Duration, Duration)>,
    /// From when until when the counter shows this many millijoules.
    pub(crate) dip: Option<(Duration, Duration, u64)>,
    /// From when on the counter shows this many millijoules less.
    pub(crate) step_back: Option<(Duration, u64)>,
    /// From when until when the power readings show this many milliwatts.
    pub(crate) false_power: Option<(Duration, Duration, u64)>,
    /// The number of processes that the driver claims to list.
    pub(crate) process_count: Option<u32>,
}

impl GpuFaults {
    /// Does not return if the driver hangs at this time.
    pub(crate) fn wait(&self, now: Duration) {
        if self.hang_from.is_some_and(|from| from <= now) {
            thread::sleep(FOREVER);
        }
    }

    /// The time whose counter value is shown.
    pub(crate) fn counter_time(&self, now: Duration) -> Duration {
        self.freeze.filter(|(from, to)| (*from..*to).contains(&now)).map_or(now, |(from, _)| from)
    }

    /// What the counter shows instead of this many millijoules.
    pub(crate) fn counter(&self, now: Duration, millijoules: u64) -> u64 {
        let dip = self.dip.filter(|(from, to, _)| (*from..*to).contains(&now));
        let back = self.step_back.filter(|(at, _)| *at <= now).map_or(0, |(_, back)| back);
        dip.map_or(millijoules.saturating_sub(back), |(_, _, shown)| shown)
    }

    /// What the power readings show instead of this many milliwatts.
    pub(crate) fn power(&self, now: Duration, milliwatts: u64) -> u64 {
        let shown = self.false_power.filter(|(from, to, _)| (*from..*to).contains(&now));
        shown.map_or(milliwatts, |(_, _, shown)| shown)
    }

    /// Parses a statement. `None` if it is none about faults.
    pub(crate) fn apply_statement(
        &mut self,
        keyword: &str,
        arguments: &[&str],
    ) -> Option<Result<(), String>> {
        let known = ["hang", "freeze", "dip", "stepback", "falsepower", "processes"];
        known.contains(&keyword).then(|| self.parse_statement(keyword, arguments))
    }

    fn parse_statement(&mut self, keyword: &str, arguments: &[&str]) -> Result<(), String> {
        match (keyword, arguments) {
            ("hang", [at]) => self.hang_from = Some(parse_time(at)?),
            ("freeze", [from, to]) => self.freeze = Some((parse_time(from)?, parse_time(to)?)),
            ("dip", [from, to, energy]) => {
                self.dip = Some((parse_time(from)?, parse_time(to)?, parse_energy(energy)?));
            }
            ("stepback", [at, energy]) => self.step_back = Some((parse_time(at)?, parse_energy(energy)?)),
            ("falsepower", [from, to, power]) => {
                self.false_power = Some((parse_time(from)?, parse_time(to)?, parse_power(power)?));
            }
            ("processes", [count]) => {
                let invalid = |_| format!("`{count}` is not a number of processes");
                self.process_count = Some(count.parse().map_err(invalid)?);
            }
            _ => return Err(format!("`{keyword} N {}` is not a statement", arguments.join(" "))),
        }
        Ok(())
    }

    /// The statements that [`apply_statement`](Self::apply_statement) reads back.
    pub(crate) fn to_statements(&self) -> Vec<(&'static str, String)> {
        let mut lines = Vec::new();
        let span = |(from, to): (Duration, Duration)| format!("{} {}", format_time(from), format_time(to));
        lines.extend(self.hang_from.map(|at| ("hang", format_time(at))));
        lines.extend(self.freeze.map(|freeze| ("freeze", span(freeze))));
        lines
            .extend(self.dip.map(|(from, to, energy)| {
                ("dip", format!("{} {}", span((from, to)), format_energy(energy)))
            }));
        lines.extend(
            self.step_back
                .map(|(at, energy)| ("stepback", format!("{} {}", format_time(at), format_energy(energy)))),
        );
        lines.extend(self.false_power.map(|(from, to, power)| {
            ("falsepower", format!("{} {}", span((from, to)), format_power(power)))
        }));
        lines.extend(self.process_count.map(|count| ("processes", count.to_string())));
        lines
    }
}
