use sootprint_core::{EmissionScope, IntensityKind, LocationSource, PueOrigin};

use super::*;

/// An environment without settings, in the time zone of Japan.
fn empty_env() -> ProcessEnv {
    ProcessEnv::without_variables(2026, Some("Asia/Tokyo"))
}

fn is_close(left: f64, right: f64) -> bool {
    (left - right).abs() <= 1e-9 * right.abs().max(1.0)
}

// GPU-hours, watts, PUE, kg/kWh, published MWh and tonnes. LLaMA: Touvron et al. 2023; BLOOM: Luccioni et al. 2022; GPT-3
// and Meena: Patterson et al. 2021.
#[test]
fn estimates_match_published_figures() {
    for (name, hours, watts, pue, kilograms, megawatt_hours, tonnes) in [
        ("LLaMA-7B", 82_432.0, 400.0, 1.1, 0.385, 36.0, 14.0),
        ("LLaMA-65B", 1_022_362.0, 400.0, 1.1, 0.385, 449.0, 173.0),
        ("BLOOM-176B", 1_082_990.0, 400.0, 1.0, 0.057, 433.196, 24.7),
        ("GPT-3", 3_552_000.0, 330.0, 1.10, 0.429, 1_287.0, 552.1),
        ("Meena", 737_280.0, 289.0, 1.09, 0.415, 232.0, 96.4),
    ] {
        let device = Accelerator::with_power(name, Power::from_watts(watts)).unwrap();
        let estimate = Estimate::new(device, hours, 1).unwrap();
        let estimate = estimate.pue(Pue::new(pue).unwrap());
        let estimate =
            estimate.intensity(CarbonIntensity::try_from_grams_per_kilowatt_hour(kilograms * 1e3).unwrap());
        let footprint = estimate.footprint_with_env(&empty_env()).unwrap();
        let within = |left: f64, right: f64| (left / right - 1.0).abs() < 0.01;
        let energy = footprint.energy.facility.kilowatt_hours() / 1e3;
        let emissions = footprint.emissions.best.grams() / 1e6;
        assert!(within(energy, megawatt_hours), "{name}: {energy} MWh");
        assert!(within(emissions, tonnes), "{name}: {emissions} t");
        // Power, PUE and intensity are given, so the bounds are equal.
        assert_eq!(footprint.emissions.low, footprint.emissions.high);
    }
}

#[test]
fn named_accelerator_draws_three_quarters_of_its_tdp() {
    let device = Accelerator::from_name("NVIDIA A100-SXM4-80GB").unwrap();
    let estimate = Estimate::new(device, 10.0, 8).unwrap().place("aws:us-east-1".parse().unwrap());
    let footprint = estimate.footprint_with_env(&empty_env()).unwrap();
    // 8 × 400 W × 10 h × 0.75.
    assert!(is_close(footprint.energy.total.kilowatt_hours(), 24.0), "{:?}", footprint.energy);
    assert!(is_close(footprint.energy.low.kilowatt_hours(), 32.0 * 0.15));
    assert!(is_close(footprint.energy.high.kilowatt_hours(), 32.0));
    assert!(is_close(footprint.energy.gpu.kilowatt_hours(), 24.0));
    assert_eq!(footprint.energy.pue_origin, PueOrigin::Region.as_str());
    // SERC Virginia/Carolina at 270.5 g, and Amazon's PUE of 1.15 for 2025.
    assert!(is_close(footprint.emissions.best.grams(), 24.0 * 1.15 * 270.5), "{:?}", footprint.emissions);
    assert!(
        footprint.emissions.low < footprint.emissions.best
            && footprint.emissions.best < footprint.emissions.high
    );
    assert_eq!(footprint.hardware, "8 x A100 SXM4 80GB");
    let [component] = &footprint.components[..] else { panic!("{:?}", footprint.components) };
    assert_eq!((component.method, component.note.is_some()), (Some(MeasurementMethod::Modelled), true));
    assert!(
        is_close(component.mean_power.unwrap().watts(), 2_400.0)
            && is_close(footprint.run.duration_s, 36_000.0)
    );
    assert_eq!(
        (footprint.grid.origin, footprint.grid.basis),
        (LocationSource::Argument, EmissionScope::DirectGeneration)
    );
    assert_eq!(
        footprint.notes,
        [
            "nothing was measured: modelled from 8 x A100 SXM4 80GB at 300.0 W each for 10 h; the dates of the training are unknown"
        ]
    );
    assert_eq!(Footprint::from_json(&footprint.to_json().unwrap()).unwrap(), footprint);
}

#[test]
fn year_selects_its_own_intensity() {
    let estimate =
        || Estimate::new(Accelerator::from_name("T4").unwrap(), 1.0, 1).unwrap().place("FR".parse().unwrap());
    let footprint = estimate().year(2019).footprint_with_env(&empty_env()).unwrap();
    assert_eq!((footprint.grid.year, footprint.run.started.as_str()), (Some(2019), "2019-01-01T00:00:00Z"));
    assert_eq!(estimate().footprint_with_env(&empty_env()).unwrap().grid.year, Some(2025));
}

#[test]
fn local_time_zone_is_ignored() {
    let estimate = Estimate::new(Accelerator::from_name("T4").unwrap(), 1.0, 1).unwrap();
    let footprint = estimate.footprint_with_env(&empty_env()).unwrap();
    assert_eq!(
        (footprint.grid.origin, footprint.grid.method),
        (LocationSource::Unknown, IntensityKind::Table)
    );
    assert!(footprint.notes.iter().any(|note| note.contains("location unknown")));
}

#[test]
fn invalid_hours_and_counts_are_rejected() {
    let device = || Accelerator::from_name("T4").unwrap();
    for hours in [0.0, -1.0, f64::NAN, f64::INFINITY, 1e13] {
        assert!(
            matches!(Estimate::new(device(), hours, 1), Err(EstimateError::InvalidHours { .. })),
            "{hours}"
        );
    }
    assert!(matches!(Estimate::new(device(), 1.0, 0), Err(EstimateError::NoDevices)));
}
