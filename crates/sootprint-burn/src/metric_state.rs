//! The value of a metric, and when it is written to Burn's log files.
//!
//! Burn renders the value of every step. Writing one to a file wakes a thread per metric and step, which costs about 12 µs
//! of CPU time. A line is therefore written once per second, the resolution of the power readings, and at the last step
//! and the end of a split. At other steps the serialized entry is Burn's "not available", which its files leave out. An
//! evaluation or reinforcement learning that is interrupted lacks its last second.
//!
//! Lines of energy and CO2e are marked as final, because Burn's summary averages all other lines, and the average of a
//! growing total is half of it.

use std::time::Duration;

use burn::train::metric::{NumericEntry, SerializedEntry};
use sootprint::{Energy, LiveUsage, Power};

use crate::split_usage::{SplitInterval, SplitUsage};
use crate::stop::StopController;

/// Minimum time between two lines in a log file.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// Name, unit and computation of a metric.
pub(crate) struct MetricSpec {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// Whether the value accumulates over a split, unlike power.
    pub(crate) is_sum: bool,
    /// The value between the usage at the start of the split and a later one.
    pub(crate) compute: fn(start: &LiveUsage, usage: &LiveUsage) -> Option<MetricValue>,
}

/// The current value of a metric, and its value over the split so far.
#[derive(Clone, Copy)]
pub(crate) struct MetricValue {
    pub(crate) current: f64,
    pub(crate) running: f64,
}

impl MetricValue {
    pub(crate) fn from_total(usage: &LiveUsage, total: f64) -> Option<Self> {
        // Negative for some milliseconds if the live estimate at the start of the split was too high.
        let total = total.max(0.0);
        Self::known_power(usage).map(|_| Self { current: total, running: total })
    }

    /// The power, or `None` instead of zero before the second sample or if nothing can be measured.
    pub(crate) fn known_power(usage: &LiveUsage) -> Option<Power> {
        usage.power.filter(|_| usage.energy > Energy::ZERO)
    }

    fn max(self, other: Self) -> Self {
        Self { current: self.current.max(other.current), running: self.running.max(other.running) }
    }
}

/// A metric of the run since the start of the current split.
#[derive(Clone)]
pub(crate) struct LiveMetric {
    usage: SplitUsage,
    /// Whether this metric starts its splits itself.
    owns_usage: bool,
    pub(crate) spec: &'static MetricSpec,
    /// Sequence number of the split at the last refresh.
    last_interval: u64,
    pub(crate) value: Option<MetricValue>,
    /// When the last line was due, as time since the start of the run.
    written_at: Duration,
    /// Checked at each update if nothing else checks the budget.
    pub(crate) stop_controller: Option<StopController>,
}

impl LiveMetric {
    /// Creates a metric of splits whose boundaries are set elsewhere.
    pub(crate) fn new(usage: SplitUsage, spec: &'static MetricSpec) -> Self {
        Self {
            usage,
            owns_usage: false,
            spec,
            last_interval: 0,
            value: None,
            written_at: Duration::ZERO,
            stop_controller: None,
        }
    }

    /// Makes [`clear`](Self::clear) start the next split.
    pub(crate) fn with_owned_usage(self) -> Self {
        Self { owns_usage: true, ..self }
    }

    /// The entry for a step.
    pub(crate) fn update(&mut self, is_last: bool) -> SerializedEntry {
        let is_due = self.refresh() || is_last;
        self.stop_controller.iter().for_each(StopController::enforce_budget);
        let is_sum = self.spec.is_sum;
        self.entry(is_due.then_some(|MetricValue { current, running }| {
            // Burn's summary averages lines that are not final.
            if is_sum { NumericEntry::Final(running) } else { NumericEntry::Value(current) }
        }))
    }

    /// The entry for the end of a split.
    pub(crate) fn compute(&mut self) -> SerializedEntry {
        self.refresh();
        self.entry(Some(|MetricValue { running, .. }| NumericEntry::Final(running)))
    }

    /// Resets the metric after a split.
    pub(crate) fn clear(&mut self) {
        if self.owns_usage {
            self.usage.begin();
        }
        self.value = None;
    }

    /// Recomputes the value and returns whether a line is due.
    fn refresh(&mut self) -> bool {
        let (SplitInterval { number, start, end }, usage) = self.usage.current();
        // An evaluator does not clear its metrics between tests.
        if std::mem::replace(&mut self.last_interval, number) != number {
            self.value = None;
        }
        self.value = match ((self.spec.compute)(&start, &usage), self.value) {
            // A live estimate extrapolates the last sample, so the next sample may be slightly lower.
            (Some(current), Some(previous)) if self.spec.is_sum && end.is_none() => {
                Some(current.max(previous))
            }
            (current, previous) => current.or(previous),
        };
        let is_due = end.is_some()
            || usage.elapsed.saturating_sub(self.written_at.max(start.elapsed)) >= WRITE_INTERVAL;
        if is_due {
            self.written_at = usage.elapsed;
        }
        is_due
    }

