//! Formats numbers, durations, lists and errors for reports, model cards and plots.

use std::error::Error;
use std::iter;

/// Formats a number with three significant digits, but at most nine decimals, as a plain decimal: `0.00131`, `1.5`,
/// `96`, `1234`.
///
/// All digits before the decimal point are kept; trailing zeros after it are not. Returns `None` in the same cases as
/// [`plain_decimal`].
#[must_use]
pub fn significant_digits(value: f64) -> Option<String> {
    plain_decimal(value, significant_decimals(value))
}

/// The decimals of a number with three significant digits.
fn significant_decimals(value: f64) -> usize {
    let magnitude = value.abs().log10().floor();
    let decimals = if magnitude.is_finite() { (2.0 - magnitude).clamp(0.0, 9.0) } else { 0.0 };
    // The cast is exact: an integer from 0 to 9.
    decimals as usize
}

/// Formats an estimate with three significant digits, and with more if it would otherwise lie outside its own bounds.
///
/// Returns `None` in the same cases as [`plain_decimal`].
///
/// ```
/// use sootprint_core::format::significant_digits_within;
///
/// assert_eq!(significant_digits_within(40.7, 30.0, 70.0).as_deref(), Some("40.7"));
/// assert_eq!(significant_digits_within(40.6423, 40.6421, 70.0).as_deref(), Some("40.6423"));
/// ```
#[must_use]
pub fn significant_digits_within(value: f64, low: f64, high: f64) -> Option<String> {
    let fewest = significant_decimals(value);
    let is_inside = |text: &String| text.parse().is_ok_and(|rounded: f64| (low..=high).contains(&rounded));
    let found = (fewest..=12).find_map(|decimals| plain_decimal(value, decimals).filter(is_inside));
    found.or_else(|| significant_digits(value))
}

/// Formats bounds with three significant digits, rounded outwards: the range never gets narrower.
///
/// Returns `None` in the same cases as [`plain_decimal`].
#[must_use]
pub fn bounds_digits(low: f64, high: f64) -> Option<[String; 2]> {
    Some([round_outwards(low, -1.0)?, round_outwards(high, 1.0)?])
}

/// Rounds to three significant digits in this direction: 1 is up, -1 is down.
fn round_outwards(value: f64, direction: f64) -> Option<String> {
    let decimals = significant_decimals(value);
    let nearest = plain_decimal(value, decimals)?;
    let rounded: f64 = nearest.parse().ok()?;
    if (value - rounded) * direction <= 0.0 {
        return Some(nearest);
    }
    plain_decimal((rounded + direction * 0.1_f64.powi(decimals as i32)).max(0.0), decimals)
}

/// Formats a number without exponent, sign, separators or unit, with at most `decimals` digits after the point.
///
/// The Hugging Face Hub can filter models by the emissions in their cards. The filter uses the first match of
/// `\d+\.\d+|\d+` in Python's `str(value)`, which is 1 for both `1e-05` and `1,234`. Python prints numbers below
/// 0.0001 and from 1e16 on with an exponent, regardless of the notation in the file, so emissions need `decimals` of at
/// most 4. The filter treats zero as missing, so a positive number that would round to zero becomes the smallest number
/// with this many decimals, unless `decimals` is 0.
///
/// Returns `None` for NaN, for negative numbers, and for numbers of 1e16 or more.
#[must_use]
pub fn plain_decimal(value: f64, decimals: usize) -> Option<String> {
    if !(0.0..1e16).contains(&value) {
        return None;
    }
    // The absolute value turns -0.0, which the range contains, into 0.
    let padded = format!("{:.decimals$}", value.abs());
    let digits = match decimals {
        0 => &padded,
        _ => padded.trim_end_matches('0').trim_end_matches('.'),
    };
    if decimals > 0 && digits == "0" && value > 0.0 {
        return Some(format!("0.{:0>decimals$}", 1));
    }
    Some(digits.to_owned())
}

/// Formats a number of seconds as a duration: in seconds below two minutes, in minutes below two hours, otherwise in
/// hours.
#[must_use]
pub fn format_duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7_200.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// Joins the items of a list: `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn join_list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

