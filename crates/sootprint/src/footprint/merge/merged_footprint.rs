//! Assembles the merged footprint.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{
    ComponentSummary, EmissionsSummary, Energy, EnergySummary, Footprint, GpuSelection, ProcessSummary,
    RunStatus, RunSummary,
};

use super::contributions::ComponentContribution;
use super::grid::LedgerEnergy;
use super::ledger_merge::LedgerMerge;
use crate::footprint::FootprintBuilder;
use crate::footprint::components::energy_summary;
use crate::footprint::idle::IdleEnergy;
use crate::ledger::WorkCounts;

/// The footprint of the ledgers of one run, each with the status that applies if it has no `end` entry. `unreadable`
/// lists rank and attempt of the ledgers that cannot be read.
pub(crate) fn merge_ledgers(
    ledgers: &[(FootprintBuilder, RunStatus)],
    unreadable: &[(u32, u32)],
) -> Footprint {
    if let [(builder, default_status)] = ledgers
        && unreadable.is_empty()
        && (builder.header.task.ranks, builder.header.task.attempt) == (1, 1)
    {
        return builder.footprint(*default_status);
    }
    LedgerMerge::new(ledgers, unreadable).footprint()
}

impl LedgerMerge<'_> {
    fn footprint(&self) -> Footprint {
        let mut components = self.component_summaries();
        let duration =
            self.ledgers.iter().map(|ledger| ledger.offset + ledger.builder.elapsed).fold(0.0, f64::max);
        let power = self.mean_power(duration);
        let ledger_energies: Vec<LedgerEnergy> =
            (0..self.ledgers.len()).map(|index| self.ledger_energy(index)).collect();
        let energy = self.energy_summary(&components, &ledger_energies, self.idle_energy(&power, duration));
        let grid = self.merged_intensity(&ledger_energies);
        let epochs = self.epoch_summaries(&grid);
        let missing = self.missing_ranks();
        let missing_ranks: BTreeSet<u32> =
            missing.iter().flat_map(|(_, ranks)| ranks.iter().copied()).collect();
        components.extend(self.unmapped_components());
        let is_partial = !missing_ranks.is_empty()
            || !self.missing_attempts().is_empty()
            || !self.unreadable.is_empty()
            || components.iter().any(|component| component.method.is_none());
        Footprint {
            schema: Footprint::SCHEMA.to_owned(),
            run: self.run_summary(duration, missing_ranks.into_iter().collect(), is_partial),
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
            gpu_selection: self.gpu_selection(),
            grid,
            components,
            power,
        }
    }

    /// The least certain selection of any ledger.
    fn gpu_selection(&self) -> Option<GpuSelection> {
        let all = self.ledgers.iter().filter_map(|ledger| ledger.builder.gpu_selection());
        all.max_by_key(|selection| (!selection.certain, selection.method))
    }

    fn run_summary(&self, duration: f64, missing_ranks: Vec<u32>, partial: bool) -> RunSummary {
        let headers = || self.ledgers.iter().map(|ledger| &*ledger.builder.header);
        let ranks: BTreeSet<u32> = self.ledgers.iter().map(|ledger| ledger.rank).collect();
        let mut counts = WorkCounts::default();
        self.ledgers.iter().for_each(|ledger| counts.add(ledger.builder.total_counts()));
        let newest_status =
            |rank: &u32| self.ledgers.iter().rev().find(|ledger| ledger.rank == *rank).map(|it| it.status);
        // A run may continue with fewer ranks. Those that are no longer part of it do not decide its outcome.
        let newest_attempt = self.ledgers.iter().map(|ledger| ledger.attempt).max();
        let of_newest = self.ledgers.iter().filter(|ledger| Some(ledger.attempt) == newest_attempt);
        let newest_ranks = of_newest.map(|ledger| ledger.builder.header.task.ranks).max().unwrap_or(1);
        let is_part = |rank: &&u32| **rank < newest_ranks;
        RunSummary {
            id: headers().next().map_or_else(String::new, |header| header.run.clone()),
            training_type: headers().find_map(|header| header.training_type),
            base_model: headers().find_map(|header| header.base_model.clone()),
            started: headers().next().map_or_else(String::new, |header| header.started.clone()),
            duration_s: duration,
            attempts: self.ledgers.iter().map(|ledger| ledger.attempt).max().unwrap_or(1),
            ranks: u32::try_from(ranks.len()).unwrap_or(u32::MAX),
            ranks_expected: headers().map(|header| header.task.ranks).max().unwrap_or(1),
            missing_ranks,
            processes: self.process_summaries(),
            partial,
            outcome: ranks
                .iter()
                .filter(is_part)
                .filter_map(newest_status)
                .max()
                .unwrap_or(RunStatus::Killed),
            samples: counts.samples,
            tokens: counts.tokens,
            slices: self.ledgers.iter().find_map(|ledger| ledger.builder.window_length.clone()),
        }
    }

    /// One entry for each ledger, by attempt and rank.
    fn process_summaries(&self) -> Vec<ProcessSummary> {
        let readable = self.ledgers.iter().map(|ledger| ProcessSummary {
            rank: ledger.rank,
            attempt: ledger.attempt,
            outcome: Some(ledger.status),
            started: Some(ledger.builder.header.started.clone()),
            duration_s: Some(ledger.builder.elapsed),
            energy: Some(ledger.builder.recorded_energy()),
        });
        let unreadable = self.unreadable.iter().map(|&(rank, attempt)| ProcessSummary {
            rank,
            attempt,
            outcome: None,
            started: None,
            duration_s: None,
            energy: None,
        });
        let mut processes: Vec<ProcessSummary> = readable.chain(unreadable).collect();
        processes.sort_by_key(|process| (process.attempt, process.rank));
        processes
    }

    /// The attempts before the last one without any ledger.
    pub(super) fn missing_attempts(&self) -> Vec<u32> {
        let present: BTreeSet<u32> = self
            .ledgers
            .iter()
            .map(|ledger| ledger.attempt)
            .chain(self.unreadable.iter().map(|(_, attempt)| *attempt))
            .collect();
        (1..present.last().copied().unwrap_or(1)).filter(|attempt| !present.contains(attempt)).collect()
    }

    /// The ranks without a ledger, by the attempt in which their launch started.
    fn missing_ranks(&self) -> Vec<(u32, Vec<u32>)> {
        let mut launches: BTreeMap<String, (u32, u32, BTreeSet<u32>)> = BTreeMap::new();
        for ledger in &self.ledgers {
            let task = &ledger.builder.header.task;
            // Within a launch, a single rank may be restarted without the others.
            let launch = task.launch.clone().unwrap_or_else(|| format!("attempt {}", ledger.attempt));
            let (attempt, ranks, present_ranks) =
                launches.entry(launch).or_insert((ledger.attempt, 1, BTreeSet::new()));
            *attempt = ledger.attempt.min(*attempt);
            *ranks = task.ranks.max(*ranks);
            present_ranks.insert(ledger.rank);
        }
        let is_unreadable = |attempt, rank| self.unreadable.contains(&(rank, attempt));
        let mut missing: Vec<(u32, Vec<u32>)> = launches
            .into_values()
            .map(|(attempt, ranks, present_ranks)| {
                let missing_ranks =
                    (0..ranks).filter(|rank| !present_ranks.contains(rank) && !is_unreadable(attempt, *rank));
                (attempt, missing_ranks.collect())
            })
            .collect();
        missing.retain(|(_, ranks)| !ranks.is_empty());
        missing.sort();
        missing
    }

    fn energy_summary(
        &self,
        components: &[ComponentSummary],
        ledger_energies: &[LedgerEnergy],
        idle: Option<IdleEnergy>,
    ) -> EnergySummary {
        let facility: Energy = ledger_energies.iter().map(LedgerEnergy::facility_energy).sum();
        let newest_pue = self.ledgers.last().map(|ledger| ledger.builder.header.pue);
        let mut summary = energy_summary(components.iter(), idle, newest_pue, facility);
        let is_same_pue = ledger_energies.windows(2).all(|pair| pair[0].pue == pair[1].pue);
        let mean_pue = facility.joules() / summary.total.joules();
        if !is_same_pue && mean_pue.is_finite() {
            summary.pue = mean_pue;
        }
        summary
    }

    fn idle_energy(&self, power: &[(f64, f64)], duration: f64) -> Option<IdleEnergy> {
        let baseline_energy = |contribution: &ComponentContribution| {
            let power =
                self.ledgers[contribution.ledger].builder.idle_power.as_ref()?.get(contribution.component)?;
            Some(Energy::from_joules(power.watts() * (contribution.to - contribution.from)))
        };
        match self.contributions.iter().map(baseline_energy).sum::<Option<Energy>>() {
            Some(energy) => Some(IdleEnergy::from_baseline(energy)),
            None => IdleEnergy::from_lowest_power(power, duration),
        }
    }
}
