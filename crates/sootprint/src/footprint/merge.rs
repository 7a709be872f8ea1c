//! Several ledgers of one run, of its ranks and its attempts, as one footprint.
//!
//! Two ledgers of one host may speak of the same board, or of the same part of its processors and memory. What they
//! claim at the same time counts once, and the ledger that began earlier supplies it. Times are compared by the host's
//! clock since its boot; between hosts no clocks are compared.

mod epochs;
mod grid;
mod notes;
mod parts;
mod phases;
mod power;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{
    ComponentSummary, EmissionsSummary, Energy, EnergySummary, Footprint, Kind, Outcome, Power, RunSummary,
    SCHEMA,
};
use sootprint_power::Component;

use super::components::{hardware, summary, unmapped};
use super::trace::lowest_seen;
use super::{Fold, Idle};
use crate::ledger::Counts;
use grid::Weighed;
use parts::{Part, parts};

/// The footprint of some ledgers of one run, each with the outcome that it has without a last line; `unread` are the
/// ranks and attempts whose ledgers cannot be read.
pub(crate) fn merged(ledgers: &[(Fold, Outcome)], unread: &[(u32, u32)]) -> Footprint {
    if let [(fold, unclosed)] = ledgers
        && unread.is_empty()
        && fold.opened.task.ranks == 1
    {
        let mut footprint = fold.footprint(*unclosed);
        footprint.run.attempts = fold.opened.task.attempt;
        footprint.epochs.iter_mut().for_each(|epoch| epoch.attempt = fold.opened.task.attempt);
        return footprint;
    }
    let pieces = pieces(ledgers);
    let parts = parts(&pieces);
    Merge { pieces, parts, unread }.footprint()
}

struct Merge<'a> {
    /// By attempt, then by rank.
    pieces: Vec<Piece<'a>>,
    parts: Vec<Part>,
    unread: &'a [(u32, u32)],
}

/// One ledger, and where it stands among the others.
struct Piece<'a> {
    fold: &'a Fold,
    outcome: Outcome,
    attempt: u32,
    rank: u32,
    host: String,
    /// What the times from `start` to `end` are compared within, in seconds.
    clock: String,
    start: f64,
    end: f64,
    /// Seconds from the run's beginning to the ledger's own, on the axis of epochs and power.
    offset: f64,
}

/// The ledgers in their order, and placed in time: an attempt begins where the one before it ended.
fn pieces(ledgers: &[(Fold, Outcome)]) -> Vec<Piece<'_>> {
    let mut pieces: Vec<Piece<'_>> = ledgers.iter().map(|(fold, unclosed)| place(fold, *unclosed)).collect();
    pieces.sort_by_key(|piece| (piece.attempt, piece.rank));
    let mut begun = 0.0;
    for attempt in pieces.iter().map(|piece| piece.attempt).collect::<BTreeSet<_>>() {
        let mut spans: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for piece in pieces.iter().filter(|piece| piece.attempt == attempt) {
            let span = spans.entry(piece.clock.clone()).or_insert((piece.start, piece.end));
            *span = (span.0.min(piece.start), span.1.max(piece.end));
        }
        for piece in pieces.iter_mut().filter(|piece| piece.attempt == attempt) {
            piece.offset = begun + piece.start - spans.get(&piece.clock).map_or(piece.start, |span| span.0);
        }
        begun += spans.values().map(|(start, end)| end - start).fold(0.0, f64::max);
    }
    pieces
}

fn place(fold: &Fold, unclosed: Outcome) -> Piece<'_> {
    let task = &fold.opened.task;
    let (host, clock, start) = match (&task.host, task.booted) {
        (Some(host), Some(booted)) => (host.clone(), host.clone(), booted),
        // Without the host's clock nothing of it is known to be another ledger's too.
        _ => (format!("rank {}", task.rank), format!("rank {}, attempt {}", task.rank, task.attempt), 0.0),
    };
    let outcome = fold.outcome.unwrap_or(unclosed);
    let (attempt, rank) = (task.attempt, task.rank);
    Piece { fold, outcome, attempt, rank, host, clock, start, end: start + fold.at, offset: 0.0 }
}