/// Formats an error and its sources, separated by colons: `cannot read the file: permission denied`.
///
/// The `Display` of the errors in this workspace does not repeat their source, so notes and log lines use this function.
#[must_use]
pub fn error_chain(error: &dyn Error) -> String {
    let causes = iter::successors(error.source(), |&cause| cause.source());
    iter::once(error.to_string()).chain(causes.map(ToString::to_string)).collect::<Vec<_>>().join(": ")
}

/// Formats bytes in lower-case hexadecimal.
#[must_use]
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;
    use crate::grid::ProviderError;

    #[test]
    fn hex_keeps_leading_zeros() {
        assert_eq!((hex(&[0, 10, 255]), hex(&[])), ("000aff".to_owned(), String::new()));
    }

    #[test]
    fn numbers_have_three_significant_digits() {
        let cases = [
            (0.001_305_6, "0.00131"),
            (1.5, "1.5"),
            (96.0, "96"),
            (1_234.5, "1234"),
            (0.0, "0"),
            (99.99, "100"),
        ];
        for (value, expected) in cases {
            assert_eq!(significant_digits(value).unwrap(), expected);
        }
        assert_eq!(significant_digits(f64::NAN), None);
    }

    #[test]
    fn estimates_stay_within_their_bounds() {
        for (value, low, high, expected) in [
            (296.022_2, 200.0, 400.0, "296"),
            (296.022_2, 296.01, 400.0, "296.02"),
            (0.000_136, 0.000_1, 0.001, "0.000136"),
            (1_234.5, 1_000.0, 2_000.0, "1234"),
            // No number with a few decimals lies in the range.
            (1.0 / 3.0, 1.0 / 3.0, 1.0 / 3.0, "0.333"),
            (0.5, 0.5, 0.5, "0.5"),
        ] {
            assert_eq!(significant_digits_within(value, low, high).unwrap(), expected, "{value}");
        }
        assert_eq!(significant_digits_within(f64::NAN, 0.0, 1.0), None);
    }

    #[test]
    fn bounds_are_rounded_outwards() {
        for (low, high, expected) in [
            (28.36, 68.12, ["28.3", "68.2"]),
            (30.0, 70.0, ["30", "70"]),
            (0.29, 0.29, ["0.29", "0.29"]),
            (0.0, 99.91, ["0", "100"]),
            (1_234.6, 1_234.1, ["1234", "1235"]),
            (1e-12, 1e-12, ["0", "0.000000001"]),
        ] {
            assert_eq!(bounds_digits(low, high).unwrap(), expected);
        }
        assert_eq!(bounds_digits(0.0, f64::INFINITY), None);
    }

    #[test]
    fn durations_and_lists_are_readable() {
        assert_eq!([4.66, 1_800.0, 7_200.0].map(format_duration), ["4.7 s", "30.0 min", "2.0 h"]);
        let list = |parts: &[&str]| join_list(&parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>());
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
    }

    #[test]
    fn error_chain_includes_sources() {
        let source = Box::new(io::Error::other("no route"));
        let error = ProviderError::Unreachable { provider: "a test".to_owned(), source };
        assert!(error_chain(&error).starts_with("cannot reach a test ("), "{error}");
        assert!(error_chain(&error).ends_with("): no route"), "{error}");
    }

    #[test]
    fn decimals_have_no_exponent() {
        let grams = |value| plain_decimal(value, 4).unwrap();
        assert_eq!(grams(1.234_56), "1.2346");
        assert_eq!(grams(17.0), "17");
        assert_eq!(grams(120.5), "120.5");
        assert_eq!(grams(100.0), "100");
        assert_eq!(grams(24_690_000.0), "24690000");
        assert_eq!(grams(1e15), "1000000000000000");
        assert_eq!(
            (plain_decimal(100.2, 0).unwrap(), plain_decimal(0.0, 0).unwrap()),
            ("100".into(), "0".into())
        );
    }

    #[test]
    fn tiny_values_round_up_to_smallest() {
        let grams = |value| plain_decimal(value, 4).unwrap();
        assert_eq!(grams(0.000_06), "0.0001");
        assert_eq!(grams(0.000_049), "0.0001");
        assert_eq!(grams(f64::MIN_POSITIVE), "0.0001");
        assert_eq!(plain_decimal(1e-12, 9).unwrap(), "0.000000001");
        assert_eq!(grams(0.0), "0");
        assert_eq!(grams(-0.0), "0");
    }
}
