//! The ledgers of one run, ready to be merged.

use sootprint_core::RunStatus;

use super::contributions::{ComponentContribution, list_contributions};
use super::placed_ledger::{PlacedLedger, place_ledgers};
use crate::footprint::FootprintBuilder;

/// The ledgers of one run. The other modules of this folder implement one part of the merged footprint each.
pub(super) struct LedgerMerge<'a> {
    /// Sorted by attempt, then by rank.
    pub(super) ledgers: Vec<PlacedLedger<'a>>,
    pub(super) contributions: Vec<ComponentContribution>,
    /// Rank and attempt of each ledger that cannot be read.
    pub(super) unreadable: &'a [(u32, u32)],
}

impl<'a> LedgerMerge<'a> {
    pub(super) fn new(ledgers: &'a [(FootprintBuilder, RunStatus)], unreadable: &'a [(u32, u32)]) -> Self {
        let ledgers = place_ledgers(ledgers);
        let contributions = list_contributions(&ledgers);
        Self { ledgers, contributions, unreadable }
    }
}
