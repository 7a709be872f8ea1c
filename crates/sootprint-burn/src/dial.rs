//! What a metric of Burn's shows of a run, and how often it has Burn write that down.
//!
//! Burn shows each step's figure. Into a file it writes it through a thread that it wakes for each metric and step, which
//! took some 12 µs of a processor (docs/benchmarks.md). So a line is written once a second, which is as fine as the power
//! is, at a split's last step, and at its end where Burn tells of one; an evaluation or a reinforcement learning that is
//! interrupted lacks its last second. At other steps the entry is the one that Burn has for a metric without a value of
//! the step: its files leave it out.

use std::time::Duration;

use burn::train::metric::{NumericEntry, SerializedEntry};
use sootprint::{Energy, Live, Power};

use crate::ends::Ends;
use crate::span::{Span, Stretch};

/// So often a line is written.
const LINE: Duration = Duration::from_secs(1);

/// What a dial shows.
pub(crate) struct Face {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
    /// A sum only grows; power is no sum.
    pub(crate) is_sum: bool,
    pub(crate) read: fn(since: &Live, now: &Live) -> Option<Shown>,
}

/// A figure at the moment, and that of the split so far.
#[derive(Clone, Copy)]
pub(crate) struct Shown {
    pub(crate) now: f64,
    pub(crate) so_far: f64,
}

impl Shown {
    pub(crate) fn sum(live: &Live, figure: f64) -> Option<Self> {
        // A beginning that reached ahead of the readings may lie above them for the milliseconds until it is read.
        let figure = figure.max(0.0);
        Self::is_known(live).map(|_| Self { now: figure, so_far: figure })
    }

    /// Before the second reading nothing is known, and where nothing can be measured nothing ever adds up: there is no
    /// figure then, and not zero.
    pub(crate) fn is_known(live: &Live) -> Option<Power> {
        live.power.filter(|_| live.energy > Energy::ZERO)
    }

    fn at_least(self, other: Self) -> Self {
        Self { now: self.now.max(other.now), so_far: self.so_far.max(other.so_far) }
    }
}

/// A figure of the run since the current split began.
#[derive(Clone)]
pub(crate) struct Dial {
    span: Span,
    /// Nobody else begins the span.
    owns_span: bool,
    pub(crate) face: &'static Face,
    /// The stretch that was read last.
    number: u64,
    pub(crate) shown: Option<Shown>,
    /// When a line was due last, in the run's time.
    written: Duration,
    /// Asked at each update, where nobody else asks.
    pub(crate) ends: Option<Ends>,
}

impl Dial {
    /// Over a span that somebody else begins and ends.
    pub(crate) fn new(span: Span, face: &'static Face) -> Self {
        Self { span, owns_span: false, face, number: 0, shown: None, written: Duration::ZERO, ends: None }
    }

    /// Begins the span itself.
    pub(crate) fn owning_span(self) -> Self {
        Self { owns_span: true, ..self }
    }

    /// At a step, which is the last one of its split or not.
    pub(crate) fn update(&mut self, is_last: bool) -> SerializedEntry {
        let is_due = self.read() || is_last;
        self.ends.iter().for_each(Ends::mind_budget);
        let is_sum = self.face.is_sum;
        self.entry(is_due.then_some(|Shown { now, so_far }| {
            // Where no line says that it is final, Burn's summary takes the mean of all.
            if is_sum { NumericEntry::Final(so_far) } else { NumericEntry::Value(now) }
        }))
    }

    /// At a split's end.
    pub(crate) fn compute(&mut self) -> SerializedEntry {
        self.read();
        self.entry(Some(|Shown { so_far, .. }| NumericEntry::Final(so_far)))
    }

    /// After a split's end.
    pub(crate) fn clear(&mut self) {
        if self.owns_span {
            self.span.begin();
        }
        self.shown = None;
    }

    /// Whether a line is due.
    fn read(&mut self) -> bool {
        let (Stretch { number, start, end }, now) = self.span.get();
        // An evaluator does not say that one test is over and the next one begins.
        if std::mem::replace(&mut self.number, number) != number {
            self.shown = None;
        }
        self.shown = match ((self.face.read)(&start, &now), self.shown) {
            // A live figure reaches ahead of the readings and may come back a little when the next one is in.
            (Some(read), Some(shown)) if self.face.is_sum && end.is_none() => Some(read.at_least(shown)),
            (read, shown) => read.or(shown),
        };
        let is_due = end.is_some() || now.elapsed.saturating_sub(self.written.max(start.elapsed)) >= LINE;
        if is_due {
            self.written = now.elapsed;
        }
        is_due
    }

