//! Energy and CO2e as Burn metrics: in its plots, its summary and its log files.
//!
//! Both grow through a split of an epoch and start again with the next; the last value is the split's. They are live
//! figures, while the run's footprint is computed from readings alone.

use std::sync::{Arc, Mutex, PoisonError};

use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use sootprint::{Live, RunHandle};

/// The energy of the current split of the current epoch, in watt-hours. Less is better.
///
/// [`measured_by`](crate::MeasuredBy::measured_by) registers it; register it yourself with an evaluator.
#[derive(Clone)]
pub struct EnergyMetric(Gauge);

/// The CO2e of the current split of the current epoch, in grams. Less is better.
///
/// [`measured_by`](crate::MeasuredBy::measured_by) registers it; register it yourself with an evaluator.
#[derive(Clone)]
pub struct EmissionsMetric(Gauge);

impl EnergyMetric {
    /// Of this run, from now on.
    #[must_use]
    pub fn new(run: RunHandle) -> Self {
        let split = SplitStart::now(&run);
        Self::since(run, split)
    }

    pub(crate) fn since(run: RunHandle, split: SplitStart) -> Self {
        Self(Gauge::new(run, split, "Energy", "Wh", |live| live.energy.watt_hours()))
    }
}

impl EmissionsMetric {
    /// Of this run, from now on.
    #[must_use]
    pub fn new(run: RunHandle) -> Self {
        let split = SplitStart::now(&run);
        Self::since(run, split)
    }

    pub(crate) fn since(run: RunHandle, split: SplitStart) -> Self {
        Self(Gauge::new(run, split, "CO2e", "g", |live| live.emissions.grams()))
    }
}

/// What the run had used when the current split began, shared by all metrics of a training.
///
/// Burn's metrics are told of a split's end and not of its beginning; the progress logger is told of both.
#[derive(Clone)]
pub(crate) struct SplitStart(Arc<Mutex<Live>>);

impl SplitStart {
    pub(crate) fn now(run: &RunHandle) -> Self {
        Self(Arc::new(Mutex::new(run.live())))
    }

    /// A split begins here.
    pub(crate) fn set(&self, run: &RunHandle) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = run.live();
    }

    fn get(&self) -> Live {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A figure of the run since the current split began.
#[derive(Clone)]
struct Gauge {
    run: RunHandle,
    split: SplitStart,
    name: MetricName,
    unit: &'static str,
    figure: fn(&Live) -> f64,
    value: f64,
}

impl Gauge {
    fn new(
        run: RunHandle,
        split: SplitStart,
        name: &str,
        unit: &'static str,
        figure: fn(&Live) -> f64,
    ) -> Self {
        Self { run, split, name: Arc::new(name.to_owned()), unit, figure, value: 0.0 }
    }

    fn read(&mut self, entry: fn(f64) -> NumericEntry) -> SerializedEntry {
        let used = (self.figure)(&self.run.live()) - (self.figure)(&self.split.get());
        // A live figure reaches ahead of the readings and may come back a little when the next one is in.
        self.value = used.max(self.value);
        SerializedEntry::new(format!("{:.3e} {}", self.value, self.unit), entry(self.value).serialize())
    }

    /// The split is over: the next one counts from here, unless the progress logger says better.
    fn clear(&mut self) {
        self.split.set(&self.run);
        self.value = 0.0;
    }
}

/// What both metrics do, each for its own gauge.
macro_rules! metric {
    ($metric:ident, $description:literal) => {
        impl Metric for $metric {
            type Input = ();

            fn name(&self) -> MetricName {
                Arc::clone(&self.0.name)
            }

            fn description(&self) -> Option<String> {
                Some($description.to_owned())
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes { unit: Some(self.0.unit.to_owned()), higher_is_better: false }.into()
            }

            fn update(&mut self, (): &(), _: &MetricMetadata) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.0.read(NumericEntry::Value))
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.0.read(NumericEntry::Final))
            }

            fn clear(&mut self) {
                self.0.clear();
            }
        }

        impl Numeric for $metric {
            fn value(&self) -> Option<NumericEntry> {
                Some(NumericEntry::Value(self.0.value))
            }

            fn running_value(&self) -> Option<NumericEntry> {
                self.value()
            }

            fn final_value(&self) -> NumericEntry {
                NumericEntry::Final(self.0.value)
            }
        }
    };
}

metric!(EnergyMetric, "Energy of this split of the epoch: GPU, CPU and memory");
metric!(EmissionsMetric, "CO2e of this split of the epoch: energy, PUE and the grid's carbon intensity");
