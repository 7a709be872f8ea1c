//! Footprints for the tests.

use serde_json::{Value, json};
use sootprint_core::Footprint;

/// A pre-training on two GPUs in France: 0.7264694 kWh at the facility, 40.68229 g.
pub(crate) fn footprint() -> Footprint {
    modified_footprint(|_| ())
}

/// The same run as a fine-tuning of this model.
pub(crate) fn fine_tuning(base_model: &str) -> Footprint {
    modified_footprint(|footprint| {
        footprint["run"]["training_type"] = "fine-tuning".into();
        footprint["run"]["base_model"] = base_model.into();
    })
}

/// The same run with three epochs, the last one incomplete, and a power curve.
pub(crate) fn with_epochs() -> Footprint {
    modified_footprint(|footprint| {
        let epoch = |epoch: u32, start: f64, energy: f64| {
            json!({
                "epoch": epoch, "attempt": 1, "start_s": start, "duration_s": 580.0, "energy_j": energy,
                "grams": energy * 56.0 / 3.6e6, "completed": epoch < 3,
            })
        };
        footprint["epochs"] =
            json!([epoch(1, 20.0, 850_000.0), epoch(2, 610.0, 860_000.0), epoch(3, 1_200.0, 870_000.0)]);
        let watts =
            |second: u32| if second <= 20 { 300.0 } else { 1_440.0 + 60.0 * f64::from(second / 10 % 3) };
        footprint["power"] = (1..=180).map(|step| json!([step * 10, watts(step * 10)])).collect();
    })
}

fn modified_footprint(change: impl Fn(&mut Value)) -> Footprint {
    let mut footprint: Value = serde_json::from_str(include_str!("../tests/footprint.json")).unwrap();
    change(&mut footprint);
    Footprint::from_json(&footprint.to_string()).unwrap()
}