    /// What Burn shows, and what it writes, if it does.
    fn entry(&self, line: Option<impl FnOnce(Shown) -> NumericEntry>) -> SerializedEntry {
        let Face { unit, is_sum, .. } = *self.face;
        let Some(shown) = self.shown else { return SerializedEntry::not_available(Some(unit)) };
        let Shown { now, so_far } = shown;
        let text = if is_sum {
            format!("{so_far:.3e} {unit}")
        } else {
            format!("epoch {so_far:.1} {unit} - now {now:.1} {unit}")
        };
        let line = line.map_or(SerializedEntry::NOT_AVAILABLE.into(), |line| line(shown).serialize());
        SerializedEntry::new(text, line)
    }
}

#[cfg(test)]
mod tests {
    use sootprint::{Kind, Replay, Run, VirtualClock};

    use super::*;
    use crate::metrics::{ENERGY, POWER};

    const WATTS: f64 = 360.0;

    /// A dial of a run that draws 360 W: 0.04 Wh in a step of 0.4 s.
    struct Bench {
        clock: VirtualClock,
        run: Run,
        span: Span,
        dial: Dial,
        _dir: tempfile::TempDir,
    }

    impl Bench {
        fn new(face: &'static Face) -> Self {
            let dir = tempfile::tempdir().unwrap();
            let clock = VirtualClock::default();
            let script = [(Duration::from_secs(60), Power::from_watts(WATTS))];
            let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", script).on_clock(clock.clone());
            let run = Run::pre_training(dir.path()).replay(replay).start();
            let span = Span::since(run.handle());
            let dial = Dial::new(span.clone(), face);
            Self { clock, run, span, dial, _dir: dir }
        }

        fn pass(&self) {
            self.clock.advance(Duration::from_millis(400));
            assert!(self.run.handle().settle(Duration::from_secs(60)), "the meter reads");
        }

        /// The entries of some steps, the last of which is told to be it.
        fn split(&mut self, steps: u32) -> Vec<SerializedEntry> {
            let update = |step| {
                self.pass();
                self.dial.update(step == steps)
            };
            (1..=steps).map(update).collect()
        }
    }

    /// At which steps Burn would write a line, and what.
    fn lines(entries: &[SerializedEntry]) -> Vec<(usize, &str)> {
        let written = entries.iter().zip(1..).filter(|(entry, _)| !entry.is_not_available());
        written.map(|(entry, step)| (step, entry.serialized.as_str())).collect()
    }

    /// The same, of figures that are final and rounded to a millionth.
    fn sums(entries: &[SerializedEntry]) -> Vec<(usize, i64)> {
        let millionths = |line: &str| match NumericEntry::deserialize(line) {
            Ok(NumericEntry::Final(value)) => (value * 1e6).round() as i64,
            other => panic!("{line}: {other:?}"),
        };
        lines(entries).into_iter().map(|(step, line)| (step, millionths(line))).collect()
    }

    #[test]
    fn a_line_of_a_sum_is_written_each_second_and_at_the_last_step() {
        let mut bench = Bench::new(&ENERGY);
        assert_eq!(sums(&bench.split(7)), [(3, 120_000), (6, 240_000), (7, 280_000)]);
    }

    #[test]
    fn each_split_has_its_own_seconds() {
        let mut bench = Bench::new(&ENERGY);
        assert_eq!(sums(&bench.split(2)), [(2, 80_000)]);
        bench.span.begin();
        bench.dial.clear();
        assert!(bench.run.handle().settle(Duration::from_secs(60)));
        assert_eq!(sums(&bench.split(4)), [(3, 120_000), (4, 160_000)]);
    }

    #[test]
    fn whatever_comes_after_a_split_is_over_is_written() {
        let mut bench = Bench::new(&ENERGY);
        bench.pass();
        bench.span.close();
        assert!(bench.run.handle().settle(Duration::from_secs(60)));
        bench.pass();
        assert_eq!(sums(&[bench.dial.update(false), bench.dial.compute()]), [(1, 40_000), (2, 40_000)]);
    }

    #[test]
    fn power_is_that_of_the_moment_until_the_end() {
        let mut bench = Bench::new(&POWER);
        assert_eq!(lines(&bench.split(4)), [(3, "360"), (4, "360")]);
        assert_eq!(bench.dial.compute().serialized, "360,final");
    }

    #[test]
    fn every_step_is_shown() {
        let mut bench = Bench::new(&ENERGY);
        let shown: Vec<_> = bench.split(5).into_iter().map(|entry| entry.formatted).collect();
        assert_eq!(shown, ["4.000e-2 Wh", "8.000e-2 Wh", "1.200e-1 Wh", "1.600e-1 Wh", "2.000e-1 Wh"]);
    }
}
