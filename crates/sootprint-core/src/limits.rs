//! Limits of the values in footprints and ledgers that were read: the files may come from others.

/// The most ranks of a run.
pub const MAX_RANKS: u32 = 65_536;

/// The most epochs of a run.
pub const MAX_EPOCHS: usize = 1_000_000;

/// A century.
const MAX_SECONDS: f64 = 3.2e9;

/// Sums are rounded in a different order than their parts.
const ROUNDING: f64 = 1e-6;

/// Checks a time or a duration.
///
/// # Errors
/// What is wrong, with the name.
pub fn check_seconds(name: &str, seconds: f64) -> Result<(), String> {
    if (0.0..=MAX_SECONDS).contains(&seconds) {
        Ok(())
    } else {
        Err(format!("`{name}` of {seconds} s is not between 0 and {MAX_SECONDS} s"))
    }
}

/// Checks a fraction of a whole.
///
/// # Errors
/// What is wrong, with the name.
pub fn check_share(name: &str, share: f64) -> Result<(), String> {
    if (0.0..=1.0 + ROUNDING).contains(&share) {
        Ok(())
    } else {
        Err(format!("`{name}` of {share} is not between 0 and 1"))
    }
}

/// Checks that a number is between two others. NaN never is.
///
/// # Errors
/// What is wrong, with the name.
pub fn check_range(name: &str, number: f64, low: f64, high: f64) -> Result<(), String> {
    if (low..=high).contains(&number) {
        Ok(())
    } else {
        Err(format!("`{name}` of {number} is not between {low} and {high}"))
    }
}

/// Checks that a best estimate is between its bounds, except for rounding.
///
/// # Errors
/// What is wrong, with the name.
pub fn check_bounds(name: &str, [low, best, high]: [f64; 3]) -> Result<(), String> {
    let margin = ROUNDING * (1.0 + high.abs());
    if low <= best + margin && best <= high + margin {
        Ok(())
    } else {
        Err(format!("`{name}` of {best} is not between its bounds {low} and {high}"))
    }
}
