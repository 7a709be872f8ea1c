//! Parsers of option values; a failure returns the reason that clap prints.

use std::path::PathBuf;
use std::time::Duration;

use sootprint::{CarbonIntensity, IntensitySeries, Pue};

use crate::error_text::describe_error;

pub(crate) fn parse_intensity(text: &str) -> Result<CarbonIntensity, String> {
    let grams = parse_number(text)?;
    CarbonIntensity::try_from_grams_per_kilowatt_hour(grams).map_err(|error| describe_error(&error))
}

pub(crate) fn parse_series(path: &str) -> Result<IntensitySeries, String> {
    IntensitySeries::from_csv_file(path.as_ref()).map_err(|error| describe_error(&error))
}

pub(crate) fn parse_pue(text: &str) -> Result<Pue, String> {
    let factor = parse_number(text)?;
    Pue::new(factor).map_err(|error| describe_error(&error))
}

/// A run should not wait longer than a minute for its start.
pub(crate) fn parse_baseline(text: &str) -> Result<Duration, String> {
    let seconds = Duration::try_from_secs_f64(parse_number(text)?).map_err(|error| error.to_string())?;
    if seconds <= Duration::from_secs(60) {
        Ok(seconds)
    } else {
        Err("must be at most 60 seconds".to_owned())
    }
}

fn parse_number(text: &str) -> Result<f64, &'static str> {
    text.parse().map_err(|_| "invalid number, expected e.g. 1.1")
}

/// The plot is always a PNG; another extension would hide it from image viewers.
pub(crate) fn parse_png_path(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    let is_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png { Ok(path) } else { Err("the plot is written as PNG; use a name such as power.png") }
}
