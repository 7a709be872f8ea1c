//! What a reader of one ledger's footprint should hear first.

use sootprint_core::{Answer, Energy, Figure, Kind, Origin, Series};

use super::Fold;
use crate::ledger::Opened;

impl Fold {
    pub(super) fn all_notes(&self, opened: &Opened, grid: &Answer, uncovered: Energy) -> Vec<String> {
        let mut notes = self.own_notes(opened, grid, uncovered);
        if opened.task.ranks > 1 {
            let (rank, ranks) = (opened.task.rank, opened.task.ranks);
            notes.push(format!("this is the part of rank {rank} of {ranks} alone"));
        }
        notes
    }

    pub(super) fn own_notes(&self, opened: &Opened, grid: &Answer, uncovered: Energy) -> Vec<String> {
        let mut notes = self.notes.clone();
        notes.extend(self.live.as_ref().and_then(|series| beyond(series, &opened.grid, uncovered)));
        notes.extend(opened.gaps.iter().cloned());
        if grid.origin == Origin::TimeZone {
            let place = grid.place.as_deref().unwrap_or_default();
            notes.push(format!(
                "the place is a guess from this machine's time zone: {place}; name it with SOOTPRINT_PLACE"
            ));
        }
        if grid.origin == Origin::Unknown {
            notes.push(
                "nobody said where the run is: the world's mean intensity, 36 to 802 g/kWh, stands in; \
                 name the place with SOOTPRINT_PLACE"
                    .to_owned(),
            );
        }
        if self.claimed.is_none() && opened.components.iter().any(|component| component.kind == Kind::Gpu) {
            let which =
                if self.knows_ours() { "those that a process of ours used" } else { "all visible ones" };
            notes.push(format!("no framework said which boards it trains on: {which} are counted"));
        }
        notes
    }
}

/// What a reader should hear of the energy that a series does not cover.
fn beyond(series: &Series, table: &Answer, uncovered: Energy) -> Option<String> {
    let who = if series.is_given() { "the user's series" } else { "the live provider" };
    let stands = if table.method == Figure::Given { "the given figure" } else { "the table's yearly figure" };
    let bases = if series.basis() == table.basis { "" } else { ", though the two do not count the same" };
    (uncovered > Energy::ZERO).then(|| {
        format!(
            "{who} has no intensity for the hours in which {uncovered} was used: {stands} stands there{bases}"
        )
    })
}
