//! Energy, power and CO2e as Burn metrics: in its plots, its summary and its log files.
//!
//! Energy and CO2e grow through a split of an epoch and start again with the next; the last value is the split's. Power
//! is the momentary one, and its mean where Burn tells of a split's end. They are live figures, while the run's footprint is computed
//! from readings alone.

use std::sync::Arc;

use burn::data::dataloader::Progress;
use burn::tensor::TensorReadError;
use burn::train::metric::{
    Metric, MetricAttributes, MetricMetadata, MetricName, Numeric, NumericAttributes, NumericEntry,
    SerializedEntry,
};
use sootprint::RunHandle;

use crate::metric_state::{LiveMetric, MetricSpec, MetricValue};
use crate::split_usage::SplitUsage;

/// The energy of the current split of the current epoch, in watt-hours. Less is better.
///
/// [`track_emissions`](crate::TrackEmissionsExt::track_emissions) registers it.
#[derive(Clone)]
pub struct EnergyMetric(LiveMetric);

/// The power in watts: the mean of about the last second, and over a whole split where Burn tells of its end. Less is better.
///
/// [`track_emissions`](crate::TrackEmissionsExt::track_emissions) registers it.
#[derive(Clone)]
pub struct PowerMetric(LiveMetric);

/// The CO2e of the current split of the current epoch, in grams. Less is better.
///
/// [`track_emissions`](crate::TrackEmissionsExt::track_emissions) registers it.
#[derive(Clone)]
pub struct EmissionsMetric(LiveMetric);

pub(crate) const ENERGY_SPEC: MetricSpec = MetricSpec {
    name: "Energy",
    unit: "Wh",
    is_sum: true,
    compute: |since, now| MetricValue::from_total(now, now.energy.watt_hours() - since.energy.watt_hours()),
};

const EMISSIONS_SPEC: MetricSpec = MetricSpec {
    name: "CO2e",
    unit: "g",
    is_sum: true,
    compute: |since, now| MetricValue::from_total(now, now.emissions.grams() - since.emissions.grams()),
};

pub(crate) const POWER_SPEC: MetricSpec = MetricSpec {
    name: "Power",
    unit: "W",
    is_sum: false,
    compute: |since, live| {
        let current = MetricValue::known_power(live)?.watts();
        let seconds = live.elapsed.saturating_sub(since.elapsed).as_secs_f64();
        let mean = (live.energy - since.energy).joules() / seconds;
        Some(MetricValue { current, running: if seconds > 0.0 { mean } else { current } })
    },
};

/// What all three metrics do, each for its own dial.
macro_rules! metric {
    ($metric:ident, $face:ident, $description:literal) => {
        impl $metric {
            /// Of this run, from now on.
            #[must_use]
            pub fn new(run: RunHandle) -> Self {
                Self(LiveMetric::new(SplitUsage::new(run), &$face).with_owned_usage())
            }

            /// Over a span that somebody else begins and ends.
            pub(crate) fn over(span: &SplitUsage) -> Self {
                Self(LiveMetric::new(span.clone(), &$face))
            }
        }

        impl Metric for $metric {
            type Input = ();

            fn name(&self) -> MetricName {
                Arc::new(self.0.spec.name.to_owned())
            }

            fn description(&self) -> Option<String> {
                Some($description.to_owned())
            }

            fn attributes(&self) -> MetricAttributes {
                NumericAttributes { unit: Some(self.0.spec.unit.to_owned()), higher_is_better: false }.into()
            }

            fn update(
                &mut self,
                (): &(),
                metadata: &MetricMetadata,
            ) -> Result<SerializedEntry, TensorReadError> {
                // Reinforcement learning may take several steps at once, beyond the last.
                let Progress { items_processed, items_total, .. } = metadata.progress;
                Ok(self.0.update(items_processed >= items_total))
            }

            fn compute(&mut self) -> Result<SerializedEntry, TensorReadError> {
                Ok(self.0.compute())
            }

            fn clear(&mut self) {
                self.0.clear();
            }
        }

        impl Numeric for $metric {
            fn value(&self) -> Option<NumericEntry> {
                self.0.value.map(|value| NumericEntry::Value(value.current))
            }

            fn running_value(&self) -> Option<NumericEntry> {
                self.0.value.map(|value| NumericEntry::Value(value.running))
            }

            fn final_value(&self) -> NumericEntry {
                // Burn asks for a number even where there is none, and has this one for it; no file gets it.
                NumericEntry::Final(self.0.value.map_or(f64::NAN, |value| value.running))
            }
        }
    };
}

#[cfg(feature = "rl")]
impl EnergyMetric {
    /// Minds the run's budget at each update, too.
    pub(crate) fn with_stop_controller(mut self, stop_controller: crate::stop::StopController) -> Self {
        self.0.stop_controller = Some(stop_controller);
        self
    }
}

metric!(EnergyMetric, ENERGY_SPEC, "Energy of this split of the epoch: GPU, CPU and memory");
metric!(
    PowerMetric,
    POWER_SPEC,
    "Power of GPU, CPU and memory: momentary, and the mean of this split of the epoch"
);
metric!(
    EmissionsMetric,
    EMISSIONS_SPEC,
    "CO2e of this split of the epoch: energy, PUE and the grid's carbon intensity"
);
