//! What a metric of Burn's shows of a run, and how often it has Burn write that down.
//!
//! Burn shows each step's figure. Into a file it writes it through a thread that it wakes for each metric and step, which
//! takes some 12 µs of a processor; so a line is written at a split's end, and once a second before. Power is a mean of
//! about a second in any case. At other steps the entry is the one that Burn has for a metric without a value of the step:
//! its files leave it out.

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

    fn value(self) -> NumericEntry {
        NumericEntry::Value(self.now)
    }

    fn end(self) -> NumericEntry {
        NumericEntry::Final(self.so_far)
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
    /// Whether Burn asks for the split's figure at its end. Where it does not, any line may be the last one, and has the
    /// figure so far.
    is_closed: bool,
    /// Asked at each update, where nobody else asks.
    pub(crate) ends: Option<Ends>,
}

impl Dial {
    /// Over a span that somebody else begins and ends.
    pub(crate) fn new(span: Span, face: &'static Face) -> Self {
        Self {
            span,
            owns_span: false,
            face,
            number: 0,
            shown: None,
            written: Duration::ZERO,
            is_closed: true,
            ends: None,
        }
    }

    /// Begins the span itself.
    pub(crate) fn owning_span(self) -> Self {
        Self { owns_span: true, ..self }
    }

    /// Burn does not ask for the figure at its end.
    pub(crate) fn open(self) -> Self {
        Self { is_closed: false, ..self }
    }

    /// At a step, which is the last one of its split or not.
    pub(crate) fn update(&mut self, is_last: bool) -> SerializedEntry {
        let is_due = self.read() || is_last;
        self.ends.iter().for_each(Ends::mind_budget);
        self.entry(is_due.then_some(if self.is_closed { Shown::value } else { Shown::end }))
    }

    /// At a split's end.
    pub(crate) fn compute(&mut self) -> SerializedEntry {
        self.read();
        self.entry(Some(Shown::end))
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
    fn entry(&self, written: Option<fn(Shown) -> NumericEntry>) -> SerializedEntry {
        let Face { unit, is_sum, .. } = *self.face;
        let Some(shown) = self.shown else { return SerializedEntry::not_available(Some(unit)) };
        let Shown { now, so_far } = shown;
        let text = if is_sum {
            format!("{so_far:.3e} {unit}")
        } else {
            format!("epoch {so_far:.1} {unit} - now {now:.1} {unit}")
        };
        let line =
            written.map_or(SerializedEntry::NOT_AVAILABLE.into(), |written| written(shown).serialize());
        SerializedEntry::new(text, line)
    }
}

#[cfg(test)]
mod tests {
    use sootprint::{Kind, Replay, Run, VirtualClock};

    use super::*;

    const WATTS: f64 = 360.0;

    const ENERGY: Face = Face {
        name: "Energy",
        unit: "Wh",
        is_sum: true,
        read: |since, now| Shown::sum(now, now.energy.watt_hours() - since.energy.watt_hours()),
    };

    /// Updates a dial at steps of 0.4 s, of which the last is told to be it; the entries.
    fn steps(steps: u32, is_open: bool) -> Vec<SerializedEntry> {
        let dir = tempfile::tempdir().unwrap();
        let clock = VirtualClock::default();
        let script = [(Duration::from_secs(60), Power::from_watts(WATTS))];
        let replay = Replay::new().component(Kind::Cpu, "Scripted CPU", script).on_clock(clock.clone());
        let run = Run::pre_training(dir.path()).replay(replay).start();
        let handle = run.handle();
        let dial = Dial::new(Span::since(handle.clone()), &ENERGY);
        let mut dial = if is_open { dial.open() } else { dial };
        let updates = (1..=steps).map(|step| {
            clock.advance(Duration::from_millis(400));
            assert!(handle.settle(Duration::from_secs(60)), "the meter reads");
            dial.update(step == steps)
        });
        updates.collect()
    }

    /// The watt-hours of the lines that Burn would write, and at which steps it would.
    fn lines(entries: &[SerializedEntry]) -> Vec<(usize, NumericEntry)> {
        let written = entries.iter().zip(1..).filter(|(entry, _)| !entry.is_not_available());
        written.map(|(entry, step)| (step, NumericEntry::deserialize(&entry.serialized).unwrap())).collect()
    }

    #[test]
    fn a_line_is_written_each_second_and_at_the_last_step() {
        let entries = steps(7, false);
        // 360 W for 0.4 s are 0.04 Wh. The first second is over at the third step.
        let [
            (3, NumericEntry::Value(third)),
            (6, NumericEntry::Value(sixth)),
            (7, NumericEntry::Value(last)),
        ] = lines(&entries)[..]
        else {
            panic!("{entries:?}")
        };
        for (value, truth) in [(third, 0.12), (sixth, 0.24), (last, 0.28)] {
            assert!((value - truth).abs() < 1e-9, "{value}, {truth}");
        }
    }

    #[test]
    fn every_step_is_shown() {
        let shown = steps(5, false).into_iter().map(|entry| entry.formatted).collect::<Vec<_>>();
        assert_eq!(shown, ["4.000e-2 Wh", "8.000e-2 Wh", "1.200e-1 Wh", "1.600e-1 Wh", "2.000e-1 Wh"]);
    }

    #[test]
    fn where_no_end_is_told_any_line_may_be_the_last() {
        let entries = steps(4, true);
        let [(3, NumericEntry::Final(_)), (4, NumericEntry::Final(last))] = lines(&entries)[..] else {
            panic!("{entries:?}")
        };
        assert!((last - 0.16).abs() < 1e-9, "{last}");
    }
}
