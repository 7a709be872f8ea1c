//! Compares the grams that an author wrote with those that the Hub's filter finds.

use sootprint_core::Co2e;

use crate::emissions_block::{MIN_GRAMS, grams_text};
use crate::number::{digit_value, first_number};
use crate::python_value::PyValue;

/// Units in cards, in grams: the whole word, without a following `CO2`, `eq` or similar.
const UNIT_FACTORS: [(&str, f64); 17] = [
    ("g", 1.0),
    ("gram", 1.0),
    ("grams", 1.0),
    ("gramme", 1.0),
    ("grammes", 1.0),
    ("mg", 1e-3),
    ("µg", 1e-6),
    ("μg", 1e-6),
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

/// An amount as intended by its author and as read by the Hub.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EmissionsValue {
    /// The intended grams, if the text is unambiguous.
    pub(crate) intended: Option<f64>,
    /// The grams that the Hub's filter compares; `None` if it skips the model.
    pub(crate) hub_value: Option<f64>,
    /// Why the two differ, or why the text is ambiguous.
    pub(crate) mismatch: Option<String>,
}

impl EmissionsValue {
    /// Compares the text of a scalar with the value that Python reads from it.
    pub(crate) fn parse(text: &str, py_value: &PyValue) -> Self {
        let text = text.trim();
        let py_str = py_value.to_py_str();
        let hub_value = if py_value.is_falsy() { None } else { first_number(&py_str) };
        let intended = parse_intended_grams(text);
        let mismatch = match (&intended, hub_value) {
            (Ok(grams), Some(read)) if approx_equal(*grams, read) => None,
            // The Hub treats zero as missing; the card is correct.
            (Ok(grams), None) if *grams == 0.0 => None,
            (Ok(grams), _) if *grams < 0.0 => {
                Some("signs are ignored; emissions cannot be negative".to_owned())
            }
            (Ok(grams), _) => Some(mismatch_reason(text, &py_str, *grams)),
            (Err(reason), _) => Some((*reason).to_owned()),
        };
        Self { intended: intended.ok(), hub_value, mismatch }
    }
}

/// Why the filter reads another number, and the number to write.
fn mismatch_reason(text: &str, py_str: &str, grams: f64) -> String {
    let cause = if is_plain_number(text) && text != py_str {
        format!("Python prints it as `{py_str}`")
    } else if text.contains(['e', 'E'])
        && text.contains(|it: char| it.is_ascii_digit())
        && unit_factor(text).is_none()
    {
        "exponents are ignored".to_owned()
    } else {
        "units other than grams are ignored".to_owned()
    };
    match grams_text(Co2e::from_grams(grams)) {
        Some(_) if grams < MIN_GRAMS => {
            format!("{cause}; write {MIN_GRAMS}, the smallest number that the filter reads")
        }
        Some(plain) => format!("{cause}; write {plain}"),
        None => cause,
    }
}

/// The grams that a text states, or why they are ambiguous.
fn parse_intended_grams(text: &str) -> Result<f64, &'static str> {
    let start = without_qualifier(text).trim_start_matches(['~', '<', '>', '≈', '=', ' ']);
    let (number, rest) = start.split_at(number_end(start));
    if start.starts_with(|it: char| !it.is_ascii() && digit_value(it).is_some()) {
        return Err("other programs do not read digits of this script; write grams, as in 12.3");
    }
    if !number.contains(|it: char| it.is_ascii_digit()) {
        return Err("the value does not start with a number; write grams, as in 12.3");
    }
    if number.contains(',') {
        return Err("parsing stops at the comma; write only digits and a decimal point");
    }
    if number.contains('_') {
        return Err("YAML parsers disagree about underscores; write only digits and a decimal point");
    }
    if number.contains(':') {
        return Err("Python's YAML reads it as a sexagesimal number; write grams, as in 12.3");
    }
    if has_leading_zero(number) {
        return Err("Python's YAML reads it as an octal number; write it without the leading 0");
    }
    if rest.starts_with(['-', '–', '/', '.']) || contains_number(rest) {
        return Err("only the first of several numbers is used; write one number");
    }
    if number.contains(['e', 'E'])
        && number.parse::<f64>().is_ok_and(|value| !value.is_finite() || value == 0.0)
    {
        return Err("exponents are ignored; write grams, as in 12.3");
    }
    let value: f64 = number.parse().map_err(|_| "only the first digits are used; write grams, as in 12.3")?;
    match (rest.trim().is_empty(), unit_factor(rest)) {
        (true, _) => Ok(value),
        (false, Some(factor)) => Ok(value * factor),
        (false, None) => Err("units are ignored; write grams, as in 12.3"),
    }
}

