//! The grams that a card's author wrote, against those that the Hub's filter finds.

use sootprint_core::format::plain_decimal;

use super::pyyaml::PyValue;
use crate::number::first_number;

/// Units that cards name, in grams: the whole word, without `CO2`, `eq` and the like behind it.
const UNIT_FACTORS: [(&str, f64); 13] = [
    ("g", 1.0),
    ("gram", 1.0),
    ("grams", 1.0),
    ("mg", 1e-3),
    ("kg", 1e3),
    ("kgs", 1e3),
    ("kilogram", 1e3),
    ("kilograms", 1e3),
    ("t", 1e6),
    ("ton", 1e6),
    ("tons", 1e6),
    ("tonne", 1e6),
    ("tonnes", 1e6),
];

/// An amount as it is written and as it is read.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EmissionsValue {
    /// The grams that the author means, where the text leaves no doubt.
    pub(super) intended: Option<f64>,
    /// The grams that the Hub's filter compares; none when it passes the model over.
    pub(super) hub_value: Option<f64>,
    /// Why the two differ, or why nobody knows what was meant.
    pub(super) mismatch: Option<String>,
}

impl EmissionsValue {
    /// Of a scalar's text and of what Python makes of it.
    pub(super) fn parse(text: &str, py_value: &PyValue) -> Self {
        let text = text.trim();
        let py_str = py_value.to_py_str();
        let hub_value = if py_value.is_falsy() { None } else { first_number(&py_str) };
        let intended = parse_intended_grams(text);
        let mismatch = match (&intended, hub_value) {
            (Ok(grams), Some(read)) if approx_equal(*grams, read) => None,
            // Zero is written and read as nothing; that is the Hub's way and no mistake of the card's.
            (Ok(grams), None) if *grams == 0.0 => None,
            (Ok(grams), _) if *grams < 0.0 => Some("knows no signs; emissions are not negative".to_owned()),
            (Ok(grams), _) => Some(mismatch_reason(text, &py_str, *grams)),
            (Err(reason), _) => Some((*reason).to_owned()),
        };
        Self { intended: intended.ok(), hub_value, mismatch }
    }
}

/// The words behind "the filter …".
fn mismatch_reason(text: &str, py_str: &str, grams: f64) -> String {
    let cause = if is_plain_number(text) && text != py_str {
        format!("sees what Python prints, `{py_str}`")
    } else if text.contains(['e', 'E'])
        && text.contains(|it: char| it.is_ascii_digit())
        && unit_factor(text).is_none()
    {
        "knows no exponents".to_owned()
    } else {
        "knows no units but grams".to_owned()
    };
    match plain_decimal(grams, 4) {
        Some(plain) => format!("{cause}; write {plain}"),
        None => cause,
    }
}

/// The grams that a text says, or why it does not say them.
fn parse_intended_grams(text: &str) -> Result<f64, &'static str> {
    let start = text.trim_start_matches(['~', '<', '>', '≈', '=', ' ']);
    let (number, rest) = start.split_at(number_end(start));
    if !number.contains(|it: char| it.is_ascii_digit()) {
        return Err("finds no number; write grams, as in 12.3");
    }
    if number.contains(',') {
        return Err("stops at the comma; write digits and a point alone");
    }
    if number.contains('_') {
        return Err(
            "knows no underscores, and YAML's parsers disagree about them; write digits and a point alone",
        );
    }
    if number.contains(':') {
        return Err("gets a number that Python's YAML counts in sixties; write grams, as in 12.3");
    }
    if has_leading_zero(number) {
        return Err(
            "gets a number that Python's YAML takes for an octal one; write it without the leading 0",
        );
    }
    if rest.starts_with(['-', '–', '/', '.']) || contains_number(rest) {
        return Err("takes the first of several numbers; write one");
    }
    let value: f64 = number.parse().map_err(|_| "takes the first digits of it; write grams, as in 12.3")?;
    match (rest.trim().is_empty(), unit_factor(rest)) {
        (true, _) => Ok(value),
        (false, Some(factor)) => Ok(value * factor),
        (false, None) => Err("knows no units; write grams, as in 12.3"),
    }
}

