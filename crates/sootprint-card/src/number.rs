//! Parses numbers as the Hub's filter and all YAML versions do.

/// The zeros of all scripts with decimal digits, in Unicode 14.0.0; the other digits follow each of them.
const ZEROS: [char; 66] = [
    '\u{30}',
    '\u{660}',
    '\u{6f0}',
    '\u{7c0}',
    '\u{966}',
    '\u{9e6}',
    '\u{a66}',
    '\u{ae6}',
    '\u{b66}',
    '\u{be6}',
    '\u{c66}',
    '\u{ce6}',
    '\u{d66}',
    '\u{de6}',
    '\u{e50}',
    '\u{ed0}',
    '\u{f20}',
    '\u{1040}',
    '\u{1090}',
    '\u{17e0}',
    '\u{1810}',
    '\u{1946}',
    '\u{19d0}',
    '\u{1a80}',
    '\u{1a90}',
    '\u{1b50}',
    '\u{1bb0}',
    '\u{1c40}',
    '\u{1c50}',
    '\u{a620}',
    '\u{a8d0}',
    '\u{a900}',
    '\u{a9d0}',
    '\u{a9f0}',
    '\u{aa50}',
    '\u{abf0}',
    '\u{ff10}',
    '\u{104a0}',
    '\u{10d30}',
    '\u{11066}',
    '\u{110f0}',
    '\u{11136}',
    '\u{111d0}',
    '\u{112f0}',
    '\u{11450}',
    '\u{114d0}',
    '\u{11650}',
    '\u{116c0}',
    '\u{11730}',
    '\u{118e0}',
    '\u{11950}',
    '\u{11c50}',
    '\u{11d50}',
    '\u{11da0}',
    '\u{16a60}',
    '\u{16ac0}',
    '\u{16b50}',
    '\u{1d7ce}',
    '\u{1d7d8}',
    '\u{1d7e2}',
    '\u{1d7ec}',
    '\u{1d7f6}',
    '\u{1e140}',
    '\u{1e2f0}',
    '\u{1e950}',
    '\u{1fbf0}',
];

/// The value of a decimal digit of any script, as `\d` and `float` in Python read it.
pub(crate) fn digit_value(character: char) -> Option<char> {
    let index = ZEROS.partition_point(|zero| *zero <= character).checked_sub(1)?;
    let value = u32::from(character) - u32::from(*ZEROS.get(index)?);
    char::from_digit(value, 10)
}

/// The number that the Hub's filter reads from a text: the first match of `\d+\.\d+|\d+`.
pub(crate) fn first_number(text: &str) -> Option<f64> {
    let mut letters = text.chars().skip_while(|letter| digit_value(*letter).is_none()).peekable();
    let mut number = String::new();
    while let Some(digit) = letters.peek().copied().and_then(digit_value) {
        number.push(digit);
        letters.next();
    }
    if letters.next() == Some('.') {
        let fraction: String = letters.map_while(digit_value).collect();
        if !fraction.is_empty() {
            number += &format!(".{fraction}");
        }
    }
    number.parse().ok()
}

/// The number in a plain scalar, including sign and exponent; otherwise the one that the Hub's filter reads.
pub(crate) fn scalar_number(text: &str) -> Option<f64> {
    let is_number =
        text.chars().all(|character| matches!(character, '0'..='9' | '.' | '-' | '+' | 'e' | 'E'));
    let exact = is_number.then(|| text.parse::<f64>().ok()).flatten();
    exact.filter(|number| number.is_finite()).or_else(|| first_number(text))
}

#[cfg(test)]
mod tests {
    use sootprint_core::format::plain_decimal;

    use super::*;

    #[test]
    fn unrepresentable_values_are_rejected() {
        for value in [f64::NAN, f64::INFINITY, -1.0, 1e16, -f64::MIN_POSITIVE] {
            assert_eq!(plain_decimal(value, 4), None, "{value}");
        }
    }

    #[test]
    fn hub_filter_number_is_reproduced() {
        let cases =
            [("12.3", 12.3), ("17g", 17.0), ("< 5 kg", 5.0), ("1,234", 1.0), ("5.", 5.0), (".5", 5.0)];
        for (text, number) in cases {
            assert_eq!(first_number(text), Some(number), "{text}");
        }
        assert_eq!(first_number("[More Information Needed]"), None);
        for (text, number) in [("１２", 12.0), ("٣.٥ g", 3.5), ("x߁a", 1.0), ("CO₂ 7", 7.0), ("½ 3", 3.0)]
        {
            assert_eq!(first_number(text), Some(number), "{text}");
        }
    }

    #[test]
    fn plain_scalar_parses_as_itself() {
        assert_eq!(scalar_number("1.2e-05"), Some(1.2e-5));
        assert_eq!(scalar_number("-3.5"), Some(-3.5));
        assert_eq!(scalar_number("+.5"), Some(0.5));
        assert_eq!(scalar_number("1e999"), Some(1.0));
        assert_eq!(scalar_number("2026-11-23"), Some(2026.0));
        assert_eq!(scalar_number("e"), None);
    }
}
