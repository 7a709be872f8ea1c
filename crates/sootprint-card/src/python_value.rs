//! The values that Python reads from YAML, and their `str`, by PyYAML's rules, which are those of YAML 1.1.

use std::ops::RangeInclusive;

use saphyr_parser::ScalarStyle;

use crate::yaml::{NodeKind, YamlDocument};

/// A value in Python.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum PyValue {
    Str(String),
    Int(i128),
    Float(f64),
    Bool(bool),
    None,
    /// A date, possibly with a time. Its `str` starts with the text as written.
    Date(String),
}

impl PyValue {
    /// The value of a scalar without quotes.
    pub(crate) fn from_plain_scalar(text: &str) -> Self {
        match text {
            "" | "~" | "null" | "Null" | "NULL" => return Self::None,
            "yes" | "Yes" | "YES" | "true" | "True" | "TRUE" | "on" | "On" | "ON" => return Self::Bool(true),
            "no" | "No" | "NO" | "false" | "False" | "FALSE" | "off" | "Off" | "OFF" => {
                return Self::Bool(false);
            }
            _ => {}
        }
        if Timestamp::parse(text).is_some() {
            return Self::Date(text.to_owned());
        }
        let number =
            if has_misplaced_underscore(text) { None } else { parse_int(text).or_else(|| parse_float(text)) };
        number.unwrap_or_else(|| Self::Str(text.to_owned()))
    }

    /// Python's `str(value)`.
    pub(crate) fn to_py_str(&self) -> String {
        match self {
            Self::Str(text) | Self::Date(text) => text.clone(),
            Self::Int(number) => number.to_string(),
            Self::Float(number) => float_repr(*number),
            Self::Bool(true) => "True".to_owned(),
            Self::Bool(false) => "False".to_owned(),
            Self::None => "None".to_owned(),
        }
    }

    /// Whether `not value` is true in Python.
    pub(crate) fn is_falsy(&self) -> bool {
        match self {
            Self::Str(text) => text.is_empty(),
            Self::Int(number) => *number == 0,
            Self::Float(number) => *number == 0.0,
            Self::Bool(is_true) => !is_true,
            Self::None => true,
            Self::Date(_) => false,
        }
    }

    /// The type for messages, with its article; `None` for a text.
    pub(crate) const fn type_description(&self) -> Option<&'static str> {
        match self {
            Self::Str(_) => None,
            Self::Int(_) | Self::Float(_) => Some("a number"),
            Self::Bool(true) => Some("the boolean True"),
            Self::Bool(false) => Some("the boolean False"),
            Self::None => Some("null"),
            Self::Date(_) => Some("a date"),
        }
    }
}

/// The value that Python reads from a node; `None` for a list or a mapping.
pub(crate) fn py_value(document: &YamlDocument, node: usize) -> Option<PyValue> {
    match &document.nodes.get(node)?.kind {
        NodeKind::Scalar(text, ScalarStyle::Plain) => Some(PyValue::from_plain_scalar(text)),
        NodeKind::Scalar(text, _) => Some(PyValue::Str(text.clone())),
        _ => None,
    }
}

/// Python's `str` of a node, with the `repr` of the items of lists and mappings. Nesting beyond a few levels is left out.
pub(crate) fn py_str(document: &YamlDocument, node: usize) -> String {
    match py_value(document, node) {
        Some(value) => value.to_py_str(),
        None => collection_repr(document, node, 0),
    }
}

/// The node of a key, which may be in a mapping merged by `<<`.
pub(crate) fn resolve_key(document: &YamlDocument, mapping: usize, key: &str) -> Option<usize> {
    resolve_key_at(document, mapping, key, 0)
}

/// Deep nesting is not followed: an anchor may refer to a mapping that contains it.
const MAX_DEPTH: u32 = 8;

fn resolve_key_at(document: &YamlDocument, mapping: usize, key: &str, depth: u32) -> Option<usize> {
    if depth > MAX_DEPTH {
        return None;
    }
    let named = |name: &str| {
        let entries: Vec<_> = document.entries(mapping).collect();
        let found = entries.into_iter().filter(move |entry| document.entry_key(*entry) == Some(name));
        found.map(|entry| document.resolve_alias(entry.value)).collect::<Vec<_>>()
    };
    if let Some(own) = named(key).first() {
        return Some(*own);
    }
    let merged = named("<<").into_iter().flat_map(|value| match document.nodes.get(value) {
        Some(node) if node.kind == NodeKind::Sequence => items(document, value),
        _ => vec![value],
    });
    merged.into_iter().find_map(|value| resolve_key_at(document, value, key, depth + 1))
}

