//! Quantities with the unit in the type. There is no conversion from a bare number.

use std::fmt;
use std::iter::Sum;
use std::ops::{Add, AddAssign, Div, Mul, Sub};
use std::time::Duration;

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

/// Joules per kilowatt-hour (exact).
const JOULES_PER_KILOWATT_HOUR: f64 = 3_600_000.0;

/// An amount of energy, stored in joules.
///
/// In JSON, an energy is a number of joules, in a field whose name ends in `_j`.
///
/// ```
/// use sootprint_core::{CarbonIntensity, Energy};
///
/// let used = Energy::from_kilowatt_hours(2.0);
/// assert_eq!(used.joules(), 7_200_000.0);
/// let emitted = used * CarbonIntensity::from_grams_per_kilowatt_hour(56.0);
/// assert_eq!(emitted.grams(), 112.0);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Energy(f64);

/// Energy per time, stored in watts.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Power(f64);

/// A mass of carbon dioxide equivalent (global warming potential over 100 years), stored in grams.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Co2e(f64);

/// The emissions per unit of electrical energy from a grid, stored in grams of CO2e per kWh.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct CarbonIntensity(f64);

/// The highest number that is read from a file. Sums of a million such numbers are finite.
const MAX_READ: f64 = 1e18;

macro_rules! deserialize_quantity {
    ($($quantity:ident: $name:literal),*) => {$(
        impl<'de> Deserialize<'de> for $quantity {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let number = f64::deserialize(deserializer)?;
                if (0.0..=MAX_READ).contains(&number) {
                    Ok(Self(number))
                } else {
                    Err(D::Error::custom(format_args!("{} of {number} is not between 0 and 1e18", $name)))
                }
            }
        }
    )*};
}

deserialize_quantity!(
    Energy: "an energy", Power: "a power", Co2e: "emissions", CarbonIntensity: "a carbon intensity"
);

impl Energy {
    /// No energy.
    pub const ZERO: Self = Self(0.0);

    /// Returns the smaller of two energies.
    #[must_use]
    pub fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }

    /// Returns the larger of two energies.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        if self < other { other } else { self }
    }

    /// Creates an energy from a number of joules.
    #[must_use]
    pub const fn from_joules(joules: f64) -> Self {
        Self(joules)
    }

    /// Creates an energy from a number of millijoules, the unit of NVML's energy counter.
    #[must_use]
    pub fn from_millijoules(millijoules: u64) -> Self {
        // An f64 loses precision only above 2^53 mJ: a kilowatt for 285 years.
        Self(millijoules as f64 / 1e3)
    }

    /// Creates an energy from a number of kilowatt-hours.
    #[must_use]
    pub fn from_kilowatt_hours(kilowatt_hours: f64) -> Self {
        Self(kilowatt_hours * JOULES_PER_KILOWATT_HOUR)
    }

    /// The energy in joules.
    #[must_use]
    pub const fn joules(self) -> f64 {
        self.0
    }

    /// The energy in watt-hours.
    #[must_use]
    pub fn watt_hours(self) -> f64 {
        self.kilowatt_hours() * 1e3
    }

    /// The energy in kilowatt-hours.
    #[must_use]
    pub fn kilowatt_hours(self) -> f64 {
        self.0 / JOULES_PER_KILOWATT_HOUR
    }
}

impl Power {
    /// No power.
    pub const ZERO: Self = Self(0.0);

    /// Creates a power from a number of watts.
    #[must_use]
    pub const fn from_watts(watts: f64) -> Self {
        Self(watts)
    }

    /// Creates a power from a number of milliwatts, the unit of NVML's power readings.
    #[must_use]
    pub fn from_milliwatts(milliwatts: u32) -> Self {
        Self(f64::from(milliwatts) / 1e3)
    }

    /// The power in watts.
    #[must_use]
    pub const fn watts(self) -> f64 {
        self.0
    }
}

impl Co2e {
    /// Creates a mass from a number of grams.
    #[must_use]
    pub const fn from_grams(grams: f64) -> Self {
        Self(grams)
    }

    /// The mass in grams.
    #[must_use]
    pub const fn grams(self) -> f64 {
        self.0
    }
}

impl CarbonIntensity {
    /// Creates an intensity from a number of grams of CO2e per kilowatt-hour.
    #[must_use]
    pub const fn from_grams_per_kilowatt_hour(grams: f64) -> Self {
        Self(grams)
    }

    /// The intensity in grams of CO2e per kilowatt-hour.
    #[must_use]
    pub const fn grams_per_kilowatt_hour(self) -> f64 {
        self.0
    }
}

impl Mul<Duration> for Power {
    type Output = Energy;

    fn mul(self, time: Duration) -> Energy {
        Energy(self.0 * time.as_secs_f64())
    }
}

