//! What a metric of Burn's shows of a run, and how often it has Burn write that down.
//!
//! Burn shows each step's figure. Into a file it writes it through a thread that it wakes for each metric and step, which
//! took some 12 µs of a processor (docs/benchmarks.md). So a line is written once a second, which is as fine as the power
//! is, at a split's last step, and at its end where Burn tells of one; an evaluation or a reinforcement learning that is
//! interrupted lacks its last second. At other steps the entry is the one that Burn has for a metric without a value of
//! the step: its files leave it out.

use std::time::Duration;

use burn::train::metric::{NumericEntry, SerializedEntry};
use sootprint::{Energy, LiveUsage, Power};

use crate::split_usage::{SplitInterval, SplitUsage};
use crate::stop::StopController;

/// So often a line is written.
const WRITE_INTERVAL: Duration = Duration::from_secs(1);

/// What a dial shows.
pub(crate) struct MetricSpec {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// A sum only grows; power is no sum.
    pub(crate) is_sum: bool,
    pub(crate) compute: fn(since: &LiveUsage, now: &LiveUsage) -> Option<MetricValue>,
}

/// A figure at the moment, and that of the split so far.
#[derive(Clone, Copy)]
pub(crate) struct MetricValue {
    pub(crate) current: f64,
    pub(crate) running: f64,
}

impl MetricValue {
    pub(crate) fn from_total(live: &LiveUsage, total: f64) -> Option<Self> {
        // A beginning that reached ahead of the readings may lie above them for the milliseconds until it is read.
        let figure = total.max(0.0);
        Self::known_power(live).map(|_| Self { current: figure, running: figure })
    }

    /// Before the second reading nothing is known, and where nothing can be measured nothing ever adds up: there is no
    /// figure then, and not zero.
    pub(crate) fn known_power(live: &LiveUsage) -> Option<Power> {
        live.power.filter(|_| live.energy > Energy::ZERO)
    }

    fn max(self, other: Self) -> Self {
        Self { current: self.current.max(other.current), running: self.running.max(other.running) }
    }
}

/// A figure of the run since the current split began.
#[derive(Clone)]
pub(crate) struct LiveMetric {
    usage: SplitUsage,
    /// Nobody else begins the span.
    owns_usage: bool,
    pub(crate) spec: &'static MetricSpec,
    /// The stretch that was read last.
    last_interval: u64,
    pub(crate) value: Option<MetricValue>,
    /// When a line was due last, in the run's time.
    written_at: Duration,
    /// Asked at each update, where nobody else asks.
    pub(crate) stop_controller: Option<StopController>,
}

impl LiveMetric {
    /// Over a span that somebody else begins and ends.
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

    /// Begins the span itself.
    pub(crate) fn with_owned_usage(self) -> Self {
        Self { owns_usage: true, ..self }
    }

    /// At a step, which is the last one of its split or not.
    pub(crate) fn update(&mut self, is_last: bool) -> SerializedEntry {
        let is_due = self.refresh() || is_last;
        self.stop_controller.iter().for_each(StopController::enforce_budget);
        let is_sum = self.spec.is_sum;
        self.entry(is_due.then_some(|MetricValue { current, running }| {
            // Where no line says that it is final, Burn's summary takes the mean of all.
            if is_sum { NumericEntry::Final(running) } else { NumericEntry::Value(current) }
        }))
    }

    /// At a split's end.
    pub(crate) fn compute(&mut self) -> SerializedEntry {
        self.refresh();
        self.entry(Some(|MetricValue { running, .. }| NumericEntry::Final(running)))
    }

    /// After a split's end.
    pub(crate) fn clear(&mut self) {
        if self.owns_usage {
            self.usage.begin();
        }
        self.value = None;
    }

    /// Whether a line is due.
    fn refresh(&mut self) -> bool {
        let (SplitInterval { number, start, end }, now) = self.usage.current();
        // An evaluator does not say that one test is over and the next one begins.
        if std::mem::replace(&mut self.last_interval, number) != number {
            self.value = None;
        }
        self.value = match ((self.spec.compute)(&start, &now), self.value) {
            // A live figure reaches ahead of the readings and may come back a little when the next one is in.
            (Some(read), Some(previous)) if self.spec.is_sum && end.is_none() => Some(read.max(previous)),
            (read, previous) => read.or(previous),
        };
        let is_due =
            end.is_some() || now.elapsed.saturating_sub(self.written_at.max(start.elapsed)) >= WRITE_INTERVAL;
        if is_due {
            self.written_at = now.elapsed;
        }
        is_due
    }

    /// What Burn shows, and what it writes, if it does.
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

    /// A dial of a run that draws 360 W: 0.04 Wh in a step of 0.4 s.
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
            assert!(self.run.handle().flush(Duration::from_secs(60)), "the meter reads");
        }

        /// The entries of some steps, the last of which is told to be it.
        fn run_steps(&mut self, steps: u32) -> Vec<SerializedEntry> {
            let update = |step| {
                self.advance();
                self.metric.update(step == steps)
            };
            (1..=steps).map(update).collect()
        }
    }

    /// At which steps Burn would write a line, and what.
    fn written_lines(entries: &[SerializedEntry]) -> Vec<(usize, &str)> {
        let written = entries.iter().zip(1..).filter(|(entry, _)| !entry.is_not_available());
        written.map(|(entry, step)| (step, entry.serialized.as_str())).collect()
    }

    /// The same, of figures that are final and rounded to a millionth.
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
