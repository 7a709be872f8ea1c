//! The text of a footprint: notes first, then the figures with their bounds and sources.

use std::fmt;

use super::{ComponentSummary, Footprint, PerItemUsage};
use crate::grid::{EmissionScope, IntensityKind};

/// Maximum length of a wrapped line, in characters.
///
/// Wrapped lines are those of notes, grid and run; the lines of components are as long as the names.
const LINE_WIDTH: usize = 80;

impl fmt::Display for Footprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for note in &self.notes {
            write_wrapped(f, "Note", note)?;
        }
        let energy = &self.energy;
        writeln!(f, "{:<8}{} ({} to {})", "Energy", energy.total, energy.low, energy.high)?;
        for component in &self.components {
            write_component(f, component)?;
        }
        let emissions = &self.emissions;
        writeln!(f, "{:<8}{} ({} to {})", "CO2e", emissions.best, emissions.low, emissions.high)?;
        for (title, per_item) in [("Sample", self.per_sample()), ("Token", self.per_token())] {
            if let Some(PerItemUsage { energy, emissions_per_thousand }) = per_item {
                writeln!(f, "{title:<8}{} and {emissions_per_thousand} CO2e per 1,000", energy * 1_000.0)?;
            }
        }
        for (index, phase) in self.phases.iter().enumerate() {
            let title = if index == 0 { "Phases" } else { "" };
            let energy = phase.energy.to_string();
            writeln!(f, "{title:<8}{energy:<12}{:<12}{}", format!("{:.1} s", phase.duration_s), phase.name)?;
        }
        write_wrapped(f, "Grid", &grid_summary(self))?;
        write_wrapped(f, "Run", &run_summary(self))
    }
}

/// Writes the energy of a component, its method and its name.
fn write_component(f: &mut fmt::Formatter<'_>, component: &ComponentSummary) -> fmt::Result {
    let kind = component.kind.name();
    // A line break in a name would look like another line of the report.
    let name = component.name.replace(char::is_control, " ");
    let Some(method) = component.method else {
        return writeln!(f, "  {kind:<8}not measured: {name}");
    };
    let energy = component.energy.to_string();
    write!(f, "  {kind:<8}{energy:<12}{:<12}{name}", method.as_str())?;
    if component.unmeasured_s > 0.0 {
        write!(f, ", {:.1} s unmeasured", component.unmeasured_s)?;
    }
    match component.resets {
        0 => {}
        1 => write!(f, ", 1 counter reset")?,
        resets => write!(f, ", {resets} counter resets")?,
    }
    if let Some(fault) = component.fault {
        write!(f, ", {}", fault.as_str())?;
    }
    writeln!(f)
}

fn grid_summary(footprint: &Footprint) -> String {
    let grid = &footprint.grid;
    let unknown_place =
        if grid.method == IntensityKind::Table { "unknown place, world average" } else { "unknown place" };
    let place = match grid.places.as_slice() {
        [] => grid.place.as_deref().unwrap_or(unknown_place).to_owned(),
        places => {
            let each = places.iter().map(|it| {
                let name = it.place.as_deref().unwrap_or("unknown place");
                format!("{name} ({:.0} %, {})", it.share * 100.0, it.intensity)
            });
            each.collect::<Vec<_>>().join(", ") + ", mean"
        }
    };
    let year = grid.year.map_or_else(String::new, |year| format!(" in {year}"));
    let energy = &footprint.energy;
    let source = if grid.source.is_empty() { String::new() } else { format!("; {}", grid.source) };
    // Only a scope that leaves out a known part of the emissions is printed.
    let basis = match grid.basis {
        EmissionScope::DirectGeneration | EmissionScope::DirectConsumption => " (direct emissions only)",
        EmissionScope::LifecycleGeneration | EmissionScope::LifecycleConsumption | EmissionScope::Unknown => {
            ""
        }
    };
    let pue_year = energy.pue_year.map_or_else(String::new, |year| format!(", {year}"));
    let (pue, origin) = (energy.pue, &energy.pue_origin);
    format!("{place}: {}{basis}{year}; PUE {pue:.2} ({origin}{pue_year}){source}", grid.intensity)
}

fn run_summary(footprint: &Footprint) -> String {
    let run = &footprint.run;
    let label = run.training_type.map_or("training type not given", |label| label.as_str());
    let seconds = run.duration_s;
    let completed = footprint.epochs.iter().filter(|epoch| epoch.completed).count();
    let base = run.base_model.as_ref().map_or_else(String::new, |base| format!(" of {base}"));
    let epochs = match (completed, &run.slices) {
        (0, _) => String::new(),
        (1, None) => ", 1 epoch".to_owned(),
        (_, None) => format!(", {completed} epochs"),
        (_, Some(window)) => {
            let count = footprint.epochs.len();
            format!(", {count} window{} of {window}", if count == 1 { "" } else { "s" })
        }
    };
    let outcome = run.outcome.as_str().replace('_', " ");
    let ranks = match (run.ranks, run.ranks_expected.max(run.ranks)) {
        (_, 1) => String::new(),
        (ranks, expected) if ranks < expected => format!(", {ranks} of {expected} ranks"),
        (ranks, _) => format!(", {ranks} ranks"),
    };
    let attempts = if run.attempts > 1 { format!(", {} attempts", run.attempts) } else { String::new() };
    format!("{outcome}{epochs} in {seconds:.1} s{ranks}{attempts}, {label}{base}; {}", run.id)
}

