//! Attributes each component's time to exactly one ledger.

use std::collections::BTreeMap;

use sootprint_core::{ComponentKind, MeasurementMethod};
use sootprint_power::{ComponentInfo, ComponentTotal};

use super::placed_ledger::PlacedLedger;

/// The part of one component's total that is taken from one ledger. Times are those of the ledger.
pub(super) struct ComponentContribution {
    /// Index of the ledger.
    pub(super) ledger: usize,
    /// Index of the component within the ledger.
    pub(super) component: usize,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) total: ComponentTotal,
}

/// Identifies the same hardware in several ledgers: clock domain, kind, id and allocation.
pub(super) type CoverageKey = (String, ComponentKind, String, String);

/// A time span of a component that a ledger covers, by the clock of the key.
pub(super) struct CoverageSpan {
    /// Index of the ledger.
    pub(super) ledger: usize,
    /// Index of the component within the ledger.
    pub(super) component: usize,
    pub(super) start: f64,
    pub(super) end: f64,
}

/// All contributions, in the order of ledgers and components.
pub(super) fn list_contributions(ledgers: &[PlacedLedger<'_>]) -> Vec<ComponentContribution> {
    let mut spans: BTreeMap<CoverageKey, Vec<CoverageSpan>> = BTreeMap::new();
    for (index, ledger) in ledgers.iter().enumerate() {
        for (position, component) in ledger.counted_components() {
            let span =
                CoverageSpan { ledger: index, component: position, start: ledger.start, end: ledger.end };
            spans.entry(coverage_key(ledger, component)).or_default().push(span);
        }
    }
    let mut contributions: Vec<ComponentContribution> = spans
        .into_values()
        .flat_map(resolve_overlaps)
        .map(|(span, from)| {
            let ledger = &ledgers[span.ledger];
            let (from, to) = (from - span.start, span.end - span.start);
            let total = ledger.total_between(span.component, from, to);
            ComponentContribution { ledger: span.ledger, component: span.component, from, to, total }
        })
        .collect();
    contributions.sort_by_key(|contribution| (contribution.ledger, contribution.component));
    contributions
}

/// Removes overlaps from the spans of one component: each remaining span is paired with the time from which no earlier
/// span covers it. The earliest span is always kept, even if it is empty, so that the component is listed.
pub(super) fn resolve_overlaps(mut spans: Vec<CoverageSpan>) -> Vec<(CoverageSpan, f64)> {
    spans.sort_by(|one, other| one.start.total_cmp(&other.start).then(one.ledger.cmp(&other.ledger)));
    let mut covered_until = f64::NEG_INFINITY;
    let mut resolved = Vec::new();
    for span in spans {
        let from = span.start.max(covered_until);
        covered_until = covered_until.max(span.end);
        if from < span.end || resolved.is_empty() {
            resolved.push((span, from));
        }
    }
    resolved
}

pub(super) fn coverage_key(ledger: &PlacedLedger<'_>, component: &ComponentInfo) -> CoverageKey {
    let allocation = allocation_id(ledger, component).to_owned();
    (ledger.clock_domain.clone(), component.kind, component.id.clone(), allocation)
}

/// The part of the host that a component was measured for; empty for a GPU.
pub(super) fn allocation_id<'a>(ledger: &'a PlacedLedger<'_>, component: &ComponentInfo) -> &'a str {
    let task = &ledger.builder.header.task;
    // RAPL measures the memory of a whole package. A job's share of it is its share of the CPUs.
    let has_memory_share =
        component.kind == ComponentKind::Memory && component.method != MeasurementMethod::Counter;
    let share = if has_memory_share { &task.memory } else { &task.processors };
    share.as_deref().filter(|_| component.kind != ComponentKind::Gpu).unwrap_or_default()
}
