//! The settings files: `sootprint.toml` of the project, of the user, and of the site.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::{fmt, fs};

use sootprint_core::{Origin, PueOrigin};
use toml::Value;

use super::{Layer, Setting, SettingError, baseline, intensity, place, pue, repository, series};

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
    pub(super) owner: Owner,
    pub(super) path: PathBuf,
}

/// Whose settings a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Owner {
    Project,
    User,
    Site,
}

impl SettingsFile {
    /// What the file says, without what is wrong in it; none when it cannot be read at all.
    pub(super) fn read(&self, problems: &mut Vec<SettingError>) -> Option<Layer> {
        match self.table() {
            Ok(table) => Some(self.layer(table, problems)),
            Err(problem) => {
                problems.push(problem);
                None
            }
        }
    }

    fn table(&self) -> Result<toml::Table, SettingError> {
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

    fn layer(&self, table: toml::Table, problems: &mut Vec<SettingError>) -> Layer {
        let mut layer = Layer::empty(Origin::Settings);
        for (key, value) in table {
            if let Err(problem) = self.take(&mut layer, &key, &value) {
                problems.push(problem);
            }
        }
        layer
    }

    fn take(&self, layer: &mut Layer, key: &str, value: &Value) -> Result<(), SettingError> {
        let setting = || Setting::Key { key: key.to_owned(), file: self.clone() };
        let wrong = |expected| SettingError::Kind { setting: setting(), expected };
        let text = || value.as_str().ok_or_else(|| wrong("a text in quotes"));
        let number = || {
            // An integer of more digits than a float has is no figure of these.
            value.as_float().or_else(|| Some(value.as_integer()? as f64)).ok_or_else(|| wrong("a number"))
        };
        match key {
            "place" => layer.place = Some(place(setting(), text()?)?),
            "intensity" => layer.intensity = Some(intensity(setting(), number()?)?),
            "series" => layer.series = Some(series(setting(), self.beside(text()?))?),
            "pue" => layer.pue = Some(pue(setting(), number()?, PueOrigin::Settings)?),
            "nvml" => layer.nvml = Some(OsString::from(text()?)),
            "baseline" => layer.baseline = Some(baseline(setting(), number()?)?),
            "provider" => layer.preferences.provider = Some(text()?.to_owned()),
            "repository" => layer.preferences.repository = Some(repository(setting(), text()?)?),
            "metadata" => {
                layer.metadata = Some(value.as_bool().ok_or_else(|| wrong("true or false"))?);
            }
            _ => {
                return Err(SettingError::UnknownKey {
                    setting: setting(),
                    known: KEYS.join(", "),
                    nearest: nearest(key),
                });
            }
        }
        Ok(())
    }

    /// A path that is written relative to the file's folder.
    fn beside(&self, path: &str) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).join(path)
    }

    /// The file's words without its path, which may have a user's name in it.
    pub(super) const fn in_words(&self) -> &'static str {
        match self.owner {
            Owner::Project => "the project's sootprint.toml",
            Owner::User => "the user's sootprint.toml",
            Owner::Site => "the site's sootprint.toml",
        }
    }
}

impl fmt::Display for SettingsFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.path.display().fmt(f)
    }
}

/// The key that may have been meant.
fn nearest(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase();
    let near = KEYS.into_iter().map(|known| (strsim::osa_distance(&key, known), known)).min()?;
    (near.0 <= 1 + key.chars().count() / 3).then_some(near.1)
}
