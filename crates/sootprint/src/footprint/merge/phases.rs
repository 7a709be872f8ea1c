//! The phases of all ranks and attempts.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{Energy, EpochSummary, GridIntensity, PhaseSummary};

use super::ledger_merge::LedgerMerge;
use crate::footprint::phases::{merge_parallel_phases, sum_phases};
use crate::ledger::PhaseTotal;

/// The energy attributed to each ledger over some time. Energy that another ledger already covers is excluded.
#[derive(Default)]
pub(super) struct AttributedEnergy {
    pub(super) energy: Energy,
    /// The attributed share of a component's energy, by indices of ledger and component.
    shares: BTreeMap<(usize, usize), f64>,
}

impl AttributedEnergy {
    /// Attributes a share of a component's total energy to a ledger.
    pub(super) fn add(&mut self, key: (usize, usize), total: Energy, share: f64) {
        self.energy += total * share;
        *self.shares.entry(key).or_default() += share;
    }

    /// The phases of one ledger, with their attributed energy.
    pub(super) fn phase_summaries(
        &self,
        ledger: usize,
        phases: &[PhaseTotal],
        pue: f64,
        grid: &GridIntensity,
    ) -> Vec<PhaseSummary> {
        let share = |component| self.shares.get(&(ledger, component)).copied().unwrap_or_default();
        let summary = |phase: &PhaseTotal| {
            let each = phase.energy.iter().enumerate();
            let energy: Energy = each.map(|(component, energy)| *energy * share(component)).sum();
            PhaseSummary {
                name: phase.name.clone(),
                duration_s: phase.seconds,
                energy,
                emissions: energy * pue * grid.intensity,
            }
        };
        phases.iter().map(summary).collect()
    }
}

impl LedgerMerge<'_> {
    /// The phases of the whole run, within and outside of epochs.
    pub(super) fn phase_summaries(&self, epochs: &[EpochSummary], grid: &GridIntensity) -> Vec<PhaseSummary> {
        let within_epochs = epochs.iter().flat_map(|epoch| epoch.phases.iter().cloned());
        let mut attributed = AttributedEnergy::default();
        for contribution in &self.contributions {
            let totals = self.ledgers[contribution.ledger].builder.totals.get(contribution.component);
            let total = totals.map_or(Energy::ZERO, |total| total.energy);
            let share = contribution.total.energy.joules() / total.joules();
            attributed.add(
                (contribution.ledger, contribution.component),
                total,
                if share.is_finite() { share } else { 0.0 },
            );
        }
        let attempts: BTreeSet<u32> = self.ledgers.iter().map(|ledger| ledger.attempt).collect();
        let outside = attempts.into_iter().flat_map(|attempt| {
            let ledgers =
                self.ledgers.iter().enumerate().filter(move |(_, ledger)| ledger.attempt == attempt);
            merge_parallel_phases(ledgers.map(|(index, ledger)| {
                let pue = ledger.builder.header.pue.factor();
                attributed.phase_summaries(index, &ledger.builder.outside_epochs.phases, pue, grid)
            }))
        });
        sum_phases(within_epochs.chain(outside))
    }
}
