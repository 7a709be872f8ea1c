//! Coefficients of the model with their bounds.

use sootprint_core::format::plain_decimal;

/// The low, best and high value of a coefficient.
pub(super) type CoefficientRange = [f64; 3];

/// A coefficient with at most two decimals, for notes.
pub(super) fn format_coefficient(value: f64) -> String {
    plain_decimal(value, 2).unwrap_or_default()
}
