//! Who supplies what: each moment of each component is counted from one ledger.

use std::collections::BTreeMap;

use sootprint_core::{Energy, Kind, Method};
use sootprint_power::{Component, Total};

use super::Piece;

/// What one ledger supplies of one component, from one moment to another of its own time.
pub(super) struct Part {
    pub(super) piece: usize,
    pub(super) component: usize,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) total: Total,
}

/// What two ledgers have in common when they claim the same: the clock, the kind, the id and the allocation.
pub(super) type Key = (String, Kind, String, String);

/// A span of time that a ledger claims of a component.
pub(super) struct Claim {
    pub(super) piece: usize,
    pub(super) component: usize,
    /// By the clock of the key.
    pub(super) start: f64,
    pub(super) end: f64,
}

pub(super) fn parts(pieces: &[Piece<'_>]) -> Vec<Part> {
    let mut claims: BTreeMap<Key, Vec<Claim>> = BTreeMap::new();
    for (index, piece) in pieces.iter().enumerate() {
        for (position, component) in piece.counted() {
            let claim = Claim { piece: index, component: position, start: piece.start, end: piece.end };
            claims.entry(key(piece, component)).or_default().push(claim);
        }
    }
    let mut parts: Vec<Part> = claims
        .into_values()
        .flat_map(supplied)
        .map(|(claim, from)| {
            let piece = &pieces[claim.piece];
            let (from, to) = (from - claim.start, claim.end - claim.start);
            let total = piece.total_between(claim.component, from, to);
            Part { piece: claim.piece, component: claim.component, from, to, total }
        })
        .collect();
    // As the ledgers list them.
    parts.sort_by_key(|part| (part.piece, part.component));
    parts
}

/// Of claims of one thing, each with the moment from which it supplies what no earlier one does. The first one stands for
/// the thing, however short it is.
pub(super) fn supplied(mut claims: Vec<Claim>) -> Vec<(Claim, f64)> {
    claims.sort_by(|one, other| one.start.total_cmp(&other.start).then(one.piece.cmp(&other.piece)));
    let mut reached = f64::NEG_INFINITY;
    let mut supplied = Vec::new();
    for claim in claims {
        let from = claim.start.max(reached);
        reached = reached.max(claim.end);
        if from < claim.end || supplied.is_empty() {
            supplied.push((claim, from));
        }
    }
    supplied
}

pub(super) fn key(piece: &Piece<'_>, component: &Component) -> Key {
    let allocation = allocation(piece, component).to_owned();
    (piece.clock.clone(), component.kind, component.id.clone(), allocation)
}

/// Of what part of its host a component is.
pub(super) fn allocation<'a>(piece: &'a Piece<'_>, component: &Component) -> &'a str {
    let task = &piece.fold.opened.task;
    // RAPL measures the memory of a package, of which a job has the share that it has of the CPUs.
    let is_share_of_memory = component.kind == Kind::Memory && component.method != Method::Counter;
    let share = if is_share_of_memory { &task.memory } else { &task.processors };
    share.as_deref().filter(|_| component.kind != Kind::Gpu).unwrap_or_default()
}

impl Piece<'_> {
    /// The energy of a component from one moment of the ledger's own time to another, on the lines between its readings.
    pub(super) fn energy_between(&self, component: usize, from: f64, to: f64) -> Energy {
        let [from, to] = [from, to].map(|at| self.fold.trace.energy_at(component, at));
        if to < from { Energy::ZERO } else { to - from }
    }

    /// The totals of a span; the bounds and the times in their proportion.
    fn total_between(&self, component: usize, from: f64, to: f64) -> Total {
        let total = self.fold.totals.get(component).copied().unwrap_or_default();
        if from <= 0.0 {
            return total;
        }
        let time = if to > 0.0 { ((to - from) / to).clamp(0.0, 1.0) } else { 0.0 };
        let energy = self.energy_between(component, from, to);
        let part = if total.energy > Energy::ZERO { energy.joules() / total.energy.joules() } else { time };
        Total {
            energy,
            low: total.low * part,
            high: total.high * part,
            measured: total.measured * time,
            unmeasured: total.unmeasured * time,
            resets: 0,
        }
    }
}
