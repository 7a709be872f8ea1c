//! The notes of one ledger's footprint: what limits its figures.

use sootprint_core::{
    Energy, GpuSelectionMethod, GridIntensity, IntensityKind, IntensitySeries, LocationSource,
};

use super::builder::FootprintBuilder;

impl FootprintBuilder {
    /// The notes of the footprint of this ledger alone.
    pub(super) fn all_notes(&self, grid: &GridIntensity, uncovered: Energy) -> Vec<String> {
        let mut notes = self.ledger_notes(grid, uncovered);
        let (rank, ranks) = (self.header.task.rank, self.header.task.ranks);
        if ranks > 1 {
            notes.push(format!("this footprint covers only rank {rank}, of {ranks} ranks"));
        }
        notes
    }

    /// The notes that also apply when this ledger is merged with others.
    pub(super) fn ledger_notes(&self, grid: &GridIntensity, uncovered: Energy) -> Vec<String> {
        let header = &self.header;
        let mut notes = self.notes.clone();
        notes.extend(
            self.intensity_series.as_ref().and_then(|series| uncovered_note(series, &header.grid, uncovered)),
        );
        notes.extend(header.gaps.iter().cloned());
        match grid.origin {
            LocationSource::TimeZone => notes.push(format!(
                "location guessed from the time zone: {}; set SOOTPRINT_PLACE",
                grid.place.as_deref().unwrap_or_default()
            )),
            LocationSource::Unknown => notes.push(format!(
                "location unknown: using the world average ({:.0} g/kWh, range {:.0} to {:.0}); set SOOTPRINT_PLACE",
                header.grid.intensity.grams_per_kilowatt_hour(),
                header.grid.low.grams_per_kilowatt_hour(),
                header.grid.high.grams_per_kilowatt_hour()
            )),
            _ => {}
        }
        let run_year = header.started.get(..4).and_then(|year| year.parse().ok());
        notes.extend(run_year.and_then(|year| grid.variability_note(year)));
        match self.gpu_selection().map(|selection| selection.method) {
            Some(GpuSelectionMethod::Processes) => notes.push(
                "the training's GPUs are unknown: counting those that a process of the run used".to_owned(),
            ),
            Some(GpuSelectionMethod::AllVisible) => {
                let bound = if self.counted_gpus().count() > 1 {
                    "; the low bound of the energy includes only the GPU that used the least"
                } else {
                    ""
                };
                notes.push(format!("the training's GPUs are unknown: counting all visible GPUs{bound}"));
            }
            _ => {}
        }
        notes
    }
}

/// A note about the energy that a series does not cover, if there is any.
fn uncovered_note(series: &IntensitySeries, table: &GridIntensity, uncovered: Energy) -> Option<String> {
    let series_name = if series.is_user_provided() { "the user's series" } else { "the live provider" };
    let fallback =
        if table.method == IntensityKind::UserProvided { "the given figure" } else { "the yearly figure" };
    let scope_warning =
        if series.basis() == table.basis { "" } else { ", which counts a different scope of emissions" };
    (uncovered > Energy::ZERO).then(|| {
        format!("{series_name} has no intensity for the hours in which {uncovered} was used: using {fallback}{scope_warning}")
    })
}
