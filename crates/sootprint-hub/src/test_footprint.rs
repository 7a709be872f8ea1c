//! The footprint of the unit tests.

use sootprint::Footprint;

/// A pre-training on two GPUs in France: 0.7264694 kWh at the facility, 40.68229 g CO2e.
pub(crate) fn sample_footprint() -> Footprint {
    Footprint::from_json(include_str!("../tests/footprint.json")).unwrap()
}
