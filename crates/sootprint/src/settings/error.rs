//! Settings that cannot be taken, each with where it was said and what to write instead.

use std::fmt;

use sootprint_core::{IntensityError, PlaceError, PueError, SeriesError};
use sootprint_power::ReplayError;

use super::file::SettingsFile;

/// Where something was said.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum SettingSource {
    /// A variable of the environment.
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

/// A setting that cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// It should be a number.
    #[error("{setting} is `{value}`, which is no number that fits; write it with a point, as in 1.1")]
    Number {
        /// Where it was said.
        setting: SettingSource,
        /// Its value.
        value: String,
    },
    /// It names no place.
    #[error("{setting}: {source}")]
    Place {
        /// Where it was said.
        setting: SettingSource,
        /// What is wrong with it.
        source: PlaceError,
    },
    /// It is no carbon intensity.
    #[error("{setting}: {source}")]
    Intensity {
        /// Where it was said.
        setting: SettingSource,
        /// What is wrong with it.
        source: IntensityError,
    },
    /// It names no series of intensities.
    #[error("{setting}: {source}")]
    Series {
        /// Where it was said.
        setting: SettingSource,
        /// What is wrong with it.
        source: SeriesError,
    },
    /// It is no PUE.
    #[error("{setting}: {source}")]
    Pue {
        /// Where it was said.
        setting: SettingSource,
        /// What is wrong with it.
        source: PueError,
    },
    /// It names no script.
    #[error("{setting}: {source}")]
    Replay {
        /// Where it was said.
        setting: SettingSource,
        /// What is wrong with it.
        source: ReplayError,
    },
    /// It is of another kind than it should be.
    #[error("{setting} should be {expected}")]
    WrongType {
        /// Where it was said.
        setting: SettingSource,
        /// What it should be.
        expected: &'static str,
    },
    /// Nothing is called so.
    #[error(
        "{setting} is no setting{}; there are {known}",
        nearest.map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}`?)"))
    )]
    UnknownKey {
        /// Where it was said.
        setting: SettingSource,
        /// What may have been meant.
        nearest: Option<&'static str>,
        /// All that there are.
        known: String,
    },
    /// A settings file cannot be read.
    #[error("cannot read {file}: {source}")]
    File {
        /// The file.
        file: SettingsFile,
        /// What the system says.
        source: std::io::Error,
    },
    /// A settings file is no TOML.
    #[error("{file}, line {line}: {what}; write it as in place = \"France\"")]
    Toml {
        /// The file.
        file: SettingsFile,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        what: String,
    },
}

impl SettingError {
    /// The text without the paths of files, which may have a user's name in them: for what is published.
    pub(crate) fn without_path(&self) -> String {
        let mut text = self.to_string();
        if let Self::Series { source, .. } = self {
            let name = source.path().file_name().unwrap_or_default().to_string_lossy();
            text = text.replace(&source.path().display().to_string(), &name);
        }
        let file = match self {
            Self::File { file, .. } | Self::Toml { file, .. } => file,
            Self::Number { setting, .. }
            | Self::Place { setting, .. }
            | Self::Intensity { setting, .. }
            | Self::Series { setting, .. }
            | Self::Pue { setting, .. }
            | Self::Replay { setting, .. }
            | Self::WrongType { setting, .. }
            | Self::UnknownKey { setting, .. } => match setting {
                SettingSource::Key { file, .. } => file,
                SettingSource::Variable(_) => return text,
            },
        };
        text.replace(&file.to_string(), file.description_without_path())
    }
}
