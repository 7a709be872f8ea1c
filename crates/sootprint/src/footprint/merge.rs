//! Several ledgers of one run, of its ranks and its attempts, as one footprint.
//!
//! Two ledgers of one host may speak of the same board, or of the same part of its processors and memory. What they
//! claim at the same time counts once, and the ledger that began earlier supplies it. Times are compared by the host's
//! clock since its boot; between hosts no clocks are compared.

mod contributions;
mod epochs;
mod grid;
mod notes;
mod phases;
mod power;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{
    ComponentKind, ComponentSummary, EmissionsSummary, Energy, EnergySummary, Footprint, Power, RunStatus,
    RunSummary,
};
use sootprint_power::ComponentInfo;

use super::components::{component_summary, hardware_description, unmapped_device};
use super::trace::idle_energy_from_lowest_power;
use super::{FootprintBuilder, IdleEnergy};
use crate::ledger::WorkCounts;
use contributions::{ComponentContribution, contributions};
use grid::LedgerEnergy;

/// The footprint of some ledgers of one run, each with the outcome that it has without a last line; `unread` are the
/// ranks and attempts whose ledgers cannot be read.
pub(crate) fn merge_ledgers(
    ledgers: &[(FootprintBuilder, RunStatus)],
    unreadable: &[(u32, u32)],
) -> Footprint {
    if let [(builder, default_status)] = ledgers
        && unreadable.is_empty()
        && builder.header.task.ranks == 1
    {
        let mut footprint = builder.footprint(*default_status);
        footprint.run.attempts = builder.header.task.attempt;
        footprint.epochs.iter_mut().for_each(|epoch| epoch.attempt = builder.header.task.attempt);
        return footprint;
    }
    let placed = place_ledgers(ledgers);
    let contributions = contributions(&placed);
    LedgerMerge { ledgers: placed, contributions, unreadable }.footprint()
}

struct LedgerMerge<'a> {
    /// By attempt, then by rank.
    ledgers: Vec<PlacedLedger<'a>>,
    contributions: Vec<ComponentContribution>,
    unreadable: &'a [(u32, u32)],
}

/// One ledger, and where it stands among the others.
struct PlacedLedger<'a> {
    builder: &'a FootprintBuilder,
    status: RunStatus,
    attempt: u32,
    rank: u32,
    host: String,
    /// What the times from `start` to `end` are compared within, in seconds.
    clock_domain: String,
    start: f64,
    end: f64,
    /// Seconds from the run's beginning to the ledger's own, on the axis of epochs and power.
    offset: f64,
}

/// The ledgers in their order, and placed in time: an attempt begins where the one before it ended.
fn place_ledgers(ledgers: &[(FootprintBuilder, RunStatus)]) -> Vec<PlacedLedger<'_>> {
    let mut placed: Vec<PlacedLedger<'_>> =
        ledgers.iter().map(|(builder, default_status)| place_ledger(builder, *default_status)).collect();
    placed.sort_by_key(|ledger| (ledger.attempt, ledger.rank));
    let mut attempt_start = 0.0;
    for attempt in placed.iter().map(|ledger| ledger.attempt).collect::<BTreeSet<_>>() {
        let mut spans: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for ledger in placed.iter().filter(|ledger| ledger.attempt == attempt) {
            let span = spans.entry(ledger.clock_domain.clone()).or_insert((ledger.start, ledger.end));
            *span = (span.0.min(ledger.start), span.1.max(ledger.end));
        }
        for ledger in placed.iter_mut().filter(|ledger| ledger.attempt == attempt) {
            ledger.offset = attempt_start + ledger.start
                - spans.get(&ledger.clock_domain).map_or(ledger.start, |span| span.0);
        }
        attempt_start += spans.values().map(|(start, end)| end - start).fold(0.0, f64::max);
    }
    placed
}

fn place_ledger(builder: &FootprintBuilder, default_status: RunStatus) -> PlacedLedger<'_> {
    let task = &builder.header.task;
    let (host, clock, start) = match (&task.host, task.booted) {
        (Some(host), Some(booted)) => (host.clone(), host.clone(), booted),
        // Without the host's clock nothing of it is known to be another ledger's too.
        _ => (format!("rank {}", task.rank), format!("rank {}, attempt {}", task.rank, task.attempt), 0.0),
    };
    let outcome = builder.status.unwrap_or(default_status);
    let (attempt, rank) = (task.attempt, task.rank);
    PlacedLedger {
        builder,
        status: outcome,
        attempt,
        rank,
        host,
        clock_domain: clock,
        start,
        end: start + builder.elapsed,
        offset: 0.0,
    }
}