/// The items of a list.
fn items(document: &YamlDocument, list: usize) -> Vec<usize> {
    let end = document.nodes.get(list).map_or(list, |node| node.end);
    let mut items = Vec::new();
    let mut at = list + 1;
    while at < end {
        items.push(document.resolve_alias(at));
        at = document.nodes.get(at).map_or(end, |node| node.end);
    }
    items
}

fn collection_repr(document: &YamlDocument, node: usize, depth: u32) -> String {
    if depth > MAX_DEPTH {
        return "...".to_owned();
    }
    let item_repr = |node: usize| match py_value(document, node) {
        Some(PyValue::Str(text)) => str_repr(&text),
        // The `repr` of a date has its numbers without leading zeros.
        Some(PyValue::Date(text)) => {
            let parts = text.split('-').map(|part| part.trim_start_matches('0'));
            format!("datetime.date({})", parts.collect::<Vec<_>>().join(", "))
        }
        Some(value) => value.to_py_str(),
        None => collection_repr(document, node, depth + 1),
    };
    if matches!(document.nodes.get(node).map(|node| &node.kind), Some(NodeKind::Sequence)) {
        let items = items(document, node).into_iter().map(item_repr);
        return format!("[{}]", items.collect::<Vec<_>>().join(", "));
    }
    let entries = document.entries(node).map(|entry| {
        let value = document.resolve_alias(entry.value);
        format!("{}: {}", item_repr(document.resolve_alias(entry.key)), item_repr(value))
    });
    format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
}

/// Python's `repr` of a text.
fn str_repr(text: &str) -> String {
    let quote = if text.contains('\'') && !text.contains('"') { '"' } else { '\'' };
    let mut repr = String::from(quote);
    for letter in text.chars() {
        match letter {
            '\\' => repr.push_str("\\\\"),
            '\n' => repr.push_str("\\n"),
            '\r' => repr.push_str("\\r"),
            '\t' => repr.push_str("\\t"),
            letter if letter == quote => repr.extend(['\\', letter]),
            letter if letter.is_control() => repr += &format!("\\x{:02x}", u32::from(letter)),
            letter => repr.push(letter),
        }
    }
    repr.push(quote);
    repr
}

/// An integer: binary, octal (with just a leading zero), decimal, hexadecimal or sexagesimal.
fn parse_int(text: &str) -> Option<PyValue> {
    let (is_negative, digits) = split_sign(text);
    let digits = digits.replace('_', "");
    let starts_with_digit =
        text.strip_prefix(['-', '+']).unwrap_or(text).starts_with(|it: char| it.is_ascii_digit());
    if !starts_with_digit || !digits.bytes().all(|it| it.is_ascii_alphanumeric() || it == b':') {
        return None;
    }
    let number = if digits == "0" {
        Some(0)
    } else if let Some(binary) = digits.strip_prefix("0b") {
        i128::from_str_radix(binary, 2).ok()
    } else if let Some(hexadecimal) = digits.strip_prefix("0x") {
        i128::from_str_radix(hexadecimal, 16).ok()
    } else if let Some(octal) = digits.strip_prefix('0') {
        octal.bytes().all(|it| it.is_ascii_digit()).then(|| i128::from_str_radix(octal, 8).ok()).flatten()
    } else {
        sexagesimal_parts(&digits)?
            .try_fold(0_i128, |sum, part| sum.checked_mul(60)?.checked_add(part.parse().ok()?))
    };
    number.map(|number| PyValue::Int(if is_negative { -number } else { number }))
}

/// A number with a point. An exponent without a sign makes it a text.
fn parse_float(text: &str) -> Option<PyValue> {
    let (is_negative, digits) = split_sign(text);
    let signed_float = |number: f64| Some(PyValue::Float(if is_negative { -number } else { number }));
    match digits {
        ".inf" | ".Inf" | ".INF" => return signed_float(f64::INFINITY),
        ".nan" | ".NaN" | ".NAN" if digits == text => return Some(PyValue::Float(f64::NAN)),
        _ => {}
    }
    let digits = digits.replace('_', "");
    let (whole, rest) = digits.split_once('.')?;
    let (fraction, exponent) = match rest.split_once(['e', 'E']) {
        Some((fraction, exponent)) => (fraction, Some(exponent)),
        None => (rest, None),
    };
    let all_digits = |text: &str| text.bytes().all(|it| it.is_ascii_digit());
    let is_exponent = |text: &str| {
        text.strip_prefix(['-', '+']).is_some_and(|digits| !digits.is_empty() && all_digits(digits))
    };
    if !all_digits(fraction) || !exponent.is_none_or(is_exponent) || (whole.is_empty() && fraction.is_empty())
    {
        return None;
    }
    if whole.contains(':') && exponent.is_none() {
        let whole = sexagesimal_parts(whole)?
            .try_fold(0.0, |sum, part| Some(sum * 60.0 + part.parse::<f64>().ok()?))?;
        return signed_float(whole + format!("0.{fraction}0").parse::<f64>().ok()?);
    }
    // A sign before a leading point makes it a text.
    if !all_digits(whole) || (whole.is_empty() && text.starts_with(['-', '+'])) {
        return None;
    }
    signed_float(digits.parse().ok()?)
}

