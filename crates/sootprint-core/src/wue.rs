//! The water that data centres use on their site.

use serde::{Deserialize, Serialize};

/// Water usage effectiveness (WUE): litres of water that a data centre uses on its site per kilowatt-hour of its computers.
///
/// Providers count different things, so figures with a different [`WaterCount`] must not be added or compared.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Wue {
    pub(crate) litres_per_kilowatt_hour: f64,
    pub(crate) counts: WaterCount,
    pub(crate) year: u16,
    pub(crate) is_regional: bool,
}

/// Which water a figure counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum WaterCount {
    /// Water that is taken, including what is returned afterwards.
    Withdrawal,
    /// Water that is not returned, mostly because it evaporates.
    Consumption,
}

impl WaterCount {
    /// `withdrawal` or `consumption`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Withdrawal => "withdrawal",
            Self::Consumption => "consumption",
        }
    }
}

impl Wue {
    /// The figure in litres per kilowatt-hour.
    #[must_use]
    pub const fn litres_per_kilowatt_hour(self) -> f64 {
        self.litres_per_kilowatt_hour
    }

    /// Which water the figure counts.
    #[must_use]
    pub const fn counts(self) -> WaterCount {
        self.counts
    }

    /// The year of the figure.
    #[must_use]
    pub const fn year(self) -> u16 {
        self.year
    }

    /// Whether the figure is that of the region, instead of the provider's mean.
    #[must_use]
    pub const fn is_regional(self) -> bool {
        self.is_regional
    }
}
