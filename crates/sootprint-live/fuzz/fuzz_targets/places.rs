//! Parses any text as a place, and as a hardware name.
#![no_main]

use sootprint::{Accelerator, LocationSource, Place};

use libfuzzer_sys::fuzz_target;

fuzz_target!(|name: &str| {
    if let Ok(place) = name.parse::<Place>() {
        assert_eq!(place.code().parse(), Ok(place), "the code parses to the same place");
        for year in [1990, 2024, 2100] {
            let figure = place.intensity(LocationSource::Argument, year);
            let [low, best, high] =
                [figure.low, figure.intensity, figure.high].map(|intensity| intensity.grams_per_kilowatt_hour());
            assert!(0.0 <= low && low <= best && best <= high && high <= 3_000.0, "{figure:?}");
        }
    }
    // Other names are an error and do not panic.
    let _ = Accelerator::from_name(name);
});