/// Underscores are allowed between and after digits, but not at the start, and not in the parts of a sexagesimal number.
fn has_misplaced_underscore(text: &str) -> bool {
    let digits = split_sign(text).1;
    let is_in_sexagesimal = digits
        .split_once(':')
        .is_some_and(|(_, parts)| parts.split('.').next().is_some_and(|parts| parts.contains('_')));
    is_in_sexagesimal || digits.starts_with('_') || digits.starts_with("._")
}

fn split_sign(text: &str) -> (bool, &str) {
    match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text.strip_prefix('+').unwrap_or(text)),
    }
}

/// The parts of `1:30:00`, all below sixty except the first; a number without colons is one part.
fn sexagesimal_parts(digits: &str) -> Option<impl Iterator<Item = &str>> {
    let is_part = |(index, part): (usize, &str)| {
        let fits = index == 0 || (part.len() <= 2 && part.parse::<u8>().is_ok_and(|part| part < 60));
        !part.is_empty() && part.bytes().all(|it| it.is_ascii_digit()) && fits
    };
    digits.split(':').enumerate().all(is_part).then(|| digits.split(':'))
}

/// The numbers of a date, which may not exist, such as 30 February.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Timestamp {
    /// Year, month and day.
    pub(crate) date: [u32; 3],
    /// Hour, minute and second, zero without a time, and the hours of the zone.
    pub(crate) time: [u32; 3],
    pub(crate) zone_hours: u32,
}

impl Timestamp {
    /// Parses `2026-11-23`, or with a time `2026-1-3 10:20:30.5 +1:00`.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let (date, time) = match text.split_once(['T', 't', ' ', '\t']) {
            Some((date, time)) => (date, Some(time)),
            None => (text, None),
        };
        let [year, month, day] = date.split('-').collect::<Vec<_>>()[..] else { return None };
        let min_digits = if time.is_some() { 1 } else { 2 };
        let date = [digits(year, 4..=4)?, digits(month, min_digits..=2)?, digits(day, min_digits..=2)?];
        let Some(time) = time else { return Some(Self { date, ..Self::default() }) };
        let time = if text.contains(['T', 't']) { time } else { time.trim_start_matches([' ', '\t']) };
        let [hour, minute, rest] = time.splitn(3, ':').collect::<Vec<_>>()[..] else { return None };
        let (second, rest) = rest.split_at_checked(2)?;
        let time = [digits(hour, 1..=2)?, digits(minute, 2..=2)?, digits(second, 2..=2)?];
        let fraction_end =
            |rest: &str| rest.find(|it: char| !it.is_ascii_digit()).map_or(rest.len(), |end| end);
        let zone = rest.strip_prefix('.').map_or(rest, |rest| &rest[fraction_end(rest)..]);
        Some(Self { date, time, zone_hours: parse_zone(zone.trim_start_matches([' ', '\t']))? })
    }

    /// Whether Python can construct it.
    pub(crate) fn exists(self) -> bool {
        let [year, month, day] = self.date;
        let is_leap_year = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let days = match month {
            4 | 6 | 9 | 11 => 30,
            2 if is_leap_year => 29,
            2 => 28,
            _ => 31,
        };
        let [hour, minute, second] = self.time;
        let is_date = year > 0 && (1..=12).contains(&month) && (1..=days).contains(&day);
        is_date && hour < 24 && minute < 60 && second < 60 && self.zone_hours < 24
    }
}

/// The hours of nothing, `Z`, `+1` or `-01:30`.
fn parse_zone(text: &str) -> Option<u32> {
    if matches!(text, "" | "Z") {
        return Some(0);
    }
    let zone = text.strip_prefix(['-', '+'])?;
    let (hours, minutes) = zone.split_once(':').unwrap_or((zone, "00"));
    digits(minutes, 2..=2)?;
    digits(hours, 1..=2)
}

/// The number in a text of only this many digits.
fn digits(text: &str, length: RangeInclusive<usize>) -> Option<u32> {
    let is_number = length.contains(&text.len()) && text.bytes().all(|it| it.is_ascii_digit());
    is_number.then(|| text.parse().ok()).flatten()
}