/// Writes a titled text, wrapped between words, with the further lines aligned below the first.
fn write_wrapped(f: &mut fmt::Formatter<'_>, title: &str, text: &str) -> fmt::Result {
    let title = format!("{title:<8}");
    let indent = " ".repeat(title.len());
    let options = textwrap::Options::new(LINE_WIDTH)
        .initial_indent(&title)
        .subsequent_indent(&indent)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    let words: Vec<&str> = text.split_whitespace().collect();
    writeln!(f, "{}", textwrap::fill(&words.join(" "), options))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::CarbonIntensity;
    use crate::footprint::{PhaseSummary, SensorFault};
    use crate::grid::GridPlace;
    use crate::units::{Co2e, Energy};

    #[test]
    fn notes_precede_bounds_and_sources() {
        let footprint = Footprint::from_json(include_str!("sample.json")).unwrap();
        insta::assert_snapshot!(footprint, @r"
        Note    cannot read the energy counter of NVIDIA H200 (GPU-bbbbbbbb): GPU is
                lost; reset the GPU or restart the machine
        Energy  800.00 Wh (750.00 Wh to 888.89 Wh)
          GPU     700.00 Wh   counter     NVIDIA H200
          GPU     not measured: cuda:1
          CPU     90.00 Wh    modelled    AMD EPYC, 10.0 s unmeasured
          memory  10.00 Wh    modelled    64 GiB
        CO2e    35.36 g (28.20 g to 70.50 g)
        Grid    France: 44.2 g CO2e/kWh in 2024; PUE 1.00 (assumed); Ember (2025);
                Energy Institute (2024), with major processing by Our World in Data (CC
                BY 4.0)
        Run     stopped early, 1 epoch in 3600.0 s, fine-tuning of me/digits-base;
                00001-20261123T081500Z-5f3a
        ");
        assert!(footprint.to_string().lines().all(|line| line.chars().count() <= LINE_WIDTH));
    }

    #[test]
    fn doubts_are_displayed() {
        let mut footprint = Footprint::from_json(include_str!("sample.json")).unwrap();
        footprint.components[0].resets = 2;
        footprint.components[0].fault = Some(SensorFault::CounterFaulty);
        let intensity = CarbonIntensity::from_grams_per_kilowatt_hour;
        footprint.grid.places = [("Singapore", 0.75, 488.8), ("Norway", 0.25, 28.7)]
            .map(|(name, share, grams)| GridPlace {
                place: Some(name.to_owned()),
                zone: None,
                share,
                intensity: intensity(grams),
            })
            .into();
        let text = footprint.to_string();
        let text = text.split_whitespace().collect::<Vec<_>>().join(" ");
        for part in [
            "GPU 700.00 Wh counter NVIDIA H200, 2 counter resets, faulty energy counter",
            "Grid Singapore (75 %, 488.8 g CO2e/kWh), Norway (25 %, 28.7 g CO2e/kWh), mean:",
        ] {
            assert!(text.contains(part), "{part} in {text}");
        }
    }

    #[test]
    fn display_lists_per_item_and_phases() {
        let mut footprint = Footprint::from_json(include_str!("sample.json")).unwrap();
        let phase = |name: &str, joules| PhaseSummary {
            name: name.to_owned(),
            duration_s: 1_800.0,
            energy: Energy::from_joules(joules),
            emissions: Co2e::from_grams(1.0),
        };
        footprint.phases = vec![phase("data loading", 360_000.0), phase("forward and backward", 1.8e6)];
        footprint.run.samples = Some(1_000_000);
        footprint.run.slices = Some("1000 steps".to_owned());
        let text = footprint.to_string();
        let lines: Vec<&str> = text.lines().skip(8).take(3).collect();
        // 2.88 MJ and 35.36 g divided by a million samples.
        assert_eq!(
            lines,
            [
                "Sample  2880.0 J and 35.360 mg CO2e per 1,000",
                "Phases  100.00 Wh   1800.0 s    data loading",
                "        500.00 Wh   1800.0 s    forward and backward",
            ]
        );
        assert!(text.contains("1 window of 1000 steps in 3600.0 s"), "{text}");
    }

    #[test]
    fn direct_scope_is_named() {
        let mut footprint = Footprint::from_json(include_str!("sample.json")).unwrap();
        footprint.grid.basis = EmissionScope::DirectGeneration;
        footprint.energy.pue_year = Some(2024);
        "region".clone_into(&mut footprint.energy.pue_origin);
        assert!(grid_summary(&footprint).starts_with(
            "France: 44.2 g CO2e/kWh (direct emissions only) in 2024; PUE 1.00 (region, 2024); Ember"
        ));
        footprint.grid.place = None;
        assert!(grid_summary(&footprint).starts_with("unknown place, world average: "));
        footprint.grid.method = IntensityKind::UserSeries;
        assert!(grid_summary(&footprint).starts_with("unknown place: "));
    }
}
