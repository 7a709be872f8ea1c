//! The parts of a run: its epochs, their phases, and what a sample of them used.

use serde::{Deserialize, Serialize};

use super::Footprint;
use crate::units::{Co2e, Energy};

/// One pass over the training data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct EpochSummary {
    /// Its number, as the framework counts.
    pub epoch: u32,
    /// The attempt in which it ran, from 1.
    pub attempt: u32,
    /// Seconds from the start of the run to its own, on the axis of [`Footprint::power`]; none in an older footprint.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start_s: Option<f64>,
    /// Wall time in seconds.
    pub duration_s: f64,
    /// What it used.
    #[serde(rename = "energy_j")]
    pub energy: Energy,
    /// What that emitted.
    #[serde(rename = "grams")]
    pub emissions: Co2e,
    /// Whether it ran to its end.
    pub completed: bool,
    /// The samples that it trained on, when the run was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub samples: Option<u64>,
    /// The tokens that it trained on, when the run was told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tokens: Option<u64>,
    /// Its named phases. What none of them covers is the rest of the epoch; phases within phases count in both.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<PhaseSummary>,
}

/// What all scopes of one name took and used.
///
/// A phase that is shorter than the tick of a board's counter (20 to 100 ms), or than the second between two readings
/// of hardware that does not tick, has its part of that time's energy by its length.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct PhaseSummary {
    /// Its name, as `Run::phase` was given it.
    pub name: String,
    /// Seconds, all of its times added; of several ranks the longest.
    pub duration_s: f64,
    /// What it used.
    #[serde(rename = "energy_j")]
    pub energy: Energy,
    /// What that emitted.
    #[serde(rename = "grams")]
    pub emissions: Co2e,
}

/// What one unit of the training's work, a sample or a token, used and emitted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerItemUsage {
    /// Energy of one.
    pub energy: Energy,
    /// CO2e of a thousand.
    pub emissions_per_thousand: Co2e,
}

impl Footprint {
    /// What a sample used and emitted, over the epochs whose samples were counted; none without such an epoch.
    #[must_use]
    pub fn per_sample(&self) -> Option<PerItemUsage> {
        self.per_item_usage(self.run.samples, |epoch| epoch.samples)
    }

    /// What a token used and emitted, over the epochs whose tokens were counted; none without such an epoch.
    #[must_use]
    pub fn per_token(&self) -> Option<PerItemUsage> {
        self.per_item_usage(self.run.tokens, |epoch| epoch.tokens)
    }

    fn per_item_usage(
        &self,
        total_items: Option<u64>,
        item_count: fn(&EpochSummary) -> Option<u64>,
    ) -> Option<PerItemUsage> {
        let epochs: Vec<&EpochSummary> =
            self.epochs.iter().filter(|epoch| item_count(epoch).is_some()).collect();
        let (energy, emissions, items) = if epochs.is_empty() {
            (self.energy.total, self.emissions.best, total_items?)
        } else {
            let items = epochs.iter().filter_map(|epoch| item_count(epoch)).sum();
            let energy = epochs.iter().map(|epoch| epoch.energy).sum();
            (energy, epochs.iter().map(|epoch| epoch.emissions).sum(), items)
        };
        let per_item = 1.0 / as_divisor(items)?;
        Some(PerItemUsage {
            energy: energy * per_item,
            emissions_per_thousand: Co2e::from_grams(emissions.grams() * 1_000.0 * per_item),
        })
    }
}

/// The count as a number to divide by; none for nothing.
fn as_divisor(count: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 samples a relative error of 1e-16 is none")]
    (count > 0).then_some(count as f64)
}
