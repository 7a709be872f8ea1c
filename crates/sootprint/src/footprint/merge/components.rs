//! The components of all ledgers.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{ComponentKind, ComponentSummary, Power};
use sootprint_power::ComponentTotal;

use super::contributions::allocation_id;
use super::ledger_merge::LedgerMerge;
use crate::footprint::components::{component_summary, hardware_description, silent_driver, unmapped_device};

impl LedgerMerge<'_> {
    /// One summary for each GPU, and one for the CPUs and one for the memory of each host.
    pub(super) fn component_summaries(&self) -> Vec<ComponentSummary> {
        let mut components: Vec<ComponentSummary> = Vec::new();
        let mut positions: BTreeMap<(String, ComponentKind, String), usize> = BTreeMap::new();
        let mut counted_allocations: BTreeSet<(usize, String)> = BTreeSet::new();
        for contribution in &self.contributions {
            let ledger = &self.ledgers[contribution.ledger];
            let component = &ledger.builder.header.components[contribution.component];
            let summary = ledger.builder.component_summary(contribution.component, contribution.total);
            let key = (ledger.host.clone(), component.kind, component.id.clone());
            let position = *positions.entry(key).or_insert(components.len());
            // Each allocation of a host adds its share once, although several ledgers may contain it.
            let allocation = allocation_id(ledger, component).to_owned();
            let is_new_allocation = counted_allocations.insert((position, allocation));
            match components.get_mut(position) {
                Some(known) => add_to_component(known, summary, is_new_allocation),
                None => components.push(summary),
            }
        }
        components
    }

    /// Devices that no source measures, once per host, and drivers that did not answer in an attempt.
    pub(super) fn unmapped_components(&self) -> Vec<ComponentSummary> {
        let devices: BTreeSet<(&str, &str)> = self
            .ledgers
            .iter()
            .flat_map(|ledger| {
                ledger.builder.unresolved_devices.iter().map(|device| (ledger.host.as_str(), device.as_str()))
            })
            .collect();
        let drivers: BTreeSet<&str> = self
            .ledgers
            .iter()
            .flat_map(|ledger| ledger.builder.header.pending_drivers.iter().map(String::as_str))
            .collect();
        let devices = devices.into_iter().map(|(_, device)| unmapped_device(device));
        devices.chain(drivers.into_iter().map(silent_driver)).collect()
    }

    /// The hardware that trained simultaneously: that of the attempt with the most components, because a run may be
    /// resumed on another machine.
    pub(super) fn hardware_description(&self) -> String {
        let attempts: BTreeSet<u32> = self.ledgers.iter().map(|ledger| ledger.attempt).collect();
        let components_of = |attempt: u32| {
            let mut seen = BTreeSet::new();
            let ledgers = self.ledgers.iter().filter(move |ledger| ledger.attempt == attempt);
            let each = ledgers.flat_map(|ledger| {
                ledger.counted_components().map(move |(_, component)| (ledger, component))
            });
            let distinct =
                each.filter(|(ledger, it)| seen.insert((ledger.host.clone(), it.kind, it.id.clone())));
            distinct
                .map(|(_, component)| component_summary(component, ComponentTotal::default()))
                .collect::<Vec<_>>()
        };
        let most = attempts.into_iter().map(components_of).max_by_key(Vec::len);
        hardware_description(&most.unwrap_or_default())
    }
}

/// Adds the contribution of another ledger, or of another allocation on the same host.
fn add_to_component(known: &mut ComponentSummary, more: ComponentSummary, is_new_allocation: bool) {
    known.method = known.method.max(more.method);
    known.energy += more.energy;
    known.low += more.low;
    known.high += more.high;
    known.measured_s += more.measured_s;
    known.unmeasured_s += more.unmeasured_s;
    known.resets += more.resets;
    known.shared |= more.shared;
    known.fault = known.fault.max(more.fault);
    known.power_limit = known.power_limit.or(more.power_limit);
    known.note = known.note.take().or(more.note);
    if is_new_allocation {
        known.share = (known.share + more.share).min(1.0);
    }
    let mean = known.energy.joules() / known.measured_s;
    known.mean_power = (known.measured_s > 0.0).then(|| Power::from_watts(mean));
}
