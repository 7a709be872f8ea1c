//! The epochs of all ranks and attempts.

use std::collections::BTreeMap;

use sootprint_core::{Answer, Energy, EpochSummary};

use super::Merge;
use super::parts::{Claim, Key, key, supplied};
use super::phases::{Supply, parallel};
use crate::ledger::Counts;

/// An epoch of one ledger.
struct Own<'a> {
    piece: usize,
    epoch: &'a super::super::Epoch,
}

impl Merge<'_> {
    /// Each epoch of each attempt once, with what all ranks used in it. An epoch that one attempt trained twice is
    /// listed twice.
    pub(super) fn epochs(&self, grid: &Answer) -> Vec<EpochSummary> {
        let mut epochs: BTreeMap<(u32, u32, usize), Vec<Own<'_>>> = BTreeMap::new();
        for (index, piece) in self.pieces.iter().enumerate() {
            let mut times: BTreeMap<u32, usize> = BTreeMap::new();
            for epoch in &piece.fold.epochs {
                let time = times.entry(epoch.epoch).or_default();
                let own = Own { piece: index, epoch };
                epochs.entry((piece.attempt, epoch.epoch, *time)).or_default().push(own);
                *time += 1;
            }
        }
        let mut epochs: Vec<EpochSummary> = epochs
            .into_iter()
            .map(|((attempt, number, _), own)| self.epoch(attempt, number, &own, grid))
            .collect();
        let start = |epoch: &EpochSummary| epoch.start_s.unwrap_or_default();
        epochs.sort_by(|one, other| start(one).total_cmp(&start(other)));
        epochs
    }

    fn epoch(&self, attempt: u32, number: u32, own: &[Own<'_>], grid: &Answer) -> EpochSummary {
        let (mut start, mut end) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut claims: BTreeMap<Key, Vec<Claim>> = BTreeMap::new();
        for (position, own) in own.iter().enumerate() {
            let piece = &self.pieces[own.piece];
            let (from, to) = (own.epoch.start, own.epoch.start + own.epoch.duration);
            start = start.min(piece.offset + from);
            end = end.max(piece.offset + to);
            for (component, it) in piece.counted() {
                let (start, end) = (piece.start + from, piece.start + to);
                claims.entry(key(piece, it)).or_default().push(Claim {
                    piece: position,
                    component,
                    start,
                    end,
                });
            }
        }
        let supplied = claims.into_values().flat_map(supplied);
        let mut supply = Supply::default();
        for (claim, from) in supplied {
            let Own { piece, epoch } = own[claim.piece];
            let all = epoch.energy.get(claim.component).copied().unwrap_or_default();
            let piece = &self.pieces[piece];
            let (start, end) = (epoch.start, epoch.start + epoch.duration);
            // The edges of the epoch are measured; a cut within it is found between the readings.
            let whole = piece.energy_between(claim.component, start, end);
            let rest = piece.energy_between(claim.component, from - piece.start, end);
            let by_time = (claim.end - from) / (claim.end - claim.start);
            let part = match () {
                () if from <= claim.start => 1.0,
                () if whole > Energy::ZERO => rest.joules() / whole.joules(),
                () if by_time.is_finite() => by_time,
                () => 0.0,
            };
            supply.add((claim.piece, claim.component), all, part);
        }
        let (energy, counts) = (supply.energy, counts(own));
        let pue = own.first().map_or(1.0, |own| self.pieces[own.piece].fold.opened.pue.factor());
        EpochSummary {
            epoch: number,
            attempt,
            start_s: Some(start),
            duration_s: end - start,
            energy,
            emissions: energy * pue * grid.intensity,
            completed: own.iter().all(|own| own.epoch.completed),
            samples: counts.samples,
            tokens: counts.tokens,
            phases: parallel(
                own.iter()
                    .enumerate()
                    .map(|(position, own)| supply.phases(position, &own.epoch.phases, pue, grid)),
            ),
        }
    }
}

/// What all ranks counted in one epoch.
fn counts(own: &[Own<'_>]) -> Counts {
    let mut counts = Counts::default();
    own.iter().for_each(|own| counts.add(own.epoch.counts));
    counts
}
