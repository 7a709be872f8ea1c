//! The components of a footprint and their sums.

use sootprint_core::{ComponentKind, ComponentSummary, Energy, EnergySummary, Power, Pue};
use sootprint_power::{ComponentInfo, ComponentTotal};

use super::idle::IdleEnergy;

/// The summary of one component. Unmeasured time adds its power limit, or the assumed one, to the high bound.
pub(super) fn component_summary(component: &ComponentInfo, total: ComponentTotal) -> ComponentSummary {
    let was_read = total.measured > 0.0 || total.unmeasured <= 0.0;
    // A GPU may exceed its limit.
    let mean = if total.measured > 0.0 { total.energy.joules() / total.measured } else { 0.0 };
    let unread = component.max_power().unwrap_or_default().watts().max(mean) * total.unmeasured;
    ComponentSummary {
        kind: component.kind,
        id: component.id.clone(),
        name: component.name.clone(),
        method: was_read.then_some(component.method),
        energy: total.energy,
        low: total.low,
        high: total.high + Energy::from_joules(unread),
        mean_power: (total.measured > 0.0).then(|| Power::from_watts(total.energy.joules() / total.measured)),
        power_limit: component.limit,
        share: component.share,
        shared: false,
        measured_s: total.measured,
        unmeasured_s: total.unmeasured,
        resets: total.resets,
        fault: None,
        note: component.note.clone(),
    }
}

/// The GPUs of a driver that did not answer during the run. How many there are is unknown.
pub(super) fn silent_driver(driver: &str) -> ComponentSummary {
    ComponentSummary {
        note: Some("the driver did not answer during the run; `dmesg` may show why".to_owned()),
        ..unmapped_device(&format!("GPUs of {driver}"))
    }
}

/// A device that the framework trained on and that no source measures.
pub(super) fn unmapped_device(device: &str) -> ComponentSummary {
    ComponentSummary {
        kind: ComponentKind::Gpu,
        id: device.to_owned(),
        name: device.to_owned(),
        method: None,
        energy: Energy::ZERO,
        low: Energy::ZERO,
        high: Energy::ZERO,
        mean_power: None,
        power_limit: None,
        share: 1.0,
        shared: false,
        measured_s: 0.0,
        unmeasured_s: 0.0,
        resets: 0,
        fault: None,
        note: Some(
            "used by the training but not measured by any source of this machine; see `sootprint doctor`"
                .to_owned(),
        ),
    }
}

/// The energy of all components, in total and by kind. Without a PUE, the factor is 1.
pub(super) fn energy_summary<'a>(
    components: impl Iterator<Item = &'a ComponentSummary> + Clone,
    idle: Option<IdleEnergy>,
    pue: Option<Pue>,
    facility: Energy,
) -> EnergySummary {
    let of_kind = |kind| components.clone().filter(|it| it.kind == kind).map(|it| it.energy).sum::<Energy>();
    EnergySummary {
        total: components.clone().map(|component| component.energy).sum(),
        low: components.clone().map(|component| component.low).sum(),
        high: components.clone().map(|component| component.high).sum(),
        gpu: of_kind(ComponentKind::Gpu),
        cpu: of_kind(ComponentKind::Cpu),
        memory: of_kind(ComponentKind::Memory),
        idle: idle.as_ref().map(|idle| idle.energy),
        idle_method: idle.map(|idle| idle.method.to_owned()),
        pue: pue.map_or(1.0, |pue| pue.factor()),
        pue_origin: pue.map_or_else(String::new, |pue| pue.origin().as_str().to_owned()),
        pue_year: pue.and_then(|pue| pue.year()),
        facility,
    }
}

/// The number and name of the GPUs, grouped by name; of the CPUs if there is no GPU.
pub(super) fn hardware_description(components: &[ComponentSummary]) -> String {
    let kind = if components.iter().any(|it| it.kind == ComponentKind::Gpu) {
        ComponentKind::Gpu
    } else {
        ComponentKind::Cpu
    };
    let mut counts: Vec<(&str, usize)> = Vec::new();
    for component in components.iter().filter(|component| component.kind == kind) {
        match counts.iter_mut().find(|(name, _)| *name == component.name) {
            Some((_, count)) => *count += 1,
            None => counts.push((&component.name, 1)),
        }
    }
    let lines: Vec<String> = counts.iter().map(|(name, count)| format!("{count} x {name}")).collect();
    lines.join(", ")
}
