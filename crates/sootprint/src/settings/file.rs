//! The settings files: `sootprint.toml` of the project, of the user, and of the site.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use sootprint_core::{LocationSource, PueOrigin};
use toml::Value;

use super::{
    SettingError, SettingSource, SettingsLayer, load_series, parse_baseline, parse_intensity, parse_place,
    parse_pue, parse_repository,
};

/// What may stand in a file.
const KEYS: [&str; 9] =
    ["place", "intensity", "series", "provider", "pue", "nvml", "baseline", "metadata", "repository"];

/// A `sootprint.toml` that is there: the project's, which is the nearest in the working folder or above it; the user's, in
/// `$XDG_CONFIG_HOME/sootprint` or `~/.config/sootprint`; the site's, in `/etc`.
///
/// Arguments and variables go before it, and each key by itself. It may say:
///
/// ```toml
/// place = "US-VA"          # or a cloud's region, as in "aws:us-east-1"
/// intensity = 56           # in g CO2e per kWh, instead of a table's figure
/// series = "hours.csv"     # beside this file; figures for the hours
/// provider = "uk"          # asked for the figures of the hours; `sootprint run --live`
/// pue = 1.2
/// nvml = "/usr/lib/libnvidia-ml.so.1"
/// baseline = 5             # seconds of rest before a run
/// metadata = false         # never ask the machine's cloud where it is
/// repository = "me/digits" # published to where none is named; by itself it publishes nothing
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettingsFile {
    pub(super) scope: SettingsScope,
    pub(super) path: PathBuf,
}

/// Whose settings a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SettingsScope {
    Project,
    User,
    Site,
}

impl SettingsFile {
    /// What the file says, without what is wrong in it; none when it cannot be read at all.
    pub(super) fn read_layer(&self, errors: &mut Vec<SettingError>) -> Option<SettingsLayer> {
        match self.parse_table() {
            Ok(table) => Some(self.layer_from_table(table, errors)),
            Err(error) => {
                errors.push(error);
                None
            }
        }
    }

    fn parse_table(&self) -> Result<toml::Table, SettingError> {
        let file = self.clone();
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(source) => return Err(SettingError::File { file, source }),
        };
        text.parse().map_err(|error: toml::de::Error| {
            let before = error.span().and_then(|span| text.get(..span.start));
            let line = before.map_or(1, |before| before.matches('\n').count() + 1);
            SettingError::Toml { file, line, what: error.message().to_owned() }
        })
    }

    fn layer_from_table(&self, table: toml::Table, errors: &mut Vec<SettingError>) -> SettingsLayer {
        let mut layer = SettingsLayer::empty(LocationSource::Settings);
        for (key, value) in table {
            if let Err(error) = self.apply_key(&mut layer, &key, &value) {
                errors.push(error);
            }
        }
        layer
    }

    fn apply_key(&self, layer: &mut SettingsLayer, key: &str, value: &Value) -> Result<(), SettingError> {
        let setting = || SettingSource::Key { key: key.to_owned(), file: self.clone() };
        let wrong_type = |expected| SettingError::WrongType { setting: setting(), expected };
        let text = || value.as_str().ok_or_else(|| wrong_type("a text in quotes"));
        let number = || {
            // An integer of more digits than a float has is no figure of these.
            value
                .as_float()
                .or_else(|| Some(value.as_integer()? as f64))
                .ok_or_else(|| wrong_type("a number"))
        };
        match key {
            "place" => layer.place = Some(parse_place(setting(), text()?)?),
            "intensity" => layer.intensity = Some(parse_intensity(setting(), number()?)?),
            "series" => layer.series = Some(load_series(setting(), self.resolve_path(text()?))?),
            "pue" => layer.pue = Some(parse_pue(setting(), number()?, PueOrigin::Settings)?),
            "nvml" => layer.nvml = Some(OsString::from(text()?)),
            "baseline" => layer.baseline = Some(parse_baseline(setting(), number()?)?),
            "provider" => layer.defaults.provider = Some(text()?.to_owned()),
            "repository" => layer.defaults.repository = Some(parse_repository(setting(), text()?)?),
            "metadata" => {
                layer.query_cloud_metadata =
                    Some(value.as_bool().ok_or_else(|| wrong_type("true or false"))?);
            }
            _ => {
                return Err(SettingError::UnknownKey {
                    setting: setting(),
                    known: KEYS.join(", "),
                    nearest: closest_key(key),
                });
            }
        }
        Ok(())
    }

    /// A path that is written relative to the file's folder.
    fn resolve_path(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The file's words without its path, which may have a user's name in it.
    pub(super) const fn description_without_path(&self) -> &'static str {
        match self.scope {
            SettingsScope::Project => "the project's sootprint.toml",
            SettingsScope::User => "the user's sootprint.toml",
            SettingsScope::Site => "the site's sootprint.toml",
        }
    }
}

impl fmt::Display for SettingsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// The key that may have been meant.
fn closest_key(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase();
    let closest = KEYS.into_iter().map(|known| (strsim::osa_distance(&key, known), known)).min()?;
    (closest.0 <= 1 + key.chars().count() / 3).then_some(closest.1)
}
