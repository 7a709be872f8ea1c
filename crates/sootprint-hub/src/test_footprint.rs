//! The footprint that the tests publish.

use sootprint::Footprint;

/// Two boards in France, before training from random weights: 0.7264694 kWh at the facility, 40.68229 g.
pub(crate) fn sample_footprint() -> Footprint {
    Footprint::from_json(include_str!("../tests/footprint.json")).unwrap()
}
