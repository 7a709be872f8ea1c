//! One unit for all energies of a line or a table.

use sootprint_core::Energy;
use sootprint_core::format::significant_digits;

/// The unit of every energy in a line or a table.
#[derive(Debug, Clone, Copy)]
pub(super) struct EnergyUnit {
    pub(super) name: &'static str,
    joules: f64,
}

impl EnergyUnit {
    /// The unit that suits the largest energy.
    pub(super) fn of(largest: Energy) -> Self {
        let (name, joules) = match largest.joules() {
            joules if joules < 3_600.0 => ("J", 1.0),
            joules if joules < 3_600_000.0 => ("Wh", 3_600.0),
            _ => ("kWh", 3_600_000.0),
        };
        Self { name, joules }
    }

    pub(super) fn amount(self, energy: Energy) -> f64 {
        energy.joules() / self.joules
    }

    pub(super) fn format(self, energy: Energy) -> String {
        let digits = significant_digits(self.amount(energy));
        digits.map_or_else(|| energy.to_string(), |digits| format!("{digits} {}", self.name))
    }
}