impl Merge<'_> {
    fn footprint(&self) -> Footprint {
        let components = self.components();
        let duration = self.pieces.iter().map(|piece| piece.offset + piece.fold.at).fold(0.0, f64::max);
        let power = self.power(duration);
        let weighed: Vec<Weighed> = (0..self.pieces.len()).map(|index| self.weigh(index)).collect();
        let energy = self.energy(&components, &weighed, self.idle(&power, duration));
        let grid = self.grid(&weighed);
        let epochs = self.epochs(&grid);
        let missing = self.missing();
        let missing_ranks: Vec<u32> = missing
            .iter()
            .flat_map(|(_, ranks)| ranks.iter().copied())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut listed: Vec<ComponentSummary> =
            components.into_iter().map(|(_, component)| component).collect();
        let is_whole = missing_ranks.is_empty() && self.unread.is_empty();
        listed.extend(self.unresolved());
        Footprint {
            schema: SCHEMA.to_owned(),
            run: self.run(duration, missing_ranks, !is_whole || listed.iter().any(|it| it.method.is_none())),
            emissions: EmissionsSummary {
                best: weighed.iter().map(|it| it.facility() * it.grid.intensity).sum(),
                low: weighed.iter().map(|it| it.low * it.pue.bounds().0 * it.grid.low).sum(),
                high: weighed.iter().map(|it| it.high * it.pue.bounds().1 * it.grid.high).sum(),
            },
            energy,
            phases: self.phases(&epochs, &grid),
            epochs,
            notes: self.notes(&weighed, &missing),
            hardware: self.hardware(),
            grid,
            components: listed,
            power,
        }
    }

    fn run(&self, duration: f64, missing_ranks: Vec<u32>, partial: bool) -> RunSummary {
        let opened = || self.pieces.iter().map(|piece| &*piece.fold.opened);
        let ranks: BTreeSet<u32> = self.pieces.iter().map(|piece| piece.rank).collect();
        let mut counts = Counts::default();
        self.pieces.iter().for_each(|piece| counts.add(piece.fold.counted()));
        let newest =
            |rank: &u32| self.pieces.iter().rev().find(|piece| piece.rank == *rank).map(|it| it.outcome);
        RunSummary {
            id: opened().next().map_or_else(String::new, |opened| opened.run.clone()),
            training_type: opened().find_map(|opened| opened.training_type),
            base_model: opened().find_map(|opened| opened.base_model.clone()),
            started: opened().next().map_or_else(String::new, |opened| opened.started.clone()),
            duration_s: duration,
            attempts: self.pieces.iter().map(|piece| piece.attempt).max().unwrap_or(1),
            ranks: u32::try_from(ranks.len()).unwrap_or(u32::MAX),
            ranks_expected: opened().map(|opened| opened.task.ranks).max().unwrap_or(1),
            missing_ranks,
            partial,
            outcome: ranks.iter().filter_map(newest).max().unwrap_or(Outcome::Killed),
            samples: counts.samples,
            tokens: counts.tokens,
            slices: self.pieces.iter().find_map(|piece| piece.fold.slices.clone()),
        }
    }

    /// The ranks of which a launch has no ledger, by the attempt that it was.
    fn missing(&self) -> Vec<(u32, Vec<u32>)> {
        let mut launches: BTreeMap<String, (u32, u32, BTreeSet<u32>)> = BTreeMap::new();
        for piece in &self.pieces {
            let task = &piece.fold.opened.task;
            // Within a launch a single rank may have been started again: the others need not have been.
            let launch = task.launch.clone().unwrap_or_else(|| format!("attempt {}", piece.attempt));
            let (attempt, ranks, there) =
                launches.entry(launch).or_insert((piece.attempt, 1, BTreeSet::new()));
            *attempt = piece.attempt.min(*attempt);
            *ranks = task.ranks.max(*ranks);
            there.insert(piece.rank);
        }
        let is_unread = |attempt, rank| self.unread.contains(&(rank, attempt));
        let mut missing: Vec<(u32, Vec<u32>)> = launches
            .into_values()
            .map(|(attempt, ranks, there)| {
                let absent = (0..ranks).filter(|rank| !there.contains(rank) && !is_unread(attempt, *rank));
                (attempt, absent.collect())
            })
            .collect();
        missing.retain(|(_, ranks)| !ranks.is_empty());
        missing.sort();
        missing
    }

    /// One for each board of a host, and one processor and one memory for each host.
    fn components(&self) -> Vec<((String, Kind, String), ComponentSummary)> {
        let mut components: Vec<((String, Kind, String), ComponentSummary)> = Vec::new();
        let mut positions: BTreeMap<(String, Kind, String), usize> = BTreeMap::new();
        let mut claims: BTreeSet<(usize, String)> = BTreeSet::new();
        for part in &self.parts {
            let piece = &self.pieces[part.piece];
            let component = &piece.fold.opened.components[part.component];
            let users = piece.fold.users.get(&part.component);
            let its = ComponentSummary {
                shared: users.is_some_and(|users| users.others),
                ..summary(component, part.total)
            };
            let key = (piece.host.clone(), component.kind, component.id.clone());
            let position = *positions.entry(key.clone()).or_insert(components.len());
            // Each further part of a host adds its share, but not each ledger that speaks of it.
            let is_new = claims.insert((position, parts::allocation(piece, component).to_owned()));
            match components.get_mut(position) {
                Some((_, known)) => add(known, its, is_new),
                None => components.push((key, its)),
            }
        }
        components
    }

    /// Devices that no source knows, once for each host.
    fn unresolved(&self) -> Vec<ComponentSummary> {
        let devices: BTreeSet<(&str, &str)> = self
            .pieces
            .iter()
            .flat_map(|piece| {
                piece.fold.unresolved.iter().map(|device| (piece.host.as_str(), device.as_str()))
            })
            .collect();
        devices.into_iter().map(|(_, device)| unmapped(device)).collect()
    }

    /// What trained at the same time: the attempt with the most hardware, for a run may go on on another machine.
    fn hardware(&self) -> String {
        let attempts: BTreeSet<u32> = self.pieces.iter().map(|piece| piece.attempt).collect();
        let of = |attempt: u32| {
            let mut seen = BTreeSet::new();
            let pieces = self.pieces.iter().filter(move |piece| piece.attempt == attempt);
            let each = pieces.flat_map(|piece| piece.counted().map(move |(_, component)| (piece, component)));
            let new = each.filter(|(piece, it)| seen.insert((piece.host.clone(), it.kind, it.id.clone())));
            new.map(|(_, component)| summary(component, sootprint_power::Total::default()))
                .collect::<Vec<_>>()
        };
        let most = attempts.into_iter().map(of).max_by_key(Vec::len);
        hardware(&most.unwrap_or_default())
    }

    fn energy(
        &self,
        components: &[((String, Kind, String), ComponentSummary)],
        weighed: &[Weighed],
        idle: Option<Idle>,
    ) -> EnergySummary {
        let all = || components.iter().map(|(_, component)| component);
        let of = |kind| all().filter(|it| it.kind == kind).map(|it| it.energy).sum::<Energy>();
        let total: Energy = all().map(|component| component.energy).sum();
        let facility: Energy = weighed.iter().map(Weighed::facility).sum();
        let newest = self.pieces.last().map(|piece| piece.fold.opened.pue);
        let is_one = weighed.windows(2).all(|two| two[0].pue == two[1].pue);
        let mean = facility.joules() / total.joules();
        let factor = newest.map_or(1.0, |pue| pue.factor());
        EnergySummary {
            total,
            low: all().map(|component| component.low).sum(),
            high: all().map(|component| component.high).sum(),
            gpu: of(Kind::Gpu),
            cpu: of(Kind::Cpu),
            memory: of(Kind::Memory),
            idle: idle.map(|(energy, _)| energy),
            idle_method: idle.map(|(_, method)| method.to_owned()),
            pue: if is_one || !mean.is_finite() { factor } else { mean },
            pue_origin: newest.map_or_else(String::new, |pue| pue.origin().as_str().to_owned()),
            pue_year: newest.and_then(|pue| pue.year()),
            facility,
        }
    }

    fn idle(&self, power: &[(f64, f64)], duration: f64) -> Option<Idle> {
        let rest = |part: &Part| {
            let power = self.pieces[part.piece].fold.rest.as_ref()?.get(part.component)?;
            Some(Energy::from_joules(power.watts() * (part.to - part.from)))
        };
        match self.parts.iter().map(rest).sum::<Option<Energy>>() {
            Some(energy) => Some((energy, "baseline")),
            None => lowest_seen(power, duration).map(|energy| (energy, "lowest_seen")),
        }
    }
}

impl Piece<'_> {
    /// The components that are part of the footprint, and their positions.
    fn counted(&self) -> impl Iterator<Item = (usize, &Component)> {
        let each = self.fold.opened.components.iter().enumerate();
        each.filter(|(position, component)| self.fold.counts(*position, component))
    }
}

/// Adds what another ledger, or another part of the host, used.
fn add(known: &mut ComponentSummary, more: ComponentSummary, is_new: bool) {
    known.method = known.method.max(more.method);
    known.energy += more.energy;
    known.low += more.low;
    known.high += more.high;
    known.measured_s += more.measured_s;
    known.unmeasured_s += more.unmeasured_s;
    known.resets += more.resets;
    known.shared |= more.shared;
    known.limit = known.limit.or(more.limit);
    known.note = known.note.take().or(more.note);
    if is_new {
        known.share = (known.share + more.share).min(1.0);
    }
    let mean = known.energy.joules() / known.measured_s;
    known.mean = (known.measured_s > 0.0).then(|| Power::from_watts(mean));
}
