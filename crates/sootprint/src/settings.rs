//! What a run is told from outside: arguments over environment.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use crate::clock::VirtualClock;
use crate::facility::{Pue, PueError};
use crate::grid::{Answer, IntensityError, Origin};
use crate::place::{Place, PlaceError};
use crate::source::{Replay, ReplayError};
use crate::units::CarbonIntensity;

/// What the caller says; the environment fills what is left open.
#[derive(Debug, Clone, Default)]
pub(crate) struct Arguments {
    pub(crate) place: Option<Place>,
    pub(crate) intensity: Option<CarbonIntensity>,
    pub(crate) pue: Option<Pue>,
    pub(crate) replay: Option<Replay>,
    pub(crate) nvml: Option<OsString>,
    pub(crate) clock: Option<VirtualClock>,
    /// How long the hardware is measured at rest before the run begins.
    pub(crate) baseline: Option<Duration>,
}

/// All that a run needs to know, and the settings that could not be taken.
#[derive(Debug)]
pub(crate) struct Settings {
    /// `SOOTPRINT=off`: nothing is read, written or started.
    pub(crate) is_off: bool,
    pub(crate) grid: Answer,
    pub(crate) pue: Pue,
    pub(crate) replay: Option<Replay>,
    /// The path of the NVML library when it is not the system's.
    pub(crate) nvml: Option<OsString>,
    pub(crate) clock: Option<VirtualClock>,
    pub(crate) baseline: Option<Duration>,
    /// Each was left out; a run that was started with `try_start` does not begin with one.
    pub(crate) problems: Vec<SettingError>,
}

impl Settings {
    /// With the variables of this process.
    pub(crate) fn from_environment(arguments: Arguments) -> Self {
        Self::resolve(arguments, |name| std::env::var_os(name).filter(|value| !value.is_empty()))
    }

    fn resolve(arguments: Arguments, variable: impl Fn(&str) -> Option<OsString>) -> Self {
        let text = |name| variable(name).map(|value| value.to_string_lossy().into_owned());
        let mut problems = Vec::new();
        let place = text("SOOTPRINT_PLACE").map(|name| name.parse().map_err(SettingError::Place));
        let place = taken(place, &mut problems);
        let intensity = taken(text("SOOTPRINT_INTENSITY").as_deref().map(parse_intensity), &mut problems);
        let pue = taken(text("SOOTPRINT_PUE").as_deref().map(parse_pue), &mut problems);
        let replay = variable("SOOTPRINT_REPLAY")
            .map(|path| Replay::from_file(&PathBuf::from(path)).map_err(SettingError::Replay));
        let replay = taken(replay, &mut problems);
        Self {
            is_off: text("SOOTPRINT").is_some_and(|value| value.eq_ignore_ascii_case("off")),
            grid: grid(&arguments, place, intensity),
            pue: arguments.pue.or(pue).unwrap_or(Pue::ASSUMED),
            replay: arguments.replay.or(replay),
            nvml: arguments.nvml.or_else(|| variable("SOOTPRINT_NVML")),
            clock: arguments.clock,
            baseline: arguments.baseline,
            problems,
        }
    }
}

/// An intensity that was given beats a table's, and an argument beats the environment.
fn grid(arguments: &Arguments, place: Option<Place>, intensity: Option<CarbonIntensity>) -> Answer {
    let zone = arguments.place.or(place).map(Place::zone);
    match (arguments.intensity, arguments.place, intensity, place) {
        (Some(given), ..) => Answer::given(given, zone, Origin::Argument),
        (None, Some(place), ..) => place.intensity(Origin::Argument),
        (None, None, Some(given), _) => Answer::given(given, zone, Origin::Environment),
        (None, None, None, Some(place)) => place.intensity(Origin::Environment),
        (None, None, None, None) => Answer::anywhere(),
    }
}

fn parse_intensity(value: &str) -> Result<CarbonIntensity, SettingError> {
    let grams = number("SOOTPRINT_INTENSITY", value)?;
    CarbonIntensity::given(grams).map_err(SettingError::Intensity)
}

