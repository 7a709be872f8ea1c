use std::time::Duration;

/// Each unit's name and its number of decimals relative to the smallest unit; largest unit first.
type UnitTable = [(&'static str, u32)];

const TIME: &UnitTable = &[("s", 9), ("ms", 6), ("us", 3), ("ns", 0)];
const POWER: &UnitTable = &[("W", 3), ("mW", 0)];
const ENERGY: &UnitTable = &[("J", 3), ("mJ", 0)];

/// A time such as `0.7s` or `20ms`.
pub(crate) fn parse_time(word: &str) -> Result<Duration, String> {
    parse_quantity(word, TIME, "a time").map(Duration::from_nanos)
}

/// A power such as `400W`, in milliwatts.
pub(crate) fn parse_power(word: &str) -> Result<u64, String> {
    parse_quantity(word, POWER, "a power")
}

/// An energy such as `5000J`, in millijoules.
pub(crate) fn parse_energy(word: &str) -> Result<u64, String> {
    parse_quantity(word, ENERGY, "an energy")
}

/// Formats a time below 584 years so that [`parse_time`] reads it back exactly.
pub(crate) fn format_time(time: Duration) -> String {
    format_quantity(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX), TIME)
}

/// Formats a power so that [`parse_power`] reads it back exactly.
pub(crate) fn format_power(milliwatts: u64) -> String {
    format_quantity(milliwatts, POWER)
}

/// Formats an energy so that [`parse_energy`] reads it back exactly.
pub(crate) fn format_energy(millijoules: u64) -> String {
    format_quantity(millijoules, ENERGY)
}

/// The milliseconds in a clock file, with up to six decimals and no unit.
pub(crate) fn parse_milliseconds(text: &str) -> Option<Duration> {
    parse_decimal(text, 6).map(Duration::from_nanos)
}

fn parse_quantity(word: &str, units: &UnitTable, what: &str) -> Result<u64, String> {
    let end = word.find(|letter: char| !letter.is_ascii_digit() && letter != '.').unwrap_or(word.len());
    let (number, unit) = word.split_at(end);
    let known = units.iter().find(|(name, _)| *name == unit);
    known.and_then(|(_, decimals)| parse_decimal(number, *decimals)).ok_or_else(|| {
        let names: Vec<&str> = units.iter().map(|(name, _)| *name).collect();
        format!("`{word}` is not {what}: write a number with one of the units {}", names.join(", "))
    })
}

fn format_quantity(value: u64, units: &UnitTable) -> String {
    let whole = units.iter().find(|(_, decimals)| value.is_multiple_of(10_u64.pow(*decimals)));
    let (name, decimals) = whole.unwrap_or(&("", 0));
    format!("{}{name}", value / 10_u64.pow(*decimals))
}

/// `number` × 10^`decimals`, if that is an integer that fits.
fn parse_decimal(number: &str, decimals: u32) -> Option<u64> {
    let (whole, fraction) = number.split_once('.').unwrap_or((number, "0"));
    let digits_only = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits_only(whole) || !digits_only(fraction) {
        return None;
    }
    let fraction = fraction.trim_end_matches('0');
    let missing = decimals.checked_sub(u32::try_from(fraction.len()).ok()?)?;
    let fraction = if fraction.is_empty() { 0 } else { fraction.parse::<u64>().ok()? };
    let whole = whole.parse::<u64>().ok()?.checked_mul(10_u64.pow(decimals))?;
    whole.checked_add(fraction * 10_u64.pow(missing))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantities_parse_exactly() {
        assert_eq!(parse_time("0.7s"), Ok(Duration::from_millis(700)));
        assert_eq!(parse_time("20ms"), Ok(Duration::from_millis(20)));
        assert_eq!(parse_time("0.000000001s"), Ok(Duration::from_nanos(1)));
        assert_eq!(parse_power("99.125W"), Ok(99_125));
        assert_eq!(parse_energy("5000J"), Ok(5_000_000));
        assert_eq!(parse_milliseconds("730.5"), Some(Duration::from_micros(730_500)));
    }

    #[test]
    fn inexact_quantity_is_rejected() {
        for word in [
            "",
            "7",
            "s",
            "-1s",
            "+1s",
            "1.s",
            ".5s",
            "1e3s",
            "1.2.3s",
            "1 s",
            "0.5ns",
            "1min",
            "99999999999999999999s",
        ] {
            assert!(parse_time(word).is_err(), "{word}");
        }
        let problem = parse_power("400").unwrap_err();
        assert_eq!(problem, "`400` is not a power: write a number with one of the units W, mW");
    }

    #[test]
    fn formatted_quantity_parses_back() {
        for nanoseconds in [0, 1, 999, 1000, 20_000_000, 1_030_000_000, u64::MAX] {
            let time = Duration::from_nanos(nanoseconds);
            assert_eq!(parse_time(&format_time(time)), Ok(time));
            assert_eq!(parse_power(&format_power(nanoseconds)), Ok(nanoseconds));
            assert_eq!(parse_energy(&format_energy(nanoseconds)), Ok(nanoseconds));
        }
        assert_eq!(format_time(Duration::from_millis(1030)), "1030ms");
    }
}
