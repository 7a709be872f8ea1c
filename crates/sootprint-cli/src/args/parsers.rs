//! From words to values, with the reason where there is none.

use std::path::PathBuf;

use jiff::Timestamp;
use sootprint::{CarbonIntensity, IntensityError, IntensitySeries, Pue, PueError};

pub(crate) fn parse_intensity(text: &str) -> Result<CarbonIntensity, String> {
    let grams = parse_number(text)?;
    CarbonIntensity::try_from_grams_per_kilowatt_hour(grams)
        .map_err(|error: IntensityError| error.to_string())
}

pub(crate) fn parse_series(path: &str) -> Result<IntensitySeries, String> {
    IntensitySeries::from_csv_file(path.as_ref()).map_err(|error| error.to_string())
}

pub(crate) fn current_year() -> u16 {
    u16::try_from(Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year()).unwrap_or_default()
}

pub(crate) fn parse_pue(text: &str) -> Result<Pue, String> {
    let factor = parse_number(text)?;
    Pue::new(factor).map_err(|error: PueError| error.to_string())
}

fn parse_number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "it is no number; write it with a point, as in 1.1".to_owned())
}

/// A name of the wrong shape is found now rather than after days of training; the rest is the Hub's to say.
pub(crate) fn parse_repository(text: &str) -> Result<String, &'static str> {
    let is_part = |part: &str| !part.is_empty() && !part.contains('/');
    match text.split_once('/') {
        Some((owner, name)) if is_part(owner) && is_part(name) => Ok(text.to_owned()),
        _ => Err("write it as `owner/name`"),
    }
}

/// A picture of another kind than its name says would be opened by nobody.
pub(crate) fn parse_png_path(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    let is_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png { Ok(path) } else { Err("the picture is a PNG; name it so, as in power.png") }
}
