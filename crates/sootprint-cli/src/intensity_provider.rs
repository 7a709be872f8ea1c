//! The live carbon-intensity provider of a run.

use std::sync::Arc;

use anyhow::{Context as _, anyhow};
use clap::ValueEnum as _;
use sootprint::{IntensityProvider, ProjectSettings, UserDefaults};
use sootprint_live::{CachedProvider, ElectricityMaps, UkCarbonIntensity};

use crate::args::{ProviderArg, RunArgs};
use crate::error_text::describe_error;
use crate::terminal::eprint_message;

/// The provider of `--live`, or of `SOOTPRINT_LIVE`, or of `provider` in sootprint.toml; `None` if none of them is set.
///
/// # Errors
/// If the provider is unknown or lacks its token. In the file of a project this is a warning.
pub(crate) fn selected_provider(arguments: &RunArgs) -> anyhow::Result<Option<Arc<dyn IntensityProvider>>> {
    if let Some(live) = arguments.live {
        return open_provider(live).map(Some);
    }
    let Some(name) = UserDefaults::load_for_run()?.provider else { return Ok(None) };
    match named_provider(&name).and_then(open_provider) {
        Ok(provider) => Ok(Some(provider)),
        Err(error) if is_set_by_project() => {
            let reason = describe_error(error.as_ref());
            eprint_message(format_args!("{reason}; the run continues without live carbon intensity"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

fn named_provider(name: &str) -> anyhow::Result<ProviderArg> {
    ProviderArg::from_str(name, true).map_err(|_| {
        let names: Vec<String> = ProviderArg::value_variants()
            .iter()
            .filter_map(|choice| Some(choice.to_possible_value()?.get_name().to_owned()))
            .collect();
        anyhow!(
            "unknown provider `{name}` in SOOTPRINT_LIVE or `provider` in sootprint.toml: expected {}",
            names.join(" or ")
        )
    })
}

/// Whether the provider is set in the file of a project, which the environment overrides.
fn is_set_by_project() -> bool {
    let is_in_environment = std::env::var_os("SOOTPRINT_LIVE").is_some_and(|value| !value.is_empty());
    let is_in_project =
        || ProjectSettings::in_use().is_some_and(|file| file.keys.iter().any(|key| key == "provider"));
    !is_in_environment && is_in_project()
}

fn open_provider(choice: ProviderArg) -> anyhow::Result<Arc<dyn IntensityProvider>> {
    Ok(match choice {
        ProviderArg::Uk => Arc::new(CachedProvider::new(UkCarbonIntensity::new(), "uk")),
        ProviderArg::ElectricityMaps => {
            let provider = ElectricityMaps::from_env()
                .context("no token for Electricity Maps; set ELECTRICITYMAPS_TOKEN")?;
            // An explicit zone overrides the grid of the place, so it gets its own cache.
            let label = match provider.configured_zone() {
                Some(zone) => format!("electricity-maps-{zone}"),
                None => "electricity-maps".to_owned(),
            };
            Arc::new(CachedProvider::new(provider, label))
        }
    })
}
