//! Parses numbers as the Hub's filter and all YAML versions do.

/// The number that the Hub's filter reads from a text: the first match of `\d+\.\d+|\d+`.
pub(crate) fn first_number(text: &str) -> Option<f64> {
    let from = text.find(|character: char| character.is_ascii_digit())?;
    let digits = |text: &str| text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let whole = from + digits(&text[from..]);
    let end = match text[whole..].strip_prefix('.') {
        Some(fraction) if fraction.starts_with(|c: char| c.is_ascii_digit()) => whole + 1 + digits(fraction),
        _ => whole,
    };
    text[from..end].parse().ok()
}

/// The number in a plain scalar, including sign and exponent; otherwise the one that the Hub's filter reads.
pub(crate) fn scalar_number(text: &str) -> Option<f64> {
    let is_number =
        text.chars().all(|character| matches!(character, '0'..='9' | '.' | '-' | '+' | 'e' | 'E'));
    let exact = is_number.then(|| text.parse::<f64>().ok()).flatten();
    exact.filter(|number| number.is_finite()).or_else(|| first_number(text))
}

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "the parsed number has exactly the written digits")]
mod tests {
    use proptest::prelude::*;
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

    proptest! {
        #[test]
        fn hub_filter_reads_written_number(value in prop_oneof![0.0001..1e13, 1e-9..1.0, 1.0..1e6]) {
            let written = plain_decimal(value, 4).unwrap();
            let shape = written.split_once('.').map_or((written.as_str(), "0"), |parts| parts);
            prop_assert!(shape.0.chars().chain(shape.1.chars()).all(|c| c.is_ascii_digit()), "{}", written);
            prop_assert!(shape.1.len() <= 4);
            let read = first_number(&written).unwrap();
            prop_assert_eq!(read, written.parse::<f64>().unwrap());
            prop_assert!((read - value).abs() <= 0.000_1_f64.max(value * 1e-15), "{} for {}", written, value);
            prop_assert!(read > 0.0);
        }
    }
}
