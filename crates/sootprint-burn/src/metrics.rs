//! Energy, power and CO2e as Burn metrics, for its plots, summary and log files.
//!
//! Energy and CO2e accumulate over a split of an epoch and restart with the next one; the last value is the split's total.
//! Power is the current value, and the mean at the end of a split. All three are live estimates; the run's footprint is
//! computed from samples alone.

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

/// A Burn metric: the energy of the current split of the current epoch, in watt-hours.
///
/// Registered by [`track_emissions`](crate::TrackEmissionsExt::track_emissions).
#[derive(Clone)]
pub struct EnergyMetric(LiveMetric);

/// A Burn metric: the power in watts. During a split, it is the mean of about the last second; at the end of a split,
/// the mean of the split.
///
/// Registered by [`track_emissions`](crate::TrackEmissionsExt::track_emissions).
#[derive(Clone)]
pub struct PowerMetric(LiveMetric);

/// A Burn metric: the CO2e of the current split of the current epoch, in grams.
///
/// Registered by [`track_emissions`](crate::TrackEmissionsExt::track_emissions).
#[derive(Clone)]
pub struct EmissionsMetric(LiveMetric);

pub(crate) const ENERGY_SPEC: MetricSpec = MetricSpec {
    name: "Energy",
    unit: "Wh",
    is_sum: true,
    compute: |start, usage| {
        MetricValue::from_total(usage, usage.energy.watt_hours() - start.energy.watt_hours())
    },
};

const EMISSIONS_SPEC: MetricSpec = MetricSpec {
    name: "CO2e",
    unit: "g",
    is_sum: true,
    compute: |start, usage| MetricValue::from_total(usage, usage.emissions.grams() - start.emissions.grams()),
};

pub(crate) const POWER_SPEC: MetricSpec = MetricSpec {
    name: "Power",
    unit: "W",
    is_sum: false,
    compute: |start, usage| {
        let current = MetricValue::known_power(usage)?.watts();
        let seconds = usage.elapsed.saturating_sub(start.elapsed).as_secs_f64();
        let mean = (usage.energy - start.energy).joules() / seconds;
        Some(MetricValue { current, running: if seconds > 0.0 { mean } else { current } })
    },
};

/// Implements Burn's metric traits for a wrapper of [`LiveMetric`].
macro_rules! metric {
    ($metric:ident, $spec:ident, $description:literal) => {
        impl $metric {
            /// Creates a metric of this run. It starts counting now.
            #[must_use]
            pub fn new(run: RunHandle) -> Self {
                Self(LiveMetric::new(SplitUsage::new(run), &$spec).with_owned_usage())
            }

            /// Creates a metric of splits whose boundaries are set elsewhere.
            pub(crate) fn for_split(usage: &SplitUsage) -> Self {
                Self(LiveMetric::new(usage.clone(), &$spec))
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
                // Reinforcement learning processes several steps per update and may exceed the total.
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
                // NaN is Burn's own value for "none" here; it is never written to a file.
                NumericEntry::Final(self.0.value.map_or(f64::NAN, |value| value.running))
            }
        }
    };
}

#[cfg(feature = "rl")]
impl EnergyMetric {
    /// Also enforces the run's budget at each update.
    pub(crate) fn with_stop_controller(mut self, stop_controller: crate::stop::StopController) -> Self {
        self.0.stop_controller = Some(stop_controller);
        self
    }
}

metric!(EnergyMetric, ENERGY_SPEC, "Energy of this split of the epoch: GPU, CPU and memory");
metric!(
    PowerMetric,
    POWER_SPEC,
    "Power of GPU, CPU and memory: current, and the mean of this split of the epoch"
);
metric!(
    EmissionsMetric,
    EMISSIONS_SPEC,
    "CO2e of this split of the epoch, from energy, PUE and the grid's carbon intensity"
);
