//! Who is asked for the carbon intensity of a run's hours.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use sootprint::{IntensityProvider, SettingError, UserDefaults};
use sootprint_live::{CachedProvider, ElectricityMaps, UkCarbonIntensity};

use crate::args::{ProviderArg, RunArgs};

/// As --live says, else `SOOTPRINT_LIVE`, else `provider` in sootprint.toml. A figure or a series of the user's needs nobody.
pub(crate) fn selected_provider(arguments: &RunArgs) -> anyhow::Result<Option<Arc<dyn IntensityProvider>>> {
    let configured = || Ok::<_, SettingError>(UserDefaults::load()?.provider);
    let choice = match arguments.live {
        Some(live) => Some(live),
        None => match configured()? {
            Some(name) => match ProviderArg::from_str(&name, true) {
                Ok(live) => Some(live),
                Err(_) => bail!(
                    "SOOTPRINT_LIVE, or `provider` in sootprint.toml, is `{name}`, which is no provider; write uk or \
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
                .context("Electricity Maps wants a token; set ELECTRICITYMAPS_TOKEN to yours")?;
            // A zone that was named is another grid than the place's.
            let label = match provider.configured_zone() {
                Some(zone) => format!("electricity-maps-{zone}"),
                None => "electricity-maps".to_owned(),
            };
            Some(Arc::new(CachedProvider::new(provider, label)))
        }
        None => None,
    })
}
