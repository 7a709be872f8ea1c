//! Defaults for pushes to the Hub and for live providers.

use sootprint_core::RepoId;

use super::error::SettingError;
use super::layer::SettingsLayer;
use super::process_env::ProcessEnv;

/// Defaults that are independent of a run, for programs that push or query a provider. An environment variable
/// takes precedence over the settings files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserDefaults {
    /// The repository to push to if none is named: `SOOTPRINT_REPOSITORY`, or the key `repository`. Setting it does not
    /// start a push.
    pub repository: Option<RepoId>,
    /// The live provider of hourly intensities: `SOOTPRINT_LIVE`, or the key `provider`.
    pub provider: Option<String>,
}

impl UserDefaults {
    /// Reads the defaults of this process on this machine.
    ///
    /// # Errors
    /// The first invalid setting, including settings that are not needed here: a file with a mistake is rejected as a
    /// whole.
    pub fn load() -> Result<Self, SettingError> {
        Self::from_env(&ProcessEnv::current())
    }

    pub(super) fn from_env(env: &ProcessEnv) -> Result<Self, SettingError> {
        let mut errors = Vec::new();
        let layers = SettingsLayer::list_configured(env, &mut errors);
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(Self {
                repository: layers.iter().find_map(|layer| layer.repository.clone()),
                provider: layers.iter().find_map(|layer| layer.provider.clone()),
            }),
        }
    }
}
