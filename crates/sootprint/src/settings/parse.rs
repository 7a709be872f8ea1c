//! Parses the values of settings.

use std::path::PathBuf;
use std::time::Duration;

use sootprint_core::{CarbonIntensity, IntensitySeries, Place, Pue, PueOrigin, RepoId};

use super::error::{SettingError, SettingSource};

pub(super) fn parse_place(setting: SettingSource, name: &str) -> Result<Place, SettingError> {
    name.parse().map_err(|source| SettingError::Place { setting, source })
}

/// A carbon intensity in g CO2e per kWh.
pub(super) fn parse_intensity(setting: SettingSource, grams: f64) -> Result<CarbonIntensity, SettingError> {
    CarbonIntensity::try_from_grams_per_kilowatt_hour(grams)
        .map_err(|source| SettingError::Intensity { setting, source })
}

pub(super) fn load_series(setting: SettingSource, path: PathBuf) -> Result<IntensitySeries, SettingError> {
    IntensitySeries::from_csv_file(&path).map_err(|source| SettingError::Series { setting, source })
}

pub(super) fn parse_pue(setting: SettingSource, factor: f64, origin: PueOrigin) -> Result<Pue, SettingError> {
    Pue::new(factor)
        .map(|pue| pue.with_origin(origin))
        .map_err(|source| SettingError::Pue { setting, source })
}

pub(super) fn parse_baseline(setting: SettingSource, seconds: f64) -> Result<Duration, SettingError> {
    /// A run should not wait longer for its start.
    const MAX_BASELINE: Duration = Duration::from_secs(60);

    let baseline = Duration::try_from_secs_f64(seconds).ok().filter(|baseline| *baseline <= MAX_BASELINE);
    baseline.ok_or(SettingError::Baseline { setting, seconds })
}

pub(super) fn parse_repository(setting: SettingSource, name: &str) -> Result<RepoId, SettingError> {
    name.parse().map_err(|source| SettingError::Repository { setting, source })
}

pub(super) fn parse_number(setting: &SettingSource, value: &str) -> Result<f64, SettingError> {
    let invalid_number = |_| SettingError::Number { setting: setting.clone(), value: value.to_owned() };
    value.trim().parse().map_err(invalid_number)
}

/// The value of a valid setting. An invalid one is added to `errors` and otherwise ignored.
pub(super) fn ok_or_record<T>(
    value: Option<Result<T, SettingError>>,
    errors: &mut Vec<SettingError>,
) -> Option<T> {
    match value? {
        Ok(value) => Some(value),
        Err(error) => {
            errors.push(error);
            None
        }
    }
}
