//! Invalid settings, with the variable or key that sets them.

use std::fmt;

use sootprint_core::format::error_chain;
use sootprint_core::{IntensityError, PlaceError, PueError, RepoIdError, SeriesError};
use sootprint_power::ReplayError;

use super::settings_file::{SettingsFile, SettingsScope};

/// The variable or key that sets a setting.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingSource {
    /// An environment variable.
    Variable(&'static str),
    /// A key of a settings file.
    Key {
        /// The key.
        key: String,
        /// The file.
        file: SettingsFile,
    },
}

impl fmt::Display for SettingSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Variable(name) => f.write_str(name),
            Self::Key { key, file } => write!(f, "`{key}` in {file}"),
        }
    }
}

/// An invalid setting.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// The value is not a number.
    #[error("{setting}: invalid number `{value}` (expected e.g. 1.1)")]
    Number {
        /// The variable or key.
        setting: SettingSource,
        /// The value.
        value: String,
    },
    /// The baseline is negative, or longer than a minute.
    #[error("{setting}: invalid baseline {seconds} s: must be between 0 and 60 s")]
    Baseline {
        /// The variable or key.
        setting: SettingSource,
        /// The value in seconds.
        seconds: f64,
    },
    /// The value is not a known place.
    #[error("{setting}: invalid value")]
    Place {
        /// The variable or key.
        setting: SettingSource,
        /// The reason.
        source: PlaceError,
    },
    /// The value is not a carbon intensity.
    #[error("{setting}: invalid value")]
    Intensity {
        /// The variable or key.
        setting: SettingSource,
        /// The reason.
        source: IntensityError,
    },
    /// The value is not the path of a valid series of intensities.
    #[error("{setting}: invalid value")]
    Series {
        /// The variable or key.
        setting: SettingSource,
        /// The reason.
        source: SeriesError,
    },
    /// The value is not a PUE.
    #[error("{setting}: invalid value")]
    Pue {
        /// The variable or key.
        setting: SettingSource,
        /// The reason.
        source: PueError,
    },
    /// The value is not a repository id.
    #[error("{setting}: invalid value")]
    Repository {
        /// The variable or key.
        setting: SettingSource,
        /// The reason.
        source: RepoIdError,
    },
    /// The value is not the path of a valid replay script.
    #[error("{setting}: invalid value")]
    Replay {
        /// The variable or key.
        setting: SettingSource,
        /// The reason.
        source: ReplayError,
    },
    /// The value has the wrong type.
    #[error("{setting}: expected {expected}")]
    WrongType {
        /// The variable or key.
        setting: SettingSource,
        /// The expected type.
        expected: &'static str,
    },
    /// The key does not exist.
    #[error(
        "{setting}: unknown key{}; known keys: {known}",
        nearest.map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}`?)"))
    )]
    UnknownKey {
        /// The key.
        setting: SettingSource,
        /// The most similar key, if any is similar.
        nearest: Option<&'static str>,
        /// All keys, separated by commas.
        known: String,
    },
    /// The key is not allowed in a project's file.
    #[error("{setting}: not allowed in the file of a project; use the user's sootprint.toml")]
    NotInProject {
        /// The key.
        setting: SettingSource,
    },
    /// Others may have written the file of a project, which is therefore not used.
    #[error("{file} is not used: {reason}")]
    Untrusted {
        /// The file.
        file: SettingsFile,
        /// Why others may have written it.
        reason: String,
    },
    /// A settings file cannot be read.
    #[error("cannot read {file}")]
    File {
        /// The file.
        file: SettingsFile,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// A settings file is not valid TOML.
    #[error("{file}, line {line}: {what} (expected e.g. place = \"France\")")]
    Toml {
        /// The file.
        file: SettingsFile,
        /// The line, starting at 1.
        line: usize,
        /// The message of the TOML parser.
        what: String,
    },
}

impl SettingError {
    /// The message with its causes, without the paths of files, which may contain a user name: for text that may be
    /// published.
    pub(crate) fn without_path(&self) -> String {
        let mut text = error_chain(self);
        if let Self::Series { source, .. } = self {
            let name = source.path().file_name().unwrap_or_default().to_string_lossy();
            text = text.replace(&source.path().display().to_string(), &name);
        }
        match self.file() {
            Some(file) => text.replace(&file.to_string(), file.description_without_path()),
            None => text,
        }
    }

    /// Whether the error is in the file of a project. Such an error is a warning where the setting is not needed.
    pub(crate) fn is_in_project(&self) -> bool {
        self.file().is_some_and(|file| file.scope == SettingsScope::Project)
    }

    /// The settings file that contains the error. `None` if it is in an environment variable.
    fn file(&self) -> Option<&SettingsFile> {
        match self {
            Self::File { file, .. } | Self::Toml { file, .. } | Self::Untrusted { file, .. } => Some(file),
            Self::Number { setting, .. }
            | Self::Baseline { setting, .. }
            | Self::Place { setting, .. }
            | Self::Intensity { setting, .. }
            | Self::Series { setting, .. }
            | Self::Pue { setting, .. }
            | Self::Repository { setting, .. }
            | Self::Replay { setting, .. }
            | Self::WrongType { setting, .. }
            | Self::NotInProject { setting }
            | Self::UnknownKey { setting, .. } => match setting {
                SettingSource::Key { file, .. } => Some(file),
                SettingSource::Variable(_) => None,
            },
        }
    }
}
