//! Any text as the name of a place, and as that of a device.
#![no_main]

use sootprint::{Hardware, Origin, Place};

use libfuzzer_sys::fuzz_target;

fuzz_target!(|name: &str| {
    if let Ok(place) = name.parse::<Place>() {
        assert_eq!(place.code().parse(), Ok(place), "found again by its code");
        for year in [1990, 2024, 2100] {
            let answer = place.intensity(Origin::Argument, year);
            let [low, best, high] =
                [answer.low, answer.intensity, answer.high].map(|figure| figure.grams_per_kilowatt_hour());
            assert!(0.0 <= low && low <= best && best <= high && high <= 3_000.0, "{answer:?}");
        }
    }
    // What is no device is an error, and nothing else.
    let _ = Hardware::named(name);
});
