//! The parts of the machine, as a footprint lists them.

use sootprint_core::{ComponentKind, Energy, Power};
use sootprint_power::{ComponentInfo, ComponentTotal};

use super::super::ComponentSummary;

/// What one component used.
pub(super) fn component_summary(component: &ComponentInfo, total: ComponentTotal) -> ComponentSummary {
    let was_read = total.measured > 0.0 || total.unmeasured <= 0.0;
    let unread = component.limit.unwrap_or_default().watts() * total.unmeasured;
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
        note: component.note.clone(),
    }
}

/// A device that the framework trained on and no source knows.
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
        note: Some(
            "it was trained on and no source of this machine measures it; see `sootprint doctor`".to_owned(),
        ),
    }
}

/// Boards of one name are counted; processors are named where there is no board.
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