impl Div<Duration> for Energy {
    /// The average power. `None` for a duration of zero.
    type Output = Option<Power>;

    fn div(self, time: Duration) -> Option<Power> {
        (!time.is_zero()).then(|| Power(self.0 / time.as_secs_f64()))
    }
}

impl Mul<CarbonIntensity> for Energy {
    type Output = Co2e;

    fn mul(self, intensity: CarbonIntensity) -> Co2e {
        Co2e(self.kilowatt_hours() * intensity.0)
    }
}

impl fmt::Display for Energy {
    /// Writes joules below 1 Wh, watt-hours below 1 kWh, otherwise kilowatt-hours: `512.0 J`, `1.25 Wh`, `3.40 kWh`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            joules if joules < 1.0 => write!(f, "{:.3} J", self.0),
            joules if joules < 3_600.0 => write!(f, "{:.1} J", self.0),
            joules if joules < JOULES_PER_KILOWATT_HOUR => write!(f, "{:.2} Wh", self.watt_hours()),
            _ => write!(f, "{:.2} kWh", self.kilowatt_hours()),
        }
    }
}

impl fmt::Display for Power {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} W", self.0)
    }
}

impl fmt::Display for Co2e {
    /// Writes milligrams below 1 g, grams below 1,000 g, and kilograms otherwise, without `CO2e`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.abs() {
            grams if grams < 1.0 => write!(f, "{:.3} mg", self.0 * 1e3),
            grams if grams < 1_000.0 => write!(f, "{:.2} g", self.0),
            _ => write!(f, "{:.2} kg", self.0 / 1e3),
        }
    }
}

impl fmt::Display for CarbonIntensity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:.1} g CO2e/kWh", self.0)
    }
}

/// Implements addition, subtraction, scaling and sums for each quantity, with values of the same quantity.
macro_rules! arithmetic {
    ($($quantity:ident),*) => {$(
        impl Add for $quantity {
            type Output = Self;

            fn add(self, other: Self) -> Self {
                Self(self.0 + other.0)
            }
        }

        impl AddAssign for $quantity {
            fn add_assign(&mut self, other: Self) {
                self.0 += other.0;
            }
        }

        impl Sub for $quantity {
            type Output = Self;

            fn sub(self, other: Self) -> Self {
                Self(self.0 - other.0)
            }
        }

        impl Mul<f64> for $quantity {
            type Output = Self;

            fn mul(self, factor: f64) -> Self {
                Self(self.0 * factor)
            }
        }

        impl Sum for $quantity {
            fn sum<I: Iterator<Item = Self>>(quantities: I) -> Self {
                // The sum of no `f64` values would be -0.0.
                quantities.fold(Self(0.0), Add::add)
            }
        }
    )*};
}

arithmetic!(Energy, Power, Co2e, CarbonIntensity);

#[cfg(test)]
#[expect(clippy::float_cmp, reason = "these products are exact in binary")]
mod tests {
    use super::*;

    #[test]
    fn kilowatt_for_hour_is_kilowatt_hour() {
        let energy = Power::from_watts(1_000.0) * Duration::from_secs(3_600);
        assert_eq!(energy.kilowatt_hours(), 1.0);
        assert_eq!(energy.watt_hours(), 1_000.0);
    }

    #[test]
    fn driver_units_are_thousandths() {
        assert_eq!(Energy::from_millijoules(1_500).joules(), 1.5);
        assert_eq!(Power::from_milliwatts(700_000).watts(), 700.0);
    }

    #[test]
    fn mean_over_zero_time_is_none() {
        assert_eq!(Energy::from_joules(5.0) / Duration::ZERO, None);
        assert_eq!(Energy::from_joules(5.0) / Duration::from_secs(2), Some(Power::from_watts(2.5)));
    }

    #[test]
    fn min_and_max_compare_values() {
        let [small, large] = [1.0, 2.0].map(Energy::from_joules);
        assert_eq!((small.min(large), small.max(large)), (small, large));
        assert_eq!((large.min(small), large.max(small)), (small, large));
    }

    #[test]
    fn display_picks_readable_unit_prefix() {
        let displayed = |energy: Energy| energy.to_string();
        assert_eq!(displayed(Energy::from_joules(0.5)), "0.500 J");
        assert_eq!(displayed(Energy::from_joules(512.0)), "512.0 J");
        assert_eq!(displayed(Energy::from_joules(7_200.0)), "2.00 Wh");
        assert_eq!(displayed(Energy::from_kilowatt_hours(3.4)), "3.40 kWh");
        assert_eq!(Co2e::from_grams(0.0123).to_string(), "12.300 mg");
        assert_eq!(Co2e::from_grams(24_690_000.0).to_string(), "24690.00 kg");
    }
}