impl LedgerMerge<'_> {
    fn footprint(&self) -> Footprint {
        let components = self.component_summaries();
        let duration =
            self.ledgers.iter().map(|ledger| ledger.offset + ledger.builder.elapsed).fold(0.0, f64::max);
        let power = self.mean_power(duration);
        let ledger_energies: Vec<LedgerEnergy> =
            (0..self.ledgers.len()).map(|index| self.ledger_energy(index)).collect();
        let energy = self.energy_summary(&components, &ledger_energies, self.idle_energy(&power, duration));
        let grid = self.merged_intensity(&ledger_energies);
        let epochs = self.epoch_summaries(&grid);
        let missing = self.missing_ranks();
        let missing_ranks: Vec<u32> = missing
            .iter()
            .flat_map(|(_, ranks)| ranks.iter().copied())
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut listed: Vec<ComponentSummary> =
            components.into_iter().map(|(_, component)| component).collect();
        let is_complete = missing_ranks.is_empty() && self.unreadable.is_empty();
        listed.extend(self.unmapped_components());
        Footprint {
            schema: Footprint::SCHEMA.to_owned(),
            run: self.run_summary(
                duration,
                missing_ranks,
                !is_complete || listed.iter().any(|it| it.method.is_none()),
            ),
            emissions: EmissionsSummary {
                best: ledger_energies.iter().map(|it| it.facility_energy() * it.grid.intensity).sum(),
                low: ledger_energies.iter().map(|it| it.low * it.pue.bounds().0 * it.grid.low).sum(),
                high: ledger_energies.iter().map(|it| it.high * it.pue.bounds().1 * it.grid.high).sum(),
            },
            energy,
            phases: self.phase_summaries(&epochs, &grid),
            epochs,
            notes: self.notes(&ledger_energies, &missing),
            hardware: self.hardware_description(),
            grid,
            components: listed,
            power,
        }
    }

    fn run_summary(&self, duration: f64, missing_ranks: Vec<u32>, partial: bool) -> RunSummary {
        let header = || self.ledgers.iter().map(|ledger| &*ledger.builder.header);
        let ranks: BTreeSet<u32> = self.ledgers.iter().map(|ledger| ledger.rank).collect();
        let mut counts = WorkCounts::default();
        self.ledgers.iter().for_each(|ledger| counts.add(ledger.builder.total_counts()));
        let newest =
            |rank: &u32| self.ledgers.iter().rev().find(|ledger| ledger.rank == *rank).map(|it| it.status);
        RunSummary {
            id: header().next().map_or_else(String::new, |opened| opened.run.clone()),
            training_type: header().find_map(|opened| opened.training_type),
            base_model: header().find_map(|opened| opened.base_model.clone()),
            started: header().next().map_or_else(String::new, |opened| opened.started.clone()),
            duration_s: duration,
            attempts: self.ledgers.iter().map(|ledger| ledger.attempt).max().unwrap_or(1),
            ranks: u32::try_from(ranks.len()).unwrap_or(u32::MAX),
            ranks_expected: header().map(|opened| opened.task.ranks).max().unwrap_or(1),
            missing_ranks,
            partial,
            outcome: ranks.iter().filter_map(newest).max().unwrap_or(RunStatus::Killed),
            samples: counts.samples,
            tokens: counts.tokens,
            slices: self.ledgers.iter().find_map(|ledger| ledger.builder.window_length.clone()),
        }
    }

    /// The ranks of which a launch has no ledger, by the attempt that it was.
    fn missing_ranks(&self) -> Vec<(u32, Vec<u32>)> {
        let mut launches: BTreeMap<String, (u32, u32, BTreeSet<u32>)> = BTreeMap::new();
        for ledger in &self.ledgers {
            let task = &ledger.builder.header.task;
            // Within a launch a single rank may have been started again: the others need not have been.
            let launch = task.launch.clone().unwrap_or_else(|| format!("attempt {}", ledger.attempt));
            let (attempt, ranks, present_ranks) =
                launches.entry(launch).or_insert((ledger.attempt, 1, BTreeSet::new()));
            *attempt = ledger.attempt.min(*attempt);
            *ranks = task.ranks.max(*ranks);
            present_ranks.insert(ledger.rank);
        }
        let is_unread = |attempt, rank| self.unreadable.contains(&(rank, attempt));
        let mut missing: Vec<(u32, Vec<u32>)> = launches
            .into_values()
            .map(|(attempt, ranks, present_ranks)| {
                let missing_ranks =
                    (0..ranks).filter(|rank| !present_ranks.contains(rank) && !is_unread(attempt, *rank));
                (attempt, missing_ranks.collect())
            })
            .collect();
        missing.retain(|(_, ranks)| !ranks.is_empty());
        missing.sort();
        missing
    }

    /// One for each board of a host, and one processor and one memory for each host.
    fn component_summaries(&self) -> Vec<((String, ComponentKind, String), ComponentSummary)> {
        let mut components: Vec<((String, ComponentKind, String), ComponentSummary)> = Vec::new();
        let mut positions: BTreeMap<(String, ComponentKind, String), usize> = BTreeMap::new();
        let mut counted_allocations: BTreeSet<(usize, String)> = BTreeSet::new();
        for contribution in &self.contributions {
            let ledger = &self.ledgers[contribution.ledger];
            let component = &ledger.builder.header.components[contribution.component];
            let users = ledger.builder.users.get(&contribution.component);
            let summary = ComponentSummary {
                shared: users.is_some_and(|users| users.foreign),
                ..component_summary(component, contribution.total)
            };
            let key = (ledger.host.clone(), component.kind, component.id.clone());
            let position = *positions.entry(key.clone()).or_insert(components.len());
            // Each further part of a host adds its share, but not each ledger that speaks of it.
            let is_new = counted_allocations
                .insert((position, contributions::allocation_id(ledger, component).to_owned()));
            match components.get_mut(position) {
                Some((_, known)) => add_to_component(known, summary, is_new),
                None => components.push((key, summary)),
            }
        }
        components
    }

    /// Devices that no source knows, once for each host.
    fn unmapped_components(&self) -> Vec<ComponentSummary> {
        let devices: BTreeSet<(&str, &str)> = self
            .ledgers
            .iter()
            .flat_map(|ledger| {
                ledger.builder.unresolved_devices.iter().map(|device| (ledger.host.as_str(), device.as_str()))
            })
            .collect();
        devices.into_iter().map(|(_, device)| unmapped_device(device)).collect()
    }

    /// What trained at the same time: the attempt with the most hardware, for a run may go on on another machine.
    fn hardware_description(&self) -> String {
        let attempts: BTreeSet<u32> = self.ledgers.iter().map(|ledger| ledger.attempt).collect();
        let of = |attempt: u32| {
            let mut seen = BTreeSet::new();
            let ledgers = self.ledgers.iter().filter(move |ledger| ledger.attempt == attempt);
            let each = ledgers.flat_map(|ledger| {
                ledger.counted_components().map(move |(_, component)| (ledger, component))
            });
            let new = each.filter(|(ledger, it)| seen.insert((ledger.host.clone(), it.kind, it.id.clone())));
            new.map(|(_, component)| component_summary(component, sootprint_power::ComponentTotal::default()))
                .collect::<Vec<_>>()
        };
        let most = attempts.into_iter().map(of).max_by_key(Vec::len);
        hardware_description(&most.unwrap_or_default())
    }

    fn energy_summary(
        &self,
        components: &[((String, ComponentKind, String), ComponentSummary)],
        ledger_energies: &[LedgerEnergy],
        idle: Option<IdleEnergy>,
    ) -> EnergySummary {
        let all = || components.iter().map(|(_, component)| component);
        let of = |kind| all().filter(|it| it.kind == kind).map(|it| it.energy).sum::<Energy>();
        let total: Energy = all().map(|component| component.energy).sum();
        let facility: Energy = ledger_energies.iter().map(LedgerEnergy::facility_energy).sum();
        let newest = self.ledgers.last().map(|ledger| ledger.builder.header.pue);
        let is_same_pue = ledger_energies.windows(2).all(|two| two[0].pue == two[1].pue);
        let mean = facility.joules() / total.joules();
        let factor = newest.map_or(1.0, |pue| pue.factor());
        EnergySummary {
            total,
            low: all().map(|component| component.low).sum(),
            high: all().map(|component| component.high).sum(),
            gpu: of(ComponentKind::Gpu),
            cpu: of(ComponentKind::Cpu),
            memory: of(ComponentKind::Memory),
            idle: idle.map(|(energy, _)| energy),
            idle_method: idle.map(|(_, method)| method.to_owned()),
            pue: if is_same_pue || !mean.is_finite() { factor } else { mean },
            pue_origin: newest.map_or_else(String::new, |pue| pue.origin().as_str().to_owned()),
            pue_year: newest.and_then(|pue| pue.year()),
            facility,
        }
    }

    fn idle_energy(&self, power: &[(f64, f64)], duration: f64) -> Option<IdleEnergy> {
        let idle_energy = |contribution: &ComponentContribution| {
            let power =
                self.ledgers[contribution.ledger].builder.idle_power.as_ref()?.get(contribution.component)?;
            Some(Energy::from_joules(power.watts() * (contribution.to - contribution.from)))
        };
        match self.contributions.iter().map(idle_energy).sum::<Option<Energy>>() {
            Some(energy) => Some((energy, "baseline")),
            None => idle_energy_from_lowest_power(power, duration).map(|energy| (energy, "lowest_seen")),
        }
    }
}

impl PlacedLedger<'_> {
    /// The components that are part of the footprint, and their positions.
    fn counted_components(&self) -> impl Iterator<Item = (usize, &ComponentInfo)> {
        let each = self.builder.header.components.iter().enumerate();
        each.filter(|(position, component)| self.builder.is_counted(*position, component))
    }
}

/// Adds what another ledger, or another part of the host, used.
fn add_to_component(known: &mut ComponentSummary, more: ComponentSummary, is_new: bool) {
    known.method = known.method.max(more.method);
    known.energy += more.energy;
    known.low += more.low;
    known.high += more.high;
    known.measured_s += more.measured_s;
    known.unmeasured_s += more.unmeasured_s;
    known.resets += more.resets;
    known.shared |= more.shared;
    known.power_limit = known.power_limit.or(more.power_limit);
    known.note = known.note.take().or(more.note);
    if is_new {
        known.share = (known.share + more.share).min(1.0);
    }
    let mean = known.energy.joules() / known.measured_s;
    known.mean_power = (known.measured_s > 0.0).then(|| Power::from_watts(mean));
}
