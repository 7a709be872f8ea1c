//! Checks a footprint that was read: files come from other people and other tools.
//!
//! Energies, powers, emissions and intensities are checked when they are parsed.

use super::Footprint;

/// The highest number of ranks, attempts and processes.
const MAX_PROCESSES: usize = 1 << 16;
const MAX_EPOCHS: usize = 1_000_000;
/// A century.
const MAX_SECONDS: f64 = 3.2e9;

/// Sums are rounded in a different order than their parts.
const ROUNDING: f64 = 1e-6;

impl Footprint {
    /// Checks that all numbers are possible and that bounds are in order.
    ///
    /// # Errors
    /// What is wrong, with the name of the field.
    pub(super) fn check_values(&self) -> Result<(), String> {
        check_counts(self)?;
        check_numbers(self)?;
        check_order(self)
    }
}

fn check_counts(footprint: &Footprint) -> Result<(), String> {
    let run = &footprint.run;
    let counts = [
        ("run.ranks", run.ranks as usize, MAX_PROCESSES),
        ("run.ranks_expected", run.ranks_expected as usize, MAX_PROCESSES),
        ("run.missing_ranks", run.missing_ranks.len(), MAX_PROCESSES),
        ("run.attempts", run.attempts as usize, MAX_PROCESSES),
        ("components", footprint.components.len(), MAX_EPOCHS),
        ("epochs", footprint.epochs.len(), MAX_EPOCHS),
    ];
    match counts.into_iter().find(|(_, count, limit)| count > limit) {
        Some((name, count, limit)) => Err(format!("`{name}`: {count}, at most {limit} are possible")),
        None => Ok(()),
    }
}

fn check_numbers(footprint: &Footprint) -> Result<(), String> {
    let (run, energy) = (&footprint.run, &footprint.energy);
    check_number("run.duration_s", run.duration_s, MAX_SECONDS)?;
    check_number("energy.pue", energy.pue, 100.0)?;
    for process in &run.processes {
        check_number("run.processes.duration_s", process.duration_s.unwrap_or(0.0), MAX_SECONDS)?;
    }
    for component in &footprint.components {
        check_number("components.share", component.share, 1.0 + ROUNDING)?;
        check_number("components.measured_s", component.measured_s, MAX_SECONDS)?;
        check_number("components.unmeasured_s", component.unmeasured_s, MAX_SECONDS)?;
    }
    for epoch in &footprint.epochs {
        check_number("epochs.start_s", epoch.start_s.unwrap_or(0.0), MAX_SECONDS)?;
        check_number("epochs.duration_s", epoch.duration_s, MAX_SECONDS)?;
    }
    for phase in footprint.phases.iter().chain(footprint.epochs.iter().flat_map(|epoch| &epoch.phases)) {
        check_number("phases.duration_s", phase.duration_s, MAX_SECONDS)?;
    }
    for place in &footprint.grid.places {
        check_number("grid.places.share", place.share, 1.0 + ROUNDING)?;
    }
    for (at, watts) in &footprint.power {
        check_number("power", *at, MAX_SECONDS)?;
        check_number("power", *watts, 1e18)?;
    }
    Ok(())
}

fn check_number(name: &str, number: f64, limit: f64) -> Result<(), String> {
    if (0.0..=limit).contains(&number) {
        Ok(())
    } else {
        Err(format!("`{name}`: {number} is not between 0 and {limit}"))
    }
}

fn check_order(footprint: &Footprint) -> Result<(), String> {
    let (energy, emissions, grid) = (&footprint.energy, &footprint.emissions, &footprint.grid);
    let joules = [energy.low, energy.total, energy.high].map(|it| it.joules());
    let grams = [emissions.low, emissions.best, emissions.high].map(|it| it.grams());
    let intensities = [grid.low, grid.intensity, grid.high].map(|it| it.grams_per_kilowatt_hour());
    check_bounds("energy", joules)?;
    check_bounds("emissions", grams)?;
    check_bounds("grid", intensities)?;
    for component in &footprint.components {
        check_bounds("components", [component.low, component.energy, component.high].map(|it| it.joules()))?;
    }
    match footprint.power.windows(2).find(|pair| pair[1].0 < pair[0].0) {
        Some(pair) => Err(format!("`power`: {} s comes after {} s", pair[1].0, pair[0].0)),
        None => Ok(()),
    }
}

fn check_bounds(name: &str, [low, best, high]: [f64; 3]) -> Result<(), String> {
    let margin = ROUNDING * high;
    if low <= best + margin && best <= high + margin {
        Ok(())
    } else {
        Err(format!("`{name}`: {best} is not between its bounds {low} and {high}"))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    #[test]
    fn impossible_value_is_refused_by_name() {
        let sample: Value = serde_json::from_str(include_str!("sample.json")).unwrap();
        for (pointer, value, name) in [
            ("/energy/total_j", json!(-1.0), "energy of -1"),
            ("/energy/total_j", json!(1e300), "energy of 1"),
            ("/energy/low_j", json!(1e12), "`energy`"),
            ("/emissions/high_grams", json!(0.0), "`emissions`"),
            ("/emissions/grams", json!(-0.5), "emissions of -0.5"),
            ("/grid/g_per_kwh", json!(-3.0), "carbon intensity of -3"),
            ("/grid/low", json!(1e9), "`grid`"),
            ("/components/0/mean_w", json!(-1.0), "power of -1"),
            ("/components/0/share", json!(1.5), "`components.share`"),
            ("/components/0/high_j", json!(0.0), "`components`"),
            ("/run/duration_s", json!(-1.0), "`run.duration_s`"),
            ("/run/duration_s", json!(1e300), "`run.duration_s`"),
            ("/run/ranks", json!(u32::MAX), "`run.ranks`"),
            ("/run/attempts", json!(u32::MAX), "`run.attempts`"),
            ("/energy/pue", json!(-1.0), "`energy.pue`"),
            ("/epochs/0/duration_s", json!(-1.0), "`epochs.duration_s`"),
            ("/power", json!([[1.0, 10.0], [0.5, 10.0]]), "`power`: 0.5 s comes after 1 s"),
            ("/power", json!([[1.0, -10.0]]), "`power`"),
        ] {
            let mut document = sample.clone();
            *document.pointer_mut(pointer).unwrap_or_else(|| panic!("no {pointer}")) = value;
            let error = Footprint::from_json(&document.to_string()).unwrap_err();
            let text = crate::format::error_chain(&error);
            assert!(text.contains(name), "{pointer}: {text}");
        }
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let mut document: Value = serde_json::from_str(include_str!("sample.json")).unwrap();
        let known = Footprint::from_json(&document.to_string()).unwrap();
        document["run"]["colour"] = json!("green");
        document["a_newer_section"] = json!([1, 2]);
        assert_eq!(Footprint::from_json(&document.to_string()).unwrap(), known);
    }

    #[test]
    fn number_that_is_not_finite_is_refused() {
        let text =
            include_str!("sample.json").replacen("\"duration_s\":", "\"duration_s\": 1e999, \"was\":", 1);
        assert!(Footprint::from_json(&text).is_err());
    }
}
