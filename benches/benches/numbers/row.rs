//! Rows of the table.

use sootprint_benches::BenchError;

/// A line of the table.
pub(crate) struct NumbersRow {
    pub(crate) what: String,
    pub(crate) measured: String,
    pub(crate) goal: String,
    pub(crate) passes: bool,
}

impl NumbersRow {
    /// A row with the measured value and whether it reaches the goal; a failed measurement does not.
    pub(crate) fn new(
        what: impl Into<String>,
        goal: impl Into<String>,
        found: Result<(String, bool), BenchError>,
    ) -> Self {
        let (measured, passes) = found.unwrap_or_else(|failure| (format!("not measured: {failure}"), false));
        Self { what: what.into(), measured, goal: goal.into(), passes }
    }
}

/// A fraction in per cent, with one more decimal than the goals.
pub(crate) fn format_percent(part: f64) -> String {
    format!("{:.3} %", part * 100.0)
}
