//! The hardware in the section: for how long it was in use, how its energy was found, what is missing.

use sootprint_core::format::{format_duration, join_list, significant_digits};
use sootprint_core::{ComponentKind, ComponentSummary, Footprint, MeasurementMethod};

use crate::format::escape_markdown;

/// Device-hours: each board, or without boards each processor, for as long as it was in use.
pub(super) fn device_hours_text(footprint: &Footprint) -> Option<String> {
    let of = |kind| footprint.components.iter().filter(move |component| component.kind == kind);
    let kind = if of(ComponentKind::Gpu).next().is_some() { ComponentKind::Gpu } else { ComponentKind::Cpu };
    let count = of(kind).count();
    let seconds = device_seconds(footprint, kind);
    let hours = significant_digits(seconds / 3_600.0).filter(|_| count > 0 && seconds > 0.0)?;
    Some(format!("{hours} (device-hours of {count} {}{})", kind.name(), if count == 1 { "" } else { "s" }))
}

/// The seconds for which all components of a kind were in use, added up.
pub(crate) fn device_seconds(footprint: &Footprint, kind: ComponentKind) -> f64 {
    let components = footprint.components.iter().filter(|component| component.kind == kind);
    let seconds = components.map(|component| match component.measured_s + component.unmeasured_s {
        // What was never read was in use all the same.
        seconds if seconds <= 0.0 => footprint.run.duration_s,
        seconds => seconds,
    });
    seconds.sum()
}

/// The hardware whose energy was found in one of these ways, and its part of the total.
pub(super) fn methods_text(
    footprint: &Footprint,
    includes_method: impl Fn(MeasurementMethod) -> bool,
) -> Option<String> {
    let mut groups: Vec<(&ComponentSummary, usize, f64)> = Vec::new();
    for component in footprint.components.iter().filter(|it| it.method.is_some_and(&includes_method)) {
        let same = |(first, ..): &&mut (&ComponentSummary, usize, f64)| {
            (first.kind, &first.name, first.method, first.shared)
                == (component.kind, &component.name, component.method, component.shared)
        };
        match groups.iter_mut().find(same) {
            Some((_, count, joules)) => {
                *count += 1;
                *joules += component.energy.joules();
            }
            None => groups.push((component, 1, component.energy.joules())),
        }
    }
    let total = footprint.energy.total.joules();
    let parts: Vec<String> = groups
        .into_iter()
        .map(|(component, count, joules)| {
            let part = (total > 0.0).then(|| significant_digits(100.0 * joules / total)).flatten();
            let part = part.map_or_else(String::new, |part| format!(", {part} % of the energy"));
            format!("{}{}{part}", group_text(component, count), method_text(component, count))
        })
        .collect();
    (!parts.is_empty()).then(|| parts.join("; "))
}

fn group_text(component: &ComponentSummary, count: usize) -> String {
    let times = if count > 1 { format!("{count} x ") } else { String::new() };
    format!("{times}{} ({})", component.kind.name(), escape_markdown(&component.name))
}

fn method_text(component: &ComponentSummary, count: usize) -> String {
    let by = match component.method {
        Some(MeasurementMethod::Counter) if count > 1 => " by their energy counters",
        Some(MeasurementMethod::Counter) => " by its energy counter",
        Some(MeasurementMethod::Integrated) => " by power readings over time",
        _ => "",
    };
    let part = (component.share < 1.0).then(|| significant_digits(100.0 * component.share)).flatten();
    let part = part.map_or_else(String::new, |part| format!(", the {part} % of it that the job was given"));
    format!("{by}{part}{}", if component.shared { ", used by others at the same time" } else { "" })
}

/// What is not in the total although it was in use.
pub(super) fn unmeasured_text(footprint: &Footprint) -> Option<String> {
    let run = &footprint.run;
    let mut parts = Vec::new();
    if !run.missing_ranks.is_empty() {
        parts.push(format!("{} of {} ranks", run.missing_ranks.len(), run.ranks_expected));
    }
    for kind in [ComponentKind::Gpu, ComponentKind::Cpu, ComponentKind::Memory] {
        let of_kind = footprint.components.iter().filter(|component| component.kind == kind);
        let unread = of_kind.clone().filter(|component| component.method.is_none()).count();
        if unread > 0 {
            parts.push(format!("{unread} x {} that could not be read", kind.name()));
        }
        let unmeasured: f64 = of_kind
            .filter(|component| component.method.is_some())
            .map(|component| component.unmeasured_s)
            .sum();
        if unmeasured > 0.0 {
            parts.push(format!("{} of {}", format_duration(unmeasured), kind.name()));
        }
    }
    let parts = (!parts.is_empty()).then(|| join_list(&parts));
    match (parts, run.partial) {
        (Some(parts), _) => Some(format!("{parts}; not in the figures above")),
        (None, true) => Some("a part of the run; the figures above are too low by it".to_owned()),
        (None, false) => None,
    }
}

/// Beside the total, never subtracted from it.
pub(super) fn idle_text(footprint: &Footprint) -> Option<String> {
    let how = match footprint.energy.idle_method.as_deref()? {
        "baseline" => "measured before the run",
        _ => "at the lowest power that was seen",
    };
    Some(format!(
        "the same hardware would have used {} in that time ({how}); it is included",
        footprint.energy.idle?
    ))
}