    /// The rendered text, and the line for the log file, if one is due.
    fn entry(&self, line: Option<impl FnOnce(MetricValue) -> NumericEntry>) -> SerializedEntry {
        let MetricSpec { unit, is_sum, .. } = *self.spec;
        let Some(value) = self.value else { return SerializedEntry::not_available(Some(unit)) };
        let MetricValue { current, running } = value;
        let text = if is_sum {
            format!("{running:.3e} {unit}")
        } else {
            format!("epoch {running:.1} {unit} - now {current:.1} {unit}")
        };
        let line = line.map_or(SerializedEntry::NOT_AVAILABLE.into(), |line| line(value).serialize());
        SerializedEntry::new(text, line)
    }
}

#[cfg(test)]
mod tests {
    use sootprint::{ComponentKind, Replay, Run, VirtualClock};

    use super::*;
    use crate::metrics::{ENERGY_SPEC, POWER_SPEC};

    const WATTS: f64 = 360.0;

    /// A metric of a run that draws 360 W: 0.04 Wh per step of 0.4 s.
    struct MetricFixture {
        clock: VirtualClock,
        run: Run,
        usage: SplitUsage,
        metric: LiveMetric,
        _dir: tempfile::TempDir,
    }

    impl MetricFixture {
        fn new(spec: &'static MetricSpec) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let clock = VirtualClock::default();
            let script = [(Duration::from_secs(60), Power::from_watts(WATTS))];
            let replay = Replay::new()
                .with_component(ComponentKind::Cpu, "Scripted CPU", script)
                .with_clock(clock.clone());
            let run = Run::pre_training(dir.path()).replay(replay).start();
            let usage = SplitUsage::new(run.handle());
            let metric = LiveMetric::new(usage.clone(), spec);
            Self { clock, run, usage, metric, _dir: dir }
        }

        fn advance(&self) {
            self.clock.advance(Duration::from_millis(400));
            assert!(self.run.handle().flush(Duration::from_secs(60)), "the sampler is running");
        }

        /// The entries of a split with this number of steps.
        fn run_steps(&mut self, steps: u32) -> Vec<SerializedEntry> {
            let update = |step| {
                self.advance();
                self.metric.update(step == steps)
            };
            (1..=steps).map(update).collect()
        }
    }

    /// The steps at which Burn writes a line, and the lines.
    fn written_lines(entries: &[SerializedEntry]) -> Vec<(usize, &str)> {
        let written = entries.iter().zip(1..).filter(|(entry, _)| !entry.is_not_available());
        written.map(|(entry, step)| (step, entry.serialized.as_str())).collect()
    }

    /// Like [`written_lines`] for final values, in millionths.
    fn written_totals(entries: &[SerializedEntry]) -> Vec<(usize, i64)> {
        let millionths = |line: &str| match NumericEntry::deserialize(line) {
            Ok(NumericEntry::Final(value)) => (value * 1e6).round() as i64,
            other => panic!("{line}: {other:?}"),
        };
        written_lines(entries).into_iter().map(|(step, line)| (step, millionths(line))).collect()
    }

    #[test]
    fn energy_is_written_every_second() {
        let mut fixture = MetricFixture::new(&ENERGY_SPEC);
        assert_eq!(written_totals(&fixture.run_steps(7)), [(3, 120_000), (6, 240_000), (7, 280_000)]);
    }

    #[test]
    fn write_interval_restarts_with_each_split() {
        let mut fixture = MetricFixture::new(&ENERGY_SPEC);
        assert_eq!(written_totals(&fixture.run_steps(2)), [(2, 80_000)]);
        fixture.usage.begin();
        fixture.metric.clear();
        assert!(fixture.run.handle().flush(Duration::from_secs(60)));
        assert_eq!(written_totals(&fixture.run_steps(4)), [(3, 120_000), (4, 160_000)]);
    }

    #[test]
    fn writes_every_step_after_split_end() {
        let mut fixture = MetricFixture::new(&ENERGY_SPEC);
        fixture.advance();
        fixture.usage.end();
        assert!(fixture.run.handle().flush(Duration::from_secs(60)));
        fixture.advance();
        assert_eq!(
            written_totals(&[fixture.metric.update(false), fixture.metric.compute()]),
            [(1, 40_000), (2, 40_000)]
        );
    }

    #[test]
    fn power_is_current_until_split_end() {
        let mut fixture = MetricFixture::new(&POWER_SPEC);
        assert_eq!(written_lines(&fixture.run_steps(4)), [(3, "360"), (4, "360")]);
        assert_eq!(fixture.metric.compute().serialized, "360,final");
    }

    #[test]
    fn every_step_has_formatted_value() {
        let mut fixture = MetricFixture::new(&ENERGY_SPEC);
        let formatted: Vec<_> = fixture.run_steps(5).into_iter().map(|entry| entry.formatted).collect();
        assert_eq!(formatted, ["4.000e-2 Wh", "8.000e-2 Wh", "1.200e-1 Wh", "1.600e-1 Wh", "2.000e-1 Wh"]);
    }
}
