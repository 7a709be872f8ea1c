//! The live carbon-intensity provider of a run.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use sootprint::{IntensityProvider, SettingError, UserDefaults};
use sootprint_live::{CachedProvider, ElectricityMaps, UkCarbonIntensity};

use crate::args::{ProviderArg, RunArgs};

/// The provider of `--live`, or of `SOOTPRINT_LIVE`, or of `provider` in sootprint.toml; `None` if none of them is set.
pub(crate) fn selected_provider(arguments: &RunArgs) -> anyhow::Result<Option<Arc<dyn IntensityProvider>>> {
    let configured = || Ok::<_, SettingError>(UserDefaults::load()?.provider);
    let choice = match arguments.live {
        Some(live) => Some(live),
        None => match configured()? {
            Some(name) => match ProviderArg::from_str(&name, true) {
                Ok(live) => Some(live),
                Err(_) => bail!(
                    "unknown provider `{name}` in SOOTPRINT_LIVE or `provider` in sootprint.toml: expected uk or \
                     electricity-maps"
                ),
            },
            None => None,
        },
    };
    Ok(match choice {
        Some(ProviderArg::Uk) => Some(Arc::new(CachedProvider::new(UkCarbonIntensity::new(), "uk"))),
        Some(ProviderArg::ElectricityMaps) => {
            let provider = ElectricityMaps::from_env()
                .context("no token for Electricity Maps; set ELECTRICITYMAPS_TOKEN")?;
            // An explicit zone overrides the grid of the place, so it gets its own cache.
            let label = match provider.configured_zone() {
                Some(zone) => format!("electricity-maps-{zone}"),
                None => "electricity-maps".to_owned(),
            };
            Some(Arc::new(CachedProvider::new(provider, label)))
        }
        None => None,
    })
}