/// The end of what looks like a number: digits, separators, a sign in front, an exponent.
fn number_end(text: &str) -> usize {
    let bytes = text.as_bytes();
    let is_digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let mut end = usize::from(text.starts_with(['-', '+']));
    while let Some(byte) = bytes.get(end) {
        let is_exponent = matches!(byte, b'e' | b'E')
            && end > 0
            && (is_digit(end + 1) || (matches!(bytes.get(end + 1), Some(b'-' | b'+')) && is_digit(end + 2)));
        match byte {
            b'0'..=b'9' | b'.' | b'_' => end += 1,
            b',' | b':' if is_digit(end + 1) => end += 1,
            _ if is_exponent => end += 2,
            _ => break,
        }
    }
    end
}

/// `012`, which is ten to Python's YAML.
fn has_leading_zero(number: &str) -> bool {
    let digits = number.trim_start_matches(['-', '+']);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|it| it.is_ascii_digit())
}

/// Whether another number follows: the 2 of `CO2` is none.
fn contains_number(rest: &str) -> bool {
    let mut before = ' ';
    for letter in rest.chars() {
        if letter.is_ascii_digit() && !before.is_alphanumeric() {
            return true;
        }
        before = letter;
    }
    false
}

/// The factor of the first word, without the gas that may follow it directly.
fn unit_factor(rest: &str) -> Option<f64> {
    let words = rest.trim_start_matches(|it: char| !it.is_ascii_alphabetic()).to_ascii_lowercase();
    let word = words.split(|it: char| !it.is_ascii_alphanumeric()).next().unwrap_or_default();
    let word = word.split_once("co2").map_or(word, |(unit, _)| unit);
    UNIT_FACTORS.iter().find(|(name, _)| *name == word).map(|(_, factor)| *factor)
}

fn is_plain_number(text: &str) -> bool {
    text.parse::<f64>().is_ok() && !text.contains(['e', 'E'])
}

/// Python and Rust read the same digits as the same number.
fn approx_equal(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-12 * one.abs()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse_plain(text: &str) -> EmissionsValue {
        EmissionsValue::parse(text, &PyValue::from_plain_scalar(text))
    }

    #[test]
    fn matching_values_have_no_mismatch() {
        for (text, grams) in [
            ("12.3", 12.3),
            ("0.0001", 0.0001),
            ("25.447577064303335", 25.447577064303335),
            ("1710", 1710.0),
            ("17g", 17.0),
            ("17 grams", 17.0),
            ("17 g CO2eq", 17.0),
            ("17 gCO2e", 17.0),
            ("~ 5 g", 5.0),
            (".5", 0.5),
            ("5.", 5.0),
            ("+3.5", 3.5),
            ("1.2e+3", 1200.0),
        ] {
            let found = parse_plain(text);
            assert_eq!(
                (found.intended, found.hub_value, &found.mismatch),
                (Some(grams), Some(grams), &None),
                "{text}"
            );
        }
        assert_eq!(parse_plain("0"), EmissionsValue { intended: Some(0.0), hub_value: None, mismatch: None });
    }

    #[test]
    fn misread_values_explain_the_fix() {
        for (text, filtered, fault) in [
            ("0.00001", Some(1.0), "sees what Python prints, `1e-05`; write 0.0001"),
            ("1.2e-05", Some(1.2), "knows no exponents; write 0.0001"),
            ("1.2e3", Some(1.2), "knows no exponents; write 1200"),
            ("2.5E3", Some(2.5), "knows no exponents; write 2500"),
            ("1,234", Some(1.0), "stops at the comma"),
            ("1_000", Some(1000.0), "disagree"),
            ("-3.5", Some(3.5), "knows no signs"),
            ("0.5 kg", Some(0.5), "knows no units but grams; write 500"),
            ("0.5kg CO2e", Some(0.5), "write 500"),
            ("24.7 t", Some(24.7), "write 24700000"),
            ("2 tonnes of CO2", Some(2.0), "write 2000000"),
            ("< 5 kg", Some(5.0), "write 5000"),
            ("5 lbs", Some(5.0), "knows no units;"),
            ("012", Some(10.0), "octal"),
            ("0o14", Some(0.0), "knows no units;"),
            ("1:30", Some(90.0), "sixties"),
            ("5-10 g", Some(5.0), "several numbers"),
            ("between 5 and 10", Some(5.0), "finds no number"),
            ("unknown", None, "finds no number"),
            ("no", None, "finds no number"),
            ("20000000000000000.0", Some(2.0), "sees what Python prints, `2e+16`"),
        ] {
            let found = parse_plain(text);
            assert_eq!(found.hub_value, filtered, "{text}");
            assert!(found.mismatch.as_ref().is_some_and(|it| it.contains(fault)), "{text}: {found:?}");
        }
    }
}
