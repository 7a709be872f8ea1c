//! Title and description of the commit.

use sootprint::Footprint;

/// The title: the energy of the facility and the emissions.
pub(crate) fn commit_title(footprint: &Footprint) -> String {
    format!(
        "Publish weights and footprint ({}, {} CO2e)",
        footprint.energy.facility, footprint.emissions.best
    )
}

/// The line that identifies the commit of a push.
pub(crate) fn push_id_trailer(id: &str) -> String {
    format!("Publication-Id: {id}")
}

/// The description: the caller's text, the footprint in one line, replaced metadata, and the trailer.
pub(crate) fn commit_description(
    user_text: Option<&str>,
    footprint: &Footprint,
    replaced_emissions: Option<&str>,
    replaced_report: Option<&str>,
    trailer: &str,
) -> String {
    let Footprint { run, energy, emissions, grid, hardware, .. } = footprint;
    let mut parts = Vec::new();
    if let Some(training) = run.training_type {
        parts.push(training.as_str().to_owned());
    }
    if !hardware.is_empty() {
        parts.push(hardware.clone());
    }
    parts.push(format!("{:.0} s, {}", run.duration_s, run.outcome.as_str()));
    parts.push(format!("{} at a PUE of {} ({})", energy.facility, energy.pue, energy.pue_origin));
    parts.push(format!("{} CO2e, between {} and {}", emissions.best, emissions.low, emissions.high));
    let place = grid.place.as_deref().unwrap_or("an unknown place");
    parts.push(format!("{} in {place}", grid.intensity));
    if run.partial {
        parts.push("partial: the total is incomplete".to_owned());
    }
    let mut paragraphs: Vec<String> = user_text.map(str::to_owned).into_iter().collect();
    paragraphs.push(parts.join("; "));
    for (key, old) in [("co2_eq_emissions", replaced_emissions), ("dia_report", replaced_report)] {
        paragraphs.extend(old.map(|old| format!("Replaced `{key}`: {old}")));
    }
    paragraphs.push(trailer.to_owned());
    paragraphs.join("\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_footprint;

    #[test]
    fn title_has_energy_and_emissions() {
        assert_eq!(
            commit_title(&test_footprint::sample_footprint()),
            "Publish weights and footprint (726.47 Wh, 40.68 g CO2e)"
        );
    }

    #[test]
    fn description_summarizes_footprint_in_one_line() {
        assert_eq!(
            commit_description(
                Some("A first try."),
                &test_footprint::sample_footprint(),
                None,
                None,
                &push_id_trailer("1")
            ),
            "A first try.\n\npre-training; 2 x NVIDIA H200; 1800 s, completed; 726.47 Wh at a PUE of 1 (assumed); \
             40.68 g CO2e, between 30.00 g and 70.00 g; 56.0 g CO2e/kWh in France\n\nPublication-Id: 1"
        );
    }

    #[test]
    fn description_names_unknown_and_replaced() {
        let mut footprint = test_footprint::sample_footprint();
        footprint.run.training_type = None;
        footprint.run.partial = true;
        footprint.grid.place = None;
        footprint.hardware = String::new();
        let text =
            commit_description(None, &footprint, Some("12.3  # AutoTrain"), Some("{tool: other}"), "trailer");
        assert!(text.starts_with("1800 s, completed; "), "{text}");
        assert!(
            text.ends_with(
                "in an unknown place; partial: the total is incomplete\n\n\
                 Replaced `co2_eq_emissions`: 12.3  # AutoTrain\n\nReplaced `dia_report`: {tool: other}\n\ntrailer"
            ),
            "{text}"
        );
    }
}
