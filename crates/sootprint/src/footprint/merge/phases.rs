//! The phases of all ranks and attempts.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{Answer, Energy, EpochSummary, PhaseSummary};

use super::super::epochs::united;
use super::Merge;
use crate::ledger::Phase;

/// What each ledger supplies of what its components used over some time; the rest is another's claim.
#[derive(Default)]
pub(super) struct Supply {
    pub(super) energy: Energy,
    /// By the ledger and the position of the component.
    parts: BTreeMap<(usize, usize), f64>,
}

impl Supply {
    /// A ledger supplies this part of all that a component used.
    pub(super) fn add(&mut self, of: (usize, usize), all: Energy, part: f64) {
        self.energy += all * part;
        *self.parts.entry(of).or_default() += part;
    }

    /// One ledger's phases, as far as it supplies what they used.
    pub(super) fn phases(
        &self,
        ledger: usize,
        phases: &[Phase],
        pue: f64,
        grid: &Answer,
    ) -> Vec<PhaseSummary> {
        let part = |component| self.parts.get(&(ledger, component)).copied().unwrap_or_default();
        let summary = |phase: &Phase| {
            let each = phase.energy.iter().enumerate();
            let energy: Energy = each.map(|(component, energy)| *energy * part(component)).sum();
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
pub(super) fn parallel(ranks: impl IntoIterator<Item = Vec<PhaseSummary>>) -> Vec<PhaseSummary> {
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

impl Merge<'_> {
    /// The phases of the whole run: those of all epochs, and those between them.
    pub(super) fn phases(&self, epochs: &[EpochSummary], grid: &Answer) -> Vec<PhaseSummary> {
        let inside = epochs.iter().flat_map(|epoch| epoch.phases.iter().cloned());
        let mut supply = Supply::default();
        for part in &self.parts {
            let totals = self.pieces[part.piece].fold.totals.get(part.component);
            let all = totals.map_or(Energy::ZERO, |total| total.energy);
            let share = part.total.energy.joules() / all.joules();
            supply.add((part.piece, part.component), all, if share.is_finite() { share } else { 0.0 });
        }
        let attempts: BTreeSet<u32> = self.pieces.iter().map(|piece| piece.attempt).collect();
        let between = attempts.into_iter().flat_map(|attempt| {
            let pieces = self.pieces.iter().enumerate().filter(move |(_, piece)| piece.attempt == attempt);
            parallel(pieces.map(|(index, piece)| {
                let pue = piece.fold.opened.pue.factor();
                supply.phases(index, &piece.fold.between.phases, pue, grid)
            }))
        });
        united(inside.chain(between))
    }
}
