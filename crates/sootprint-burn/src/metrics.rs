//! Energy, power and CO2e as Burn metrics: in its plots, its summary and its log files.
//!
//! Energy and CO2e grow through a split of an epoch and start again with the next; the last value is the split's. Power
//! is the momentary one, and at a split's end its mean. They are live figures, while the run's footprint is computed
//! from readings alone.

use std::sync::Arc;

use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use sootprint::{Energy, Live, Power, RunHandle};

use crate::ends::Ends;
use crate::span::{Span, Stretch};

/// The energy of the current split of the current epoch, in watt-hours. Less is better.
///
/// [`measured_by`](crate::MeasuredBy::measured_by) registers it.
#[derive(Clone)]
pub struct EnergyMetric(Dial);

/// The power in watts: the mean of about the last second, and over a whole split at its end. Less is better.
///
/// [`measured_by`](crate::MeasuredBy::measured_by) registers it.
#[derive(Clone)]
pub struct PowerMetric(Dial);

/// The CO2e of the current split of the current epoch, in grams. Less is better.
///
/// [`measured_by`](crate::MeasuredBy::measured_by) registers it.
#[derive(Clone)]
pub struct EmissionsMetric(Dial);

/// What a dial shows.
struct Face {
    name: &'static str,
    unit: &'static str,
    /// A sum only grows; power is no sum.
    is_sum: bool,
    read: fn(since: &Live, now: &Live) -> Option<Shown>,
}

/// A figure at the moment, and that of the split so far.
#[derive(Clone, Copy)]
struct Shown {
    now: f64,
    so_far: f64,
}

const ENERGY: Face = Face {
    name: "Energy",
    unit: "Wh",
    is_sum: true,
    read: |since, now| Shown::sum(now, now.energy.watt_hours() - since.energy.watt_hours()),
};

const EMISSIONS: Face = Face {
    name: "CO2e",
    unit: "g",
    is_sum: true,
    read: |since, now| Shown::sum(now, now.emissions.grams() - since.emissions.grams()),
};

const POWER: Face = Face {
    name: "Power",
    unit: "W",
    is_sum: false,
    read: |since, live| {
        let now = Shown::is_known(live)?.watts();
        let seconds = live.elapsed.saturating_sub(since.elapsed).as_secs_f64();
        let mean = (live.energy - since.energy).joules() / seconds;
        Some(Shown { now, so_far: if seconds > 0.0 { mean } else { now } })
    },
};

impl Shown {
    fn sum(live: &Live, figure: f64) -> Option<Self> {
        // A beginning that reached ahead of the readings may lie above them for the milliseconds until it is read.
        let figure = figure.max(0.0);
        Self::is_known(live).map(|_| Self { now: figure, so_far: figure })
    }

    /// Before the second reading nothing is known, and where nothing can be measured nothing ever adds up: there is no
    /// figure then, and not zero.
    fn is_known(live: &Live) -> Option<Power> {
        live.power.filter(|_| live.energy > Energy::ZERO)
    }

    fn at_least(self, other: Self) -> Self {
        Self { now: self.now.max(other.now), so_far: self.so_far.max(other.so_far) }
    }
}

/// A figure of the run since the current split began.
#[derive(Clone)]
struct Dial {
    span: Span,
    /// Nobody else begins the span.
    owns_span: bool,
    face: &'static Face,
    /// The stretch that was read last.
    number: u64,
    shown: Option<Shown>,
    /// Asked at each update, where nobody else asks.
    ends: Option<Ends>,
}

impl Dial {
    fn read(&mut self) {
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
    }

    /// What Burn shows and what it writes.
    fn entry(&self, written: fn(Shown) -> NumericEntry) -> SerializedEntry {
        let Face { unit, is_sum, .. } = *self.face;
        let Some(shown) = self.shown else { return SerializedEntry::not_available(Some(unit)) };
        let Shown { now, so_far } = shown;
        let text = if is_sum {
            format!("{so_far:.3e} {unit}")
        } else {
            format!("epoch {so_far:.1} {unit} - now {now:.1} {unit}")
        };
        SerializedEntry::new(text, written(shown).serialize())
    }

    fn clear(&mut self) {
        if self.owns_span {
            self.span.begin();
        }
        self.shown = None;
    }
}

/// What all three metrics do, each for its own dial.
macro_rules! metric {
    ($metric:ident, $face:ident, $description:literal) => {
        impl $metric {
            /// Of this run, from now on.
            #[must_use]
            pub fn new(run: RunHandle) -> Self {
                let span = Span::since(run);
                Self(Dial { span, owns_span: true, face: &$face, number: 0, shown: None, ends: None })
            }

            /// Over a span that somebody else begins and ends.
            pub(crate) fn over(span: &Span) -> Self {
                let span = span.clone();
                Self(Dial { span, owns_span: false, face: &$face, number: 0, shown: None, ends: None })
            }
        }

        impl Metric for $metric {
            type Input = ();

            fn name(&self) -> MetricName {
                Arc::new(self.0.face.name.to_owned())
            }

            fn description(&self) -> Option<String> {
                Some($description.to_owned())
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes { unit: Some(self.0.face.unit.to_owned()), higher_is_better: false }.into()
            }

            fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
                self.0.read();
                self.0.ends.iter().for_each(Ends::mind_budget);
                Ok(self.0.entry(|shown| NumericEntry::Value(shown.now)))
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                self.0.read();
                Ok(self.0.entry(|shown| NumericEntry::Final(shown.so_far)))
            }

            fn clear(&mut self) {
                self.0.clear();
            }
        }

        impl Numeric for $metric {
            fn value(&self) -> Option<NumericEntry> {
                self.0.shown.map(|shown| NumericEntry::Value(shown.now))
            }

            fn running_value(&self) -> Option<NumericEntry> {
                self.0.shown.map(|shown| NumericEntry::Value(shown.so_far))
            }

            fn final_value(&self) -> NumericEntry {
                // Burn asks for a number even where there is none, and has this one for it; no file gets it.
                NumericEntry::Final(self.0.shown.map_or(f64::NAN, |shown| shown.so_far))
            }
        }
    };
}

#[cfg(feature = "rl")]
impl EnergyMetric {
    /// Minds the run's budget at each update, too.
    pub(crate) fn minding(mut self, ends: Ends) -> Self {
        self.0.ends = Some(ends);
        self
    }
}

metric!(EnergyMetric, ENERGY, "Energy of this split of the epoch: GPU, CPU and memory");
metric!(
    PowerMetric,
    POWER,
    "Power of GPU, CPU and memory: momentary, and the mean of this split of the epoch"
);
metric!(
    EmissionsMetric,
    EMISSIONS,
    "CO2e of this split of the epoch: energy, PUE and the grid's carbon intensity"
);
