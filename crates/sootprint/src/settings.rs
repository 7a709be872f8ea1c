//! The settings of a run. Arguments take precedence over the environment, and the environment over the settings files.
//!
//! The provider's name and the repository are settings although this crate has no network access: one file configures
//! a machine, and the crates that use the network read their part through [`UserDefaults`].

mod card_defaults;
mod error;
mod layer;
mod parse;
mod process_env;
mod project_file;
mod run_settings;
mod settings_file;
#[cfg(test)]
mod tests;
mod user_defaults;

pub use card_defaults::CardDefaults;
pub use error::{SettingError, SettingSource};
pub(crate) use process_env::ProcessEnv;
pub(crate) use run_settings::{RunArguments, RunSettings};
pub use settings_file::SettingsFile;
pub use user_defaults::{ProjectSettings, UserDefaults};
