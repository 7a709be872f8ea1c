//! Energy and emissions per sample and per token.

use super::Footprint;
use super::epochs::EpochSummary;
use crate::units::{Co2e, Energy};

/// Energy and emissions per item of training data: a sample or a token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PerItemUsage {
    /// The energy per item.
    pub energy: Energy,
    /// The emissions per thousand items.
    pub emissions_per_thousand: Co2e,
}

impl Footprint {
    /// Returns the energy per training sample and the emissions per thousand samples, averaged over the epochs that counted samples. If no epoch
    /// counted any, the totals of the run are divided by its number of samples. `None` if no samples were counted.
    #[must_use]
    pub fn per_sample(&self) -> Option<PerItemUsage> {
        self.per_item_usage(self.run.samples, |epoch| epoch.samples)
    }

    /// Returns energy and emissions per training token, computed as in [`Self::per_sample`]. `None` if no tokens were
    /// counted.
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

/// The count as a divisor. `None` for 0.
fn as_divisor(count: u64) -> Option<f64> {
    #[expect(clippy::cast_precision_loss, reason = "beyond 2^53 items the relative error is 1e-16")]
    (count > 0).then_some(count as f64)
}
