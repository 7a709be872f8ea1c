//! The settings of one source: the arguments, the environment, or a settings file.

use std::ffi::OsString;
use std::time::Duration;

use sootprint_core::file::parent_dir;
use sootprint_core::{CarbonIntensity, IntensitySeries, LocationSource, Place, Pue, PueOrigin, RepoId};
use toml::Value;

use super::card_defaults::CardDefaults;
use super::error::{SettingError, SettingSource};
use super::parse::{
    load_series, ok_or_record, parse_baseline, parse_intensity, parse_number, parse_place, parse_pue,
    parse_repository,
};
use super::process_env::ProcessEnv;
use super::project_file::{check_owner, read_settings};
use super::settings_file::{SettingsFile, SettingsScope};

/// The keys of a settings file.
const KEYS: [&str; 15] = [
    "place",
    "intensity",
    "series",
    "provider",
    "pue",
    "nvml",
    "baseline",
    "metadata",
    "repository",
    "license",
    "library_name",
    "pipeline_tag",
    "language",
    "datasets",
    "metrics",
];

/// The settings of one source. What it does not set is `None`.
#[derive(Debug, Clone)]
pub(super) struct SettingsLayer {
    pub(super) origin: LocationSource,
    pub(super) place: Option<Place>,
    pub(super) intensity: Option<CarbonIntensity>,
    pub(super) series: Option<IntensitySeries>,
    pub(super) pue: Option<Pue>,
    pub(super) nvml: Option<OsString>,
    pub(super) baseline: Option<Duration>,
    /// Whether the cloud's metadata service may be queried for the location.
    pub(super) query_cloud_metadata: Option<bool>,
    pub(super) repository: Option<RepoId>,
    pub(super) provider: Option<String>,
    pub(super) card: CardDefaults,
}

impl SettingsLayer {
    pub(super) fn empty(origin: LocationSource) -> Self {
        Self {
            origin,
            place: None,
            intensity: None,
            series: None,
            pue: None,
            nvml: None,
            baseline: None,
            query_cloud_metadata: None,
            repository: None,
            provider: None,
            card: CardDefaults::default(),
        }
    }

    /// The layers of the environment and of the settings files, in order of precedence.
    pub(super) fn list_configured(env: &ProcessEnv, errors: &mut Vec<SettingError>) -> Vec<Self> {
        let mut layers = vec![Self::from_env(env, errors)];
        layers.extend(env.files.iter().filter_map(|file| Self::from_file(file, errors)));
        layers
    }

    fn from_env(env: &ProcessEnv, errors: &mut Vec<SettingError>) -> Self {
        let variable = |name| env.text(name).map(|value| (SettingSource::Variable(name), value));
        let place = variable("SOOTPRINT_PLACE").map(|(setting, name)| parse_place(setting, &name));
        let intensity = variable("SOOTPRINT_INTENSITY").map(|(setting, value)| {
            let grams = parse_number(&setting, &value)?;
            parse_intensity(setting, grams)
        });
        let pue = variable("SOOTPRINT_PUE").map(|(setting, value)| {
            let factor = parse_number(&setting, &value)?;
            parse_pue(setting, factor, PueOrigin::Environment)
        });
        let baseline = variable("SOOTPRINT_BASELINE").map(|(setting, value)| {
            let seconds = parse_number(&setting, &value)?;
            parse_baseline(setting, seconds)
        });
        let series = env
            .path("SOOTPRINT_SERIES")
            .map(|path| load_series(SettingSource::Variable("SOOTPRINT_SERIES"), path));
        let repository =
            variable("SOOTPRINT_REPOSITORY").map(|(setting, name)| parse_repository(setting, &name));
        Self {
            origin: LocationSource::Environment,
            place: ok_or_record(place, errors),
            intensity: ok_or_record(intensity, errors),
            series: ok_or_record(series, errors),
            pue: ok_or_record(pue, errors),
            nvml: env.variable("SOOTPRINT_NVML"),
            baseline: ok_or_record(baseline, errors),
            query_cloud_metadata: env
                .text("SOOTPRINT_METADATA")
                .map(|value| !value.eq_ignore_ascii_case("off")),
            repository: ok_or_record(repository, errors),
            provider: env.text("SOOTPRINT_LIVE"),
            card: CardDefaults::default(),
        }
    }

