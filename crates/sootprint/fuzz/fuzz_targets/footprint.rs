//! Reads any text as a footprint, and prints it in every format.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sootprint::Footprint;
use sootprint_report::{chart, to_csv};

fuzz_target!(|json: &str| {
    let Ok(footprint) = Footprint::from_json(json) else { return };
    let again = Footprint::from_json(&footprint.to_json().expect("a footprint is JSON"));
    assert_eq!(again.expect("written footprints can be read"), footprint);
    let text = footprint.to_string() + &chart(&footprint);
    assert!(!text.contains("NaN") || json.contains("NaN"), "{text}");
    to_csv(&[footprint]).expect("a footprint is CSV");
});
