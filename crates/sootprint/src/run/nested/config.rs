//! What a nested run sends about itself.

use serde::{Deserialize, Serialize};
use sootprint_core::{GridIntensity, IntensitySeries, LocationSource, Pue, PueOrigin};

use crate::run::label::RunLabel;
use crate::settings::RunSettings;

/// What a nested run sends about itself to the `sootprint run` that measures it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct NestedRunConfig {
    pub(crate) label: RunLabel,
    /// The electricity that the training's own program specifies; all other settings are those of the enclosing run.
    pub(crate) grid: Option<GridIntensity>,
    pub(crate) series: Option<IntensitySeries>,
    pub(crate) pue: Option<Pue>,
    /// Requested options that are ignored in a nested run.
    pub(crate) gaps: Vec<String>,
}

impl NestedRunConfig {
    pub(crate) fn from_settings(label: RunLabel, settings: &RunSettings, gaps: Vec<String>) -> Self {
        let series = settings.series.clone().filter(IntensitySeries::is_from_argument);
        let is_grid_explicit = series.is_some() || settings.grid.origin == LocationSource::Argument;
        let pue = Some(settings.pue).filter(|pue| pue.origin() == PueOrigin::Argument);
        Self { label, grid: is_grid_explicit.then(|| settings.grid.clone()), series, pue, gaps }
    }
}
