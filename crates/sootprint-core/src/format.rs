//! Numbers, durations and lists as people read them, in reports, cards and pictures.

/// A number with three digits that count, as a plain decimal: `0.00131`, `1.5`, `96`, `1200`.
#[must_use]
pub fn significant_digits(value: f64) -> Option<String> {
    let magnitude = value.abs().log10().floor();
    let decimals = if magnitude.is_finite() { (2.0 - magnitude).clamp(0.0, 9.0) } else { 0.0 };
    // The cast is exact: a whole number from 0 to 9.
    plain_decimal(value, decimals as usize)
}

/// A number without exponent, sign, separators or unit, with at most `decimals` digits behind the point.
///
/// The Hub's filter takes the first match of `\d+\.\d+|\d+` in Python's `str(value)`: 1 of `1e-05`, 1 of `1,234`.
/// Python prints what is below 0.0001 or not below 1e16 with an exponent, whatever the file says, and reads zero
/// as missing. So a positive number that the digits cannot show becomes the smallest that they can.
///
/// None for what is negative, infinite, no number, or 1e16 and more.
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

/// A time as people say it: seconds, minutes from two, hours from two.
#[must_use]
pub fn format_duration(seconds: f64) -> String {
    match seconds {
        seconds if seconds < 120.0 => format!("{seconds:.1} s"),
        seconds if seconds < 7_200.0 => format!("{:.1} min", seconds / 60.0),
        seconds => format!("{:.1} h", seconds / 3_600.0),
    }
}

/// `a`, `a and b`, `a, b and c`.
#[must_use]
pub fn join_list(parts: &[String]) -> String {
    match parts {
        [] => String::new(),
        [only] => only.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        for (value, wanted) in cases {
            assert_eq!(significant_digits(value).unwrap(), wanted);
        }
        assert_eq!(significant_digits(f64::NAN), None);
    }

    #[test]
    fn durations_and_lists_are_readable() {
        assert_eq!([4.66, 1_800.0, 7_200.0].map(format_duration), ["4.7 s", "30.0 min", "2.0 h"]);
        let list = |parts: &[&str]| join_list(&parts.iter().map(|&part| part.to_owned()).collect::<Vec<_>>());
        assert_eq!([list(&["a"]), list(&["a", "b"]), list(&["a", "b", "c"])], ["a", "a and b", "a, b and c"]);
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
