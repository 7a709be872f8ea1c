//! Who is asked for the carbon intensity of a run's hours.

use std::sync::Arc;

use anyhow::{Context as _, bail};
use clap::ValueEnum as _;
use sootprint::{Preferences, Provider, SettingError};
use sootprint_live::{Cached, ElectricityMaps, UkCarbonIntensity};

use crate::arguments::{Live, RunArguments};

/// As --live says, else `SOOTPRINT_LIVE`, else `provider` in sootprint.toml. A figure or a series of the user's needs nobody.
pub(crate) fn provider(arguments: &RunArguments) -> anyhow::Result<Option<Arc<dyn Provider>>> {
    let named = || Ok::<_, SettingError>(Preferences::here()?.provider);
    let live = match arguments.live {
        Some(live) => Some(live),
        None => match named()? {
            Some(name) => match Live::from_str(&name, true) {
                Ok(live) => Some(live),
                Err(_) => bail!(
                    "SOOTPRINT_LIVE, or `provider` in sootprint.toml, is `{name}`, which is no provider; write uk or \
                     electricity-maps"
                ),
            },
            None => None,
        },
    };
    Ok(match live {
        Some(Live::Uk) => Some(Arc::new(Cached::new(UkCarbonIntensity::new(), "uk"))),
        Some(Live::ElectricityMaps) => {
            let provider = ElectricityMaps::from_environment()
                .context("Electricity Maps wants a token; set ELECTRICITYMAPS_TOKEN to yours")?;
            // A zone that was named is another grid than the place's.
            let label = match provider.named_zone() {
                Some(zone) => format!("electricity-maps-{zone}"),
                None => "electricity-maps".to_owned(),
            };
            Some(Arc::new(Cached::new(provider, label)))
        }
        None => None,
    })
}
