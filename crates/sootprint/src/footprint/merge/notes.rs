//! What a reader of several ledgers' footprint should hear first.

use std::collections::{BTreeMap, BTreeSet};

use super::Merge;
use super::grid::Weighed;

/// So many distinct notes of single ranks are told; of a thousand ranks nobody reads more.
const MOST_NOTES: usize = 20;

impl Merge<'_> {
    pub(super) fn notes(&self, weighed: &[Weighed], missing: &[(u32, Vec<u32>)]) -> Vec<String> {
        let mut notes = Vec::new();
        let attempts = self.pieces.iter().map(|piece| piece.attempt).max().unwrap_or(1);
        for (attempt, ranks) in missing {
            let when = if attempts > 1 { format!(" in attempt {attempt}") } else { String::new() };
            let (who, whose) = match ranks.as_slice() {
                [rank] => (format!("rank {rank} has"), "its"),
                ranks => (format!("ranks {} have", listed(ranks)), "their"),
            };
            notes.push(format!("{who} no ledger{when}: {whose} energy is not in the total"));
        }
        for (rank, attempt) in self.unread {
            notes.push(format!(
                "the ledger of rank {rank}, attempt {attempt}, cannot be read: its energy is not in the total"
            ));
        }
        notes.extend(self.trained_again());
        let places: BTreeSet<_> = weighed.iter().filter_map(|it| it.grid.place.as_deref()).collect();
        if places.len() > 1 {
            let places: Vec<&str> = places.into_iter().collect();
            notes.push(format!(
                "it ran at several places, each with its own electricity: {}",
                places.join(", ")
            ));
        }
        notes.extend(self.own_notes(weighed));
        notes
    }

    /// Epochs of several attempts, by their numbers.
    fn trained_again(&self) -> Option<String> {
        let mut epochs: BTreeMap<u32, BTreeSet<u32>> = BTreeMap::new();
        for piece in &self.pieces {
            for epoch in &piece.fold.epochs {
                epochs.entry(epoch.epoch).or_default().insert(piece.attempt);
            }
        }
        let again: Vec<u32> =
            epochs.into_iter().filter(|(_, attempts)| attempts.len() > 1).map(|(epoch, _)| epoch).collect();
        match again.as_slice() {
            [] => None,
            [epoch] => Some(format!("epoch {epoch} was trained in more than one attempt: all of it counts")),
            epochs => Some(format!(
                "epochs {} were trained in more than one attempt: all of it counts",
                listed(epochs)
            )),
        }
    }

    /// What the ledgers say themselves, once; of which rank, where the others do not say it.
    fn own_notes(&self, weighed: &[Weighed]) -> Vec<String> {
        let mut said: Vec<(String, BTreeSet<u32>)> = Vec::new();
        let mut positions: BTreeMap<String, usize> = BTreeMap::new();
        for (piece, weighed) in self.pieces.iter().zip(weighed) {
            for note in piece.fold.own_notes(&piece.fold.opened, &weighed.grid, weighed.uncovered) {
                let position = *positions.entry(note.clone()).or_insert(said.len());
                match said.get_mut(position) {
                    Some((_, ranks)) => drop(ranks.insert(piece.rank)),
                    None => said.push((note, BTreeSet::from([piece.rank]))),
                }
            }
        }
        let ranks: BTreeSet<u32> = self.pieces.iter().map(|piece| piece.rank).collect();
        let of_all = |(_, of): &&(String, BTreeSet<u32>)| of.len() == ranks.len();
        let single = |it: &&(String, BTreeSet<u32>)| !of_all(it);
        let named = |(note, of): &(String, BTreeSet<u32>)| {
            let of: Vec<u32> = of.iter().copied().collect();
            let who = if of.len() == 1 { "rank" } else { "ranks" };
            format!("{who} {}: {note}", listed(&of))
        };
        let mut notes: Vec<String> = said.iter().filter(of_all).map(|(note, _)| note.clone()).collect();
        let singles: Vec<String> = said.iter().filter(single).map(named).collect();
        let more = singles.len().saturating_sub(MOST_NOTES);
        notes.extend(singles.into_iter().take(MOST_NOTES));
        if more > 0 {
            notes.push(format!("{more} further notes of single ranks are in their ledgers"));
        }
        notes
    }
}

/// `1, 2, 3 and 7`, long ones in ranges.
fn listed(numbers: &[u32]) -> String {
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
