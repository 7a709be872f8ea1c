//! The hardware in the section: its time in use, how its energy was measured, and what is missing.

use sootprint_core::format::{format_duration, join_list, significant_digits};
use sootprint_core::{ComponentKind, ComponentSummary, Footprint, MeasurementMethod};

use super::energy_unit::EnergyUnit;
use crate::format::escape_markdown;

/// Device-hours: the time in use, summed over all GPUs, or over all CPUs if there is no GPU.
pub(crate) fn device_hours_text(footprint: &Footprint) -> Option<String> {
    let of = |kind| footprint.components.iter().filter(move |component| component.kind == kind);
    let kind = if of(ComponentKind::Gpu).next().is_some() { ComponentKind::Gpu } else { ComponentKind::Cpu };
    let count = of(kind).count();
    let seconds = device_seconds(footprint, kind);
    let hours = significant_digits(seconds / 3_600.0).filter(|_| count > 0 && seconds > 0.0)?;
    Some(format!("{hours} (device-hours of {count} {}{})", kind.name(), if count == 1 { "" } else { "s" }))
}

/// The time in use in seconds, summed over all components of a kind.
pub(crate) fn device_seconds(footprint: &Footprint, kind: ComponentKind) -> f64 {
    let components = footprint.components.iter().filter(|component| component.kind == kind);
    let seconds = components.map(|component| match component.measured_s + component.unmeasured_s {
        // A component without any reading was in use for the whole run.
        seconds if seconds <= 0.0 => footprint.run.duration_s,
        seconds => seconds,
    });
    seconds.sum()
}

/// The hardware whose energy was determined by one of these methods, and its share of the total.
pub(crate) fn methods_text(
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
        // Modelled components have a line of their own, and unmeasured ones are not listed here.
        _ => "",
    };
    let share = (component.share < 1.0).then(|| significant_digits(100.0 * component.share)).flatten();
    let share = share.map_or_else(String::new, |share| format!(", {share} % allocated to the job"));
    format!("{by}{share}{}", if component.shared { ", shared with other processes" } else { "" })
}

/// Hardware that was in use but is not in the total.
pub(crate) fn unmeasured_text(footprint: &Footprint) -> Option<String> {
    let run = &footprint.run;
    let mut parts = Vec::new();
    if !run.missing_ranks.is_empty() {
        parts.push(format!("{} of {} ranks", run.missing_ranks.len(), run.ranks_expected));
    }
    for kind in [ComponentKind::Gpu, ComponentKind::Cpu, ComponentKind::Memory] {
        let of_kind = footprint.components.iter().filter(|component| component.kind == kind);
        let unread = of_kind.clone().filter(|component| component.method.is_none()).count();
        if unread > 0 {
            parts.push(format!("{unread} x {} without readings", kind.name()));
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
        (Some(parts), _) => Some(format!("{parts}; not included in the figures above")),
        (None, true) => Some("part of the run; the figures above are too low".to_owned()),
        (None, false) => None,
    }
}

/// The idle energy, which is part of the total and never subtracted from it.
pub(crate) fn idle_text(footprint: &Footprint) -> Option<String> {
    let how = match footprint.energy.idle_method.as_deref()? {
        "baseline" => "idle power measured before the run",
        _ => "at the lowest observed power",
    };
    let idle = EnergyUnit::of(footprint.energy.facility).format(footprint.energy.idle?);
    Some(format!(
        "if idle, the hardware would have used {idle} in the same time ({how}); included in the figures above"
    ))
}
