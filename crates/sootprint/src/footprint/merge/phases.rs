//! The phases of all ranks and attempts.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{Energy, EpochSummary, GridIntensity, PhaseSummary};

use super::super::epochs::sum_phases;
use super::LedgerMerge;
use crate::ledger::PhaseTotal;

/// What each ledger supplies of what its components used over some time; the rest is another's claim.
#[derive(Default)]
pub(super) struct AttributedEnergy {
    pub(super) energy: Energy,
    /// By the ledger and the position of the component.
    shares: BTreeMap<(usize, usize), f64>,
}

impl AttributedEnergy {
    /// A ledger supplies this part of all that a component used.
    pub(super) fn add(&mut self, key: (usize, usize), total: Energy, share: f64) {
        self.energy += total * share;
        *self.shares.entry(key).or_default() += share;
    }

    /// One ledger's phases, as far as it supplies what they used.
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

/// Phases of ranks that trained at the same time: what they used adds up, how long they took does not.
pub(super) fn merge_parallel_phases(ranks: impl IntoIterator<Item = Vec<PhaseSummary>>) -> Vec<PhaseSummary> {
    let mut all: Vec<PhaseSummary> = Vec::new();
    for phase in ranks.into_iter().flatten() {
        match all.iter_mut().find(|known| known.name == phase.name) {
            Some(known) => {
                known.duration_s = known.duration_s.max(phase.duration_s);
                known.energy += phase.energy;
                known.emissions += phase.emissions;
            }
            None => all.push(phase),
        }
    }
    all
}

impl LedgerMerge<'_> {
    /// The phases of the whole run: those of all epochs, and those between them.
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
