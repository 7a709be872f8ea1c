//! The power of all ledgers.

use sootprint_core::Energy;

use super::ledger_merge::LedgerMerge;
use crate::footprint::trace::MAX_POWER_POINTS;

impl LedgerMerge<'_> {
    /// The mean power in watts in equal spans, at most [`MAX_POWER_POINTS`], each with the time of its end.
    pub(super) fn mean_power(&self, duration: f64) -> Vec<(f64, f64)> {
        if duration <= 0.0 {
            return Vec::new();
        }
        let spans = (duration.ceil() as usize).clamp(1, MAX_POWER_POINTS);
        let length = duration / spans as f64;
        let mut energy = vec![Energy::ZERO; spans];
        for contribution in &self.contributions {
            let ledger = &self.ledgers[contribution.ledger];
            let (start, end) = (ledger.offset + contribution.from, ledger.offset + contribution.to);
            let (first, last) = ((start / length) as usize, (end / length) as usize);
            let overlapped = energy.iter_mut().enumerate().take(last + 1).skip(first);
            for (index, energy) in overlapped {
                let from = (index as f64 * length).max(start) - ledger.offset;
                let to = ((index + 1) as f64 * length).min(end) - ledger.offset;
                if from < to {
                    *energy += ledger.energy_between(contribution.component, from, to);
                }
            }
        }
        let point =
            |(index, energy): (usize, Energy)| ((index + 1) as f64 * length, energy.joules() / length);
        energy.into_iter().enumerate().map(point).collect()
    }
}
