//! Checks a footprint that was read: files come from other people and other tools.
//!
//! Energies, powers, emissions and intensities are checked when they are parsed.

use super::Footprint;
use crate::limits::{MAX_EPOCHS, MAX_RANKS, check_bounds, check_range, check_seconds, check_share};

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
    let max_processes = MAX_RANKS as usize;
    let counts = [
        ("run.ranks", run.ranks as usize, max_processes),
        ("run.ranks_expected", run.ranks_expected as usize, max_processes),
        ("run.missing_ranks", run.missing_ranks.len(), max_processes),
        ("run.attempts", run.attempts as usize, max_processes),
        ("run.processes", run.processes.len(), MAX_EPOCHS),
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
    check_seconds("run.duration_s", run.duration_s)?;
    check_range("energy.pue", energy.pue, 0.0, 100.0)?;
    for process in &run.processes {
        check_seconds("run.processes.duration_s", process.duration_s.unwrap_or(0.0))?;
    }
    for component in &footprint.components {
        check_share("components.share", component.share)?;
        check_seconds("components.measured_s", component.measured_s)?;
        check_seconds("components.unmeasured_s", component.unmeasured_s)?;
    }
    for epoch in &footprint.epochs {
        check_seconds("epochs.start_s", epoch.start_s.unwrap_or(0.0))?;
        check_seconds("epochs.duration_s", epoch.duration_s)?;
    }
    for phase in footprint.phases.iter().chain(footprint.epochs.iter().flat_map(|epoch| &epoch.phases)) {
        check_seconds("phases.duration_s", phase.duration_s)?;
    }
    for place in &footprint.grid.places {
        check_share("grid.places.share", place.share)?;
    }
    for (at, watts) in &footprint.power {
        check_seconds("power", *at)?;
        check_range("power", *watts, 0.0, 1e18)?;
    }
    Ok(())
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
