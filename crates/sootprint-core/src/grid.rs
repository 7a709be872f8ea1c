//! Electricity grids: their zones, the carbon intensity of each, and series of intensities over time.

mod cloud_regions;
mod countries;
mod intensity;
mod intensity_series;
mod place_names;
mod provider_error;
mod series_csv;
mod subdivisions;
mod table_intensity;
mod time_zones;
mod weighting;
mod zone;
mod zone_aliases;

pub(crate) use countries::Variability;
pub use intensity::{
    EmissionScope, GridIntensity, GridPlace, IntensityError, IntensityInterval, IntensityKind, LocationSource,
};
pub use intensity_series::{IntensityPeriod, IntensitySeries};
pub(crate) use place_names::{find_zones, suggest_names};
pub use provider_error::{ProviderError, ServerMessage};
pub use series_csv::{SeriesContentError, SeriesError};
pub(crate) use time_zones::zone_for_time_zone;
pub use weighting::{energy_at, energy_weighted, timestamp_at};
pub(crate) use zone::GridZone;
pub(crate) use zone_aliases::{AliasKind, find_alias};
