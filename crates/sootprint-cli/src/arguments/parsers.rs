//! From words to values, with the reason where there is none.

use std::path::PathBuf;

use jiff::Timestamp;
use sootprint::{CarbonIntensity, IntensityError, Pue, PueError, Series};

pub(crate) fn intensity(text: &str) -> Result<CarbonIntensity, String> {
    let grams = number(text)?;
    CarbonIntensity::given(grams).map_err(|error: IntensityError| error.to_string())
}

pub(crate) fn series(path: &str) -> Result<Series, String> {
    Series::from_csv_file(path.as_ref()).map_err(|error| error.to_string())
}

pub(crate) fn this_year() -> u16 {
    u16::try_from(Timestamp::now().to_zoned(jiff::tz::TimeZone::UTC).year()).unwrap_or_default()
}

pub(crate) fn pue(text: &str) -> Result<Pue, String> {
    let factor = number(text)?;
    Pue::new(factor).map_err(|error: PueError| error.to_string())
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| "it is no number; write it with a point, as in 1.1".to_owned())
}

/// A name of the wrong shape is found now rather than after days of training; the rest is the Hub's to say.
pub(crate) fn repository(text: &str) -> Result<String, &'static str> {
    let is_part = |part: &str| !part.is_empty() && !part.contains('/');
    match text.split_once('/') {
        Some((owner, name)) if is_part(owner) && is_part(name) => Ok(text.to_owned()),
        _ => Err("write it as `owner/name`"),
    }
}

/// A picture of another kind than its name says would be opened by nobody.
pub(crate) fn picture(text: &str) -> Result<PathBuf, &'static str> {
    let path = PathBuf::from(text);
    let is_png = path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("png"));
    if is_png { Ok(path) } else { Err("the picture is a PNG; name it so, as in power.png") }
}