    /// The valid keys of a file; `None` if the file cannot be trusted, read or parsed.
    fn from_file(file: &SettingsFile, errors: &mut Vec<SettingError>) -> Option<Self> {
        if file.scope == SettingsScope::Project
            && let Err(reason) = check_owner(&file.path)
        {
            errors.push(SettingError::Untrusted { file: file.clone(), reason });
            return None;
        }
        let table = parse_table(file).map_err(|error| errors.push(error)).ok()?;
        let mut layer = Self::empty(LocationSource::Settings);
        for (key, value) in table {
            if let Err(error) = layer.set_key(file, &key, &value) {
                errors.push(error);
            }
        }
        Some(layer)
    }

    fn set_key(&mut self, file: &SettingsFile, key: &str, value: &Value) -> Result<(), SettingError> {
        let setting = || SettingSource::Key { key: key.to_owned(), file: file.clone() };
        let wrong_type = |expected| SettingError::WrongType { setting: setting(), expected };
        let text = || value.as_str().ok_or_else(|| wrong_type("a quoted string"));
        let number = || {
            value
                .as_float()
                // Integers beyond the precision of a float are out of range for every key.
                .or_else(|| Some(value.as_integer()? as f64))
                .ok_or_else(|| wrong_type("a number"))
        };
        let texts = || match value {
            Value::Array(items) => {
                let items = items.iter().map(|item| item.as_str().map(str::to_owned));
                items.collect::<Option<Vec<_>>>().ok_or_else(|| wrong_type("a list of quoted strings"))
            }
            _ => Ok(vec![text()?.to_owned()]),
        };
        match key {
            "license" => self.card.license = Some(text()?.to_owned()),
            "library_name" => self.card.library_name = Some(text()?.to_owned()),
            "pipeline_tag" => self.card.pipeline_tag = Some(text()?.to_owned()),
            "language" => self.card.languages = texts()?,
            "datasets" => self.card.datasets = texts()?,
            "metrics" => self.card.metrics = texts()?,
            "place" => self.place = Some(parse_place(setting(), text()?)?),
            "intensity" => self.intensity = Some(parse_intensity(setting(), number()?)?),
            "series" => {
                let path = parent_dir(&file.path).join(text()?);
                self.series = Some(load_series(setting(), path)?);
            }
            "pue" => self.pue = Some(parse_pue(setting(), number()?, PueOrigin::Settings)?),
            "nvml" if file.scope == SettingsScope::Project => {
                return Err(SettingError::NotInProject { setting: setting() });
            }
            "nvml" => self.nvml = Some(OsString::from(text()?)),
            "baseline" => self.baseline = Some(parse_baseline(setting(), number()?)?),
            "provider" => self.provider = Some(text()?.to_owned()),
            "repository" => self.repository = Some(parse_repository(setting(), text()?)?),
            "metadata" => {
                let is_allowed = value.as_bool().ok_or_else(|| wrong_type("true or false"))?;
                self.query_cloud_metadata = Some(is_allowed);
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
}

fn parse_table(file: &SettingsFile) -> Result<toml::Table, SettingError> {
    let text =
        read_settings(&file.path).map_err(|source| SettingError::File { file: file.clone(), source })?;
    text.parse().map_err(|error: toml::de::Error| {
        let before = error.span().and_then(|span| text.get(..span.start));
        let line = before.map_or(1, |before| before.matches('\n').count() + 1);
        SettingError::Toml { file: file.clone(), line, what: error.message().to_owned() }
    })
}

/// The known key that is most similar to `key`, if it is similar enough to be a suggestion.
fn closest_key(key: &str) -> Option<&'static str> {
    let key = key.to_lowercase();
    let (distance, closest) =
        KEYS.into_iter().map(|known| (strsim::osa_distance(&key, known), known)).min()?;
    (distance <= 1 + key.chars().count() / 3).then_some(closest)
}
