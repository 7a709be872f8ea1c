//! The notes of a merged footprint.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::RunStatus;

use super::grid::LedgerEnergy;
use super::ledger_merge::LedgerMerge;

/// The maximum number of notes that apply to only some of the ranks: a run may have a thousand ranks.
const MAX_RANK_NOTES: usize = 20;

impl LedgerMerge<'_> {
    pub(super) fn notes(&self, ledger_energies: &[LedgerEnergy], missing: &[(u32, Vec<u32>)]) -> Vec<String> {
        let mut notes = Vec::new();
        let attempts = self.ledgers.iter().map(|ledger| ledger.attempt).max().unwrap_or(1);
        for (attempt, ranks) in missing {
            let when = if attempts > 1 { format!(" in attempt {attempt}") } else { String::new() };
            let (ranks, their) = match ranks.as_slice() {
                [rank] => (format!("rank {rank} has"), "its"),
                ranks => (format!("ranks {} have", format_ranges(ranks)), "their"),
            };
            notes.push(format!("{ranks} no ledger{when}: {their} energy is not in the total"));
        }
        for (rank, attempt) in self.unreadable {
            notes.push(format!(
                "the ledger of rank {rank}, attempt {attempt}, cannot be read: its energy is not in the total"
            ));
        }
        let without_ledger = match self.missing_attempts().as_slice() {
            [] => None,
            [attempt] => Some(format!("attempt {attempt} has no ledger: its energy is not in the total")),
            attempts => Some(format!(
                "attempts {} have no ledgers: their energy is not in the total",
                format_ranges(attempts)
            )),
        };
        notes.extend(without_ledger);
        notes.extend(self.outcome_notes(attempts));
        notes.extend(self.repeated_epochs_note());
        let places: BTreeSet<_> = ledger_energies.iter().filter_map(|it| it.grid.place.as_deref()).collect();
        if places.len() > 1 {
            let places: Vec<&str> = places.into_iter().collect();
            notes.push(format!(
                "the run used several places, each with its own carbon intensity: {}",
                places.join(", ")
            ));
        }
        notes.extend(self.ledger_notes(ledger_energies));
        notes
    }

    /// Notes about the processes that did not end properly, by attempt and outcome.
    fn outcome_notes(&self, attempts: u32) -> Vec<String> {
        let mut groups: BTreeMap<(u32, RunStatus), Vec<u32>> = BTreeMap::new();
        for ledger in &self.ledgers {
            groups.entry((ledger.attempt, ledger.status)).or_default().push(ledger.rank);
        }
        let is_distributed = self.ledgers.iter().any(|ledger| ledger.builder.header.task.ranks > 1);
        let note = |((attempt, status), ranks): (&(u32, RunStatus), &Vec<u32>)| {
            let (what, was, is) = match ranks.as_slice() {
                _ if !is_distributed => (format!("attempt {attempt}"), "was", "is"),
                [rank] => (format!("rank {rank}"), "was", "is"),
                ranks => (format!("ranks {}", format_ranges(ranks)), "were", "are"),
            };
            let when =
                if is_distributed && attempts > 1 { format!(" in attempt {attempt}") } else { String::new() };
            match status {
                RunStatus::Killed => Some(format!(
                    "{what} {was} killed{when}: energy of up to two seconds before is not in the total"
                )),
                RunStatus::Running => {
                    Some(format!("{what} {is} still running{when}: later energy is not in the total"))
                }
                RunStatus::Failed if is_distributed => Some(format!("{what} failed{when}")),
                RunStatus::Panicked if is_distributed => Some(format!("{what} panicked{when}")),
                _ => None,
            }
        };
        groups.iter().filter_map(note).collect()
    }

    /// A note about epochs that were trained in several attempts.
    fn repeated_epochs_note(&self) -> Option<String> {
        let mut epochs: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for ledger in &self.ledgers {
            for epoch in &ledger.builder.epochs {
                epochs.entry(epoch.epoch).or_default().insert(ledger.attempt);
            }
        }
        let repeated: Vec<u32> =
            epochs.into_iter().filter(|(_, attempts)| attempts.len() > 1).map(|(epoch, _)| epoch).collect();
        match repeated.as_slice() {
            [] => None,
            [epoch] => Some(format!(
                "epoch {epoch} was trained in more than one attempt: the total includes every attempt"
            )),
            epochs => Some(format!(
                "epochs {} were trained in more than one attempt: the total includes every attempt",
                format_ranges(epochs)
            )),
        }
    }

    /// The notes of the ledgers, without duplicates. A note that does not apply to all ranks names its ranks.
    fn ledger_notes(&self, ledger_energies: &[LedgerEnergy]) -> Vec<String> {
        let mut notes_by_rank: Vec<(String, BTreeSet<u32>)> = Vec::new();
        let mut positions: BTreeMap<String, usize> = BTreeMap::new();
        for (ledger, ledger_energy) in self.ledgers.iter().zip(ledger_energies) {
            for note in ledger.builder.ledger_notes(&ledger_energy.grid, ledger_energy.uncovered) {
                let position = *positions.entry(note.clone()).or_insert(notes_by_rank.len());
                match notes_by_rank.get_mut(position) {
                    Some((_, ranks)) => drop(ranks.insert(ledger.rank)),
                    None => notes_by_rank.push((note, BTreeSet::from([ledger.rank]))),
                }
            }
        }
        let ranks: BTreeSet<u32> = self.ledgers.iter().map(|ledger| ledger.rank).collect();
        let is_of_all_ranks = |(_, of): &&(String, BTreeSet<u32>)| of.len() == ranks.len();
        let is_of_some_ranks = |it: &&(String, BTreeSet<u32>)| !is_of_all_ranks(it);
        let with_ranks = |(note, of): &(String, BTreeSet<u32>)| {
            let of: Vec<u32> = of.iter().copied().collect();
            let word = if of.len() == 1 { "rank" } else { "ranks" };
            format!("{word} {}: {note}", format_ranges(&of))
        };
        let mut notes: Vec<String> =
            notes_by_rank.iter().filter(is_of_all_ranks).map(|(note, _)| note.clone()).collect();
        let rank_notes: Vec<String> = notes_by_rank.iter().filter(is_of_some_ranks).map(with_ranks).collect();
        let more = rank_notes.len().saturating_sub(MAX_RANK_NOTES);
        notes.extend(rank_notes.into_iter().take(MAX_RANK_NOTES));
        if more > 0 {
            notes.push(format!(
                "further notes on individual ranks, not listed here: {more}; see the ledgers of these ranks"
            ));
        }
        notes
    }
}

/// Formats ascending numbers as in `1, 2, 4 to 7`.
fn format_ranges(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, end)) if *end + 1 == number => *end = number,
            _ => ranges.push((number, number)),
        }
    }
    let word = |&(start, end): &(u32, u32)| match end - start {
        0 => start.to_string(),
        1 => format!("{start}, {end}"),
        _ => format!("{start} to {end}"),
    };
    let words: Vec<String> = ranges.iter().map(word).collect();
    words.join(", ")
}
