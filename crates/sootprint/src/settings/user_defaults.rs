//! Defaults for pushes to the Hub and for live providers.

use std::path::PathBuf;

use sootprint_core::RepoId;

use super::card_defaults::CardDefaults;
use super::error::SettingError;
use super::layer::SettingsLayer;
use super::process_env::ProcessEnv;
use super::project_file::{check_owner, read_settings};
use super::settings_file::SettingsScope;

/// Defaults that are independent of a run, for programs that push to the Hugging Face Hub or query a live provider. An
/// environment variable takes precedence over the settings files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct UserDefaults {
    /// The repository to push to if none is named: `SOOTPRINT_REPOSITORY`, or the key `repository`. Setting it does not
    /// start a push.
    pub repository: Option<RepoId>,
    /// The live provider of hourly intensities: `SOOTPRINT_LIVE`, or the key `provider`.
    pub provider: Option<String>,
    /// The metadata of new model cards.
    pub card: CardDefaults,
}

impl UserDefaults {
    /// Reads the defaults of this process on this machine.
    ///
    /// # Errors
    /// The first invalid setting in the environment or a settings file, even if it is none of these defaults.
    pub fn load() -> Result<Self, SettingError> {
        Self::from_env(&ProcessEnv::current())
    }

    /// Reads the defaults and ignores what is wrong in the file of a project. [`RunBuilder::start`] warns about it.
    ///
    /// [`RunBuilder::start`]: crate::RunBuilder::start
    ///
    /// # Errors
    /// The first invalid setting outside the file of a project.
    pub fn load_for_run() -> Result<Self, SettingError> {
        let (defaults, errors) = Self::resolve(&ProcessEnv::current());
        match errors.into_iter().find(|error| !error.is_in_project()) {
            Some(error) => Err(error),
            None => Ok(defaults),
        }
    }

    pub(super) fn from_env(env: &ProcessEnv) -> Result<Self, SettingError> {
        let (defaults, errors) = Self::resolve(env);
        match errors.into_iter().next() {
            Some(error) => Err(error),
            None => Ok(defaults),
        }
    }

    fn resolve(env: &ProcessEnv) -> (Self, Vec<SettingError>) {
        let mut errors = Vec::new();
        let layers = SettingsLayer::list_configured(env, &mut errors);
        let defaults = Self {
            repository: layers.iter().find_map(|layer| layer.repository.clone()),
            provider: layers.iter().find_map(|layer| layer.provider.clone()),
            card: layers.into_iter().fold(CardDefaults::default(), |card, layer| card.or(layer.card)),
        };
        (defaults, errors)
    }
}

/// The settings file of a project that is in use.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProjectSettings {
    /// The path of the file.
    pub path: PathBuf,
    /// The keys that it sets.
    pub keys: Vec<String>,
}

impl ProjectSettings {
    /// Returns the project's settings file of this process. `None` if there is none, or if it is not used because
    /// others may have written it, or because it cannot be read or is not valid TOML.
    #[must_use]
    pub fn in_use() -> Option<Self> {
        let env = ProcessEnv::current();
        let file = env.files.into_iter().find(|file| file.scope == SettingsScope::Project)?;
        check_owner(&file.path).ok()?;
        let table: toml::Table = read_settings(&file.path).ok()?.parse().ok()?;
        Some(Self { path: file.path, keys: table.into_iter().map(|(key, _)| key).collect() })
    }
}