/// The text without a word that only says how exact the number is.
fn without_qualifier(text: &str) -> &str {
    const QUALIFIERS: [&str; 7] =
        ["about ", "approximately ", "approx. ", "around ", "ca. ", "circa ", "roughly "];
    let found = QUALIFIERS
        .iter()
        .find(|word| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word)));
    found.map_or(text, |word| &text[word.len()..])
}

/// The end of a number-like prefix: a sign, digits, separators, an exponent.
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

/// Whether Python's YAML reads an octal number, such as `012` for ten.
fn has_leading_zero(number: &str) -> bool {
    let digits = number.trim_start_matches(['-', '+']);
    digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|it| it.is_ascii_digit())
}

/// Whether another number follows. The 2 of `CO2` does not count.
fn contains_number(rest: &str) -> bool {
    let mut before = ' ';
    for letter in rest.chars() {
        if digit_value(letter).is_some() && !before.is_alphanumeric() {
            return true;
        }
        before = letter;
    }
    false
}

/// The factor of the first word, without a gas that follows it directly.
fn unit_factor(rest: &str) -> Option<f64> {
    let words = rest.trim_start_matches(|it: char| !it.is_alphabetic()).to_lowercase().replace('₂', "2");
    let word = words.split(|it: char| !it.is_alphanumeric()).next().unwrap_or_default();
    let word = word.split_once("co2").map_or(word, |(unit, _)| unit);
    UNIT_FACTORS.iter().find(|(name, _)| *name == word).map(|(_, factor)| *factor)
}

fn is_plain_number(text: &str) -> bool {
    text.parse::<f64>().is_ok() && !text.contains(['e', 'E'])
}

/// Equal up to rounding in parsing and printing.
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
            ("about 5 g", 5.0),
            ("5 gCO₂eq", 5.0),
            ("5 grammes", 5.0),
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
            ("0.00001", Some(1.0), "Python prints it as `1e-05`; write 0.0001"),
            ("1.2e-05", Some(1.2), "exponents are ignored; write 0.0001"),
            ("136 µg", Some(136.0), "units other than grams are ignored; write 0.000136"),
            ("1.2e3", Some(1.2), "exponents are ignored; write 1200"),
            ("2.5E3", Some(2.5), "exponents are ignored; write 2500"),
            ("1,234", Some(1.0), "stops at the comma"),
            ("1_000", Some(1000.0), "disagree"),
            ("-3.5", Some(3.5), "signs are ignored"),
            ("0.5 kg", Some(0.5), "units other than grams are ignored; write 500"),
            ("0.5kg CO2e", Some(0.5), "write 500"),
            ("24.7 t", Some(24.7), "write 24700000"),
            ("2 tonnes of CO2", Some(2.0), "write 2000000"),
            ("< 5 kg", Some(5.0), "write 5000"),
            ("5 lbs", Some(5.0), "units are ignored;"),
            ("１２", Some(12.0), "digits of this script"),
            ("5 µg", Some(5.0), "units other than grams are ignored"),
            ("1e400", Some(1.0), "exponents are ignored"),
            ("0x10", Some(16.0), "units are ignored;"),
            ("012", Some(10.0), "octal"),
            ("0o14", Some(0.0), "units are ignored;"),
            ("1:30", Some(90.0), "sexagesimal"),
            ("5-10 g", Some(5.0), "several numbers"),
            ("between 5 and 10", Some(5.0), "does not start with"),
            ("unknown", None, "does not start with"),
            ("no", None, "does not start with"),
            ("20000000000000000.0", Some(2.0), "Python prints it as `2e+16`"),
        ] {
            let found = parse_plain(text);
            assert_eq!(found.hub_value, filtered, "{text}");
            assert!(found.mismatch.as_ref().is_some_and(|it| it.contains(fault)), "{text}: {found:?}");
        }
    }
}