/// Python's `repr` of a float: the fewest digits that identify it, with an exponent below 0.0001 and from 1e16.
fn float_repr(number: f64) -> String {
    if !number.is_finite() {
        return number.to_string().to_lowercase();
    }
    let scientific = format!("{number:e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or_default();
    if number == 0.0 || (-4..16).contains(&exponent) {
        let plain = number.to_string();
        return if plain.contains('.') { plain } else { plain + ".0" };
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{digits}e{sign}{:02}", exponent.unsigned_abs())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The expected texts were produced by PyYAML 6.0.3 and `str`.
    #[test]
    fn scalars_match_pyyaml() {
        for (text, expected) in [
            ("12.3", "12.3"),
            ("17", "17"),
            ("0.00001", "1e-05"),
            ("0.00005", "5e-05"),
            ("0.0001", "0.0001"),
            ("1e-05", "1e-05"),
            ("1.2e3", "1.2e3"),
            ("1.2e+3", "1200.0"),
            ("1.2e-05", "1.2e-05"),
            ("1_000", "1000"),
            ("1,234", "1,234"),
            (".5", "0.5"),
            ("5.", "5.0"),
            ("-3.5", "-3.5"),
            ("+3.5", "3.5"),
            ("012", "10"),
            ("0o14", "0o14"),
            ("089", "089"),
            ("0x1F", "31"),
            ("0b11", "3"),
            ("1:30", "90"),
            ("12:30:45", "45045"),
            ("1:30.5", "90.5"),
            ("1:75", "1:75"),
            ("no", "False"),
            ("On", "True"),
            ("y", "y"),
            ("~", "None"),
            ("2026-11-23", "2026-11-23"),
            ("2026-1-3", "2026-1-3"),
            ("-.5", "-.5"),
            ("190:20:30", "685230"),
            ("0:30", "0:30"),
            ("2:0_", "2:0_"),
            ("_.5", "_.5"),
            ("._5", "._5"),
            ("5_._1", "5.1"),
            ("00", "0"),
            ("01.5", "1.5"),
            ("-0", "0"),
            ("1.0e+400", "inf"),
            (".5e-3", "0.0005"),
            (".nan", "nan"),
            ("-.inf", "-inf"),
            ("NaN", "NaN"),
            ("10000000000000000.0", "1e+16"),
            ("1234567890123456.0", "1234567890123456.0"),
            ("25.447577064303335", "25.447577064303335"),
        ] {
            assert_eq!(PyValue::from_plain_scalar(text).to_py_str(), expected, "{text}");
        }
    }

    /// The expected texts were produced by PyYAML 6.0.3 and `str`.
    #[test]
    fn collections_match_python() {
        for (yaml, expected) in [
            ("v: [12.5]", "[12.5]"),
            ("v:\n- emissions: 1.2g CO2\n- source: x", "[{'emissions': '1.2g CO2'}, {'source': 'x'}]"),
            ("v: [no, ~, 'it''s', \"a\\tb\"]", "[False, None, \"it's\", 'a\\tb']"),
            ("v: {a: {b: [1, 0x10]}}", "{'a': {'b': [1, 16]}}"),
            ("v: []", "[]"),
            ("x: &x [1, *y]\nv: *x".replace(", *y", "").as_str(), "[1]"),
        ] {
            let document = YamlDocument::parse(yaml, 0..yaml.len()).unwrap();
            let value = document.resolve_alias(document.find_entry("v").unwrap().value);
            assert_eq!(py_str(&document, value), expected, "{yaml}");
        }
    }

    #[test]
    fn unpadded_date_is_text() {
        assert!(matches!(PyValue::from_plain_scalar("2026-11-23 10:20:30"), PyValue::Date(_)));
        assert!(matches!(PyValue::from_plain_scalar("2026-1-3"), PyValue::Str(_)));
        for text in ["2026-01-01 a:b:c", "2026-13-01 10:20", "2026-01-01T1:0:0", "2026-01-01T 10:20:30"] {
            assert!(matches!(PyValue::from_plain_scalar(text), PyValue::Str(_)), "{text}");
        }
    }

    #[test]
    fn falsy_values_match_python() {
        for text in ["0", "0.0", "~", "no", "-0.0"] {
            assert!(PyValue::from_plain_scalar(text).is_falsy(), "{text}");
        }
        assert!(!PyValue::Str("0".to_owned()).is_falsy());
        assert!(!PyValue::from_plain_scalar("2026-11-23").is_falsy());
    }
}
