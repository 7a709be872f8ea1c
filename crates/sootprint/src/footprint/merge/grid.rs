//! The electricity of all ledgers together: each has its own place and hours.

use std::collections::BTreeMap;

use sootprint_core::{Answer, Basis, CarbonIntensity, Energy, Pue};

use super::super::summary;
use super::Merge;

/// What one ledger supplies, and at which intensity.
pub(super) struct Weighed {
    pub(super) energy: Energy,
    pub(super) low: Energy,
    pub(super) high: Energy,
    pub(super) pue: Pue,
    pub(super) grid: Answer,
    /// The energy that a live series does not cover.
    pub(super) uncovered: Energy,
}

impl Weighed {
    pub(super) fn facility(&self) -> Energy {
        self.energy * self.pue.factor()
    }
}

impl Merge<'_> {
    pub(super) fn weigh(&self, index: usize) -> Weighed {
        let fold = self.pieces[index].fold;
        let (grid, uncovered) = fold.grid(&fold.opened);
        let (mut energy, mut low, mut high) = (Energy::ZERO, Energy::ZERO, Energy::ZERO);
        for part in self.parts.iter().filter(|part| part.piece == index) {
            let its = summary(&fold.opened.components[part.component], part.total);
            energy += its.energy;
            low += its.low;
            high += its.high;
        }
        Weighed { energy, low, high, pue: fold.opened.pue, grid, uncovered }
    }

    /// Where all have the same electricity, that; else its mean, weighted with what each used.
    pub(super) fn grid(&self, weighed: &[Weighed]) -> Answer {
        let heaviest = |of: &[usize]| {
            let by_energy = |one: &&usize, other: &&usize| {
                weighed[**one].energy.joules().total_cmp(&weighed[**other].energy.joules())
            };
            of.iter().rev().max_by(by_energy).map(|index| &weighed[*index])
        };
        let all: Vec<usize> = (0..weighed.len()).collect();
        let Some(main) = heaviest(&all) else { return Answer::anywhere(0) };
        if weighed.iter().all(|it| it.grid == main.grid) {
            return main.grid.clone();
        }
        let energy: Energy = weighed.iter().map(Weighed::facility).sum();
        if energy <= Energy::ZERO {
            return main.grid.clone();
        }
        let mean = |figure: fn(&Answer) -> CarbonIntensity| {
            let part = |it: &Weighed| figure(&it.grid) * (it.facility().joules() / energy.joules());
            weighed.iter().map(part).sum::<CarbonIntensity>()
        };
        // Of an attempt's ranks one tells the hours: they had the same.
        let mut attempts: BTreeMap<u32, Vec<usize>> = BTreeMap::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            attempts.entry(piece.attempt).or_default().push(index);
        }
        let hours = attempts.values().filter_map(|of| heaviest(of)).flat_map(|it| it.grid.hours.clone());
        let is_one_basis = weighed.iter().all(|it| it.grid.basis == main.grid.basis);
        Answer {
            intensity: mean(|grid| grid.intensity),
            low: mean(|grid| grid.low),
            high: mean(|grid| grid.high),
            basis: if is_one_basis { main.grid.basis } else { Basis::Unknown },
            hours: hours.collect(),
            ..main.grid.clone()
        }
    }
}
