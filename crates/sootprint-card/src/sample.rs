//! The footprint that the tests write into cards.

use sootprint::Footprint;

/// Two boards in France, before training from random weights: 0.7264694 kWh at the facility, 40.68229 g.
pub(crate) fn footprint() -> Footprint {
    Footprint::from_json(JSON).unwrap()
}

/// The same run, fine-tuning this model.
pub(crate) fn fine_tuning(base_model: &str) -> Footprint {
    let mut footprint: serde_json::Value = serde_json::from_str(JSON).unwrap();
    footprint["run"]["training_type"] = "fine-tuning".into();
    footprint["run"]["base_model"] = base_model.into();
    Footprint::from_json(&footprint.to_string()).unwrap()
}

const JSON: &str = include_str!("../tests/footprint.json");
