//! What a reader of one ledger's footprint should hear first.

use sootprint_core::{ComponentKind, Energy, GridIntensity, IntensityKind, IntensitySeries, LocationSource};

use super::FootprintBuilder;
use crate::ledger::RunHeader;

impl FootprintBuilder {
    pub(super) fn all_notes(
        &self,
        header: &RunHeader,
        grid: &GridIntensity,
        uncovered: Energy,
    ) -> Vec<String> {
        let mut notes = self.ledger_notes(header, grid, uncovered);
        if header.task.ranks > 1 {
            let (rank, ranks) = (header.task.rank, header.task.ranks);
            notes.push(format!("this is the part of rank {rank} of {ranks} alone"));
        }
        notes
    }

    pub(super) fn ledger_notes(
        &self,
        header: &RunHeader,
        grid: &GridIntensity,
        uncovered: Energy,
    ) -> Vec<String> {
        let mut notes = self.notes.clone();
        notes.extend(
            self.intensity_series.as_ref().and_then(|series| uncovered_note(series, &header.grid, uncovered)),
        );
        notes.extend(header.gaps.iter().cloned());
        if grid.origin == LocationSource::TimeZone {
            let place = grid.place.as_deref().unwrap_or_default();
            notes.push(format!(
                "the place is a guess from this machine's time zone: {place}; name it with SOOTPRINT_PLACE"
            ));
        }
        if grid.origin == LocationSource::Unknown {
            notes.push(
                "nobody said where the run is: the world's mean intensity, 36 to 802 g/kWh, stands in; \
                 name the place with SOOTPRINT_PLACE"
                    .to_owned(),
            );
        }
        if self.training_gpus.is_none()
            && header.components.iter().any(|component| component.kind == ComponentKind::Gpu)
        {
            let counted_gpus =
                if self.has_own_process() { "those that a process of ours used" } else { "all visible ones" };
            notes.push(format!("no framework said which boards it trains on: {counted_gpus} are counted"));
        }
        notes
    }
}

/// What a reader should hear of the energy that a series does not cover.
fn uncovered_note(series: &IntensitySeries, table: &GridIntensity, uncovered: Energy) -> Option<String> {
    let series_name = if series.is_user_provided() { "the user's series" } else { "the live provider" };
    let fallback =
        if table.method == IntensityKind::UserProvided { "the given figure" } else { "the table's yearly figure" };
    let scope_warning =
        if series.basis() == table.basis { "" } else { ", though the two do not count the same" };
    (uncovered > Energy::ZERO).then(|| {
        format!(
            "{series_name} has no intensity for the hours in which {uncovered} was used: {fallback} stands there{scope_warning}"
        )
    })
}