fn parse_pue(value: &str) -> Result<Pue, SettingError> {
    let factor = number("SOOTPRINT_PUE", value)?;
    Pue::new(factor).map(Pue::said_by_environment).map_err(SettingError::Pue)
}

fn number(variable: &'static str, value: &str) -> Result<f64, SettingError> {
    value.trim().parse().map_err(|_| SettingError::Number { variable, value: value.to_owned() })
}

/// The value of a variable that is set and right; what is wrong joins the problems.
fn taken<T>(value: Option<Result<T, SettingError>>, problems: &mut Vec<SettingError>) -> Option<T> {
    match value? {
        Ok(value) => Some(value),
        Err(problem) => {
            problems.push(problem);
            None
        }
    }
}

/// A variable that cannot be taken.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingError {
    /// It should be a number.
    #[error("{variable} is `{value}`, which is no number; write it with a point, as in 1.1")]
    Number {
        /// The variable.
        variable: &'static str,
        /// Its value.
        value: String,
    },
    /// It names no place.
    #[error("SOOTPRINT_PLACE: {0}")]
    Place(#[source] PlaceError),
    /// It is no carbon intensity.
    #[error("SOOTPRINT_INTENSITY: {0}")]
    Intensity(#[source] IntensityError),
    /// It is no PUE.
    #[error("SOOTPRINT_PUE: {0}")]
    Pue(#[source] PueError),
    /// It names no script.
    #[error("SOOTPRINT_REPLAY: {0}")]
    Replay(#[source] ReplayError),
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "figures are copied, not computed")]
mod tests {
    use super::*;
    use crate::facility::PueOrigin;

    fn resolve(arguments: Arguments, variables: &[(&str, &str)]) -> Settings {
        Settings::resolve(arguments, |name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn arguments_beat_the_environment_and_each_says_its_origin() {
        let variables = [("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_PUE", "1.2")];
        let settings = resolve(Arguments::default(), &variables);
        assert_eq!((settings.grid.zone.as_deref(), settings.grid.origin), (Some("FR"), Origin::Environment));
        assert_eq!((settings.pue.factor(), settings.pue.origin), (1.2, PueOrigin::Environment));

        let arguments =
            Arguments { place: "Germany".parse().ok(), pue: Pue::new(1.05).ok(), ..Arguments::default() };
        let settings = resolve(arguments, &variables);
        assert_eq!((settings.grid.zone.as_deref(), settings.grid.origin), (Some("DE"), Origin::Argument));
        assert_eq!((settings.pue.factor(), settings.pue.origin), (1.05, PueOrigin::Argument));
    }

    #[test]
    fn a_given_intensity_stands_for_the_named_place() {
        let settings =
            resolve(Arguments::default(), &[("SOOTPRINT_PLACE", "FR"), ("SOOTPRINT_INTENSITY", "12.5")]);
        assert_eq!(settings.grid.intensity.grams_per_kilowatt_hour(), 12.5);
        assert_eq!((settings.grid.zone.as_deref(), settings.grid.year), (Some("FR"), None));
    }

    #[test]
    fn nothing_said_is_said() {
        let settings = resolve(Arguments::default(), &[]);
        assert_eq!((settings.grid.origin, settings.pue), (Origin::Unknown, Pue::ASSUMED));
        assert!(!settings.is_off && settings.problems.is_empty());
        assert!(resolve(Arguments::default(), &[("SOOTPRINT", "off")]).is_off);
    }

    #[test]
    fn each_wrong_variable_is_named_and_left_out() {
        let variables = [
            ("SOOTPRINT_PLACE", "Atlantis"),
            ("SOOTPRINT_INTENSITY", "many"),
            ("SOOTPRINT_PUE", "0.5"),
            ("SOOTPRINT_REPLAY", "/nowhere/script.json"),
        ];
        let settings = resolve(Arguments::default(), &variables);
        let problems: Vec<String> = settings.problems.iter().map(ToString::to_string).collect();
        for ((variable, value), problem) in variables.iter().zip(&problems) {
            assert!(problem.contains(variable) && problem.contains(value), "{problem}");
        }
        assert_eq!(problems.len(), variables.len());
        assert_eq!((settings.grid.origin, settings.pue), (Origin::Unknown, Pue::ASSUMED));
    }
}
