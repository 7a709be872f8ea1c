//! Who supplies what: each moment of each component is counted from one ledger.

use std::collections::BTreeMap;

use sootprint_core::{ComponentKind, Energy, MeasurementMethod};
use sootprint_power::{ComponentInfo, ComponentTotal};

use super::PlacedLedger;

/// What one ledger supplies of one component, from one moment to another of its own time.
pub(super) struct ComponentContribution {
    pub(super) ledger: usize,
    pub(super) component: usize,
    pub(super) from: f64,
    pub(super) to: f64,
    pub(super) total: ComponentTotal,
}

/// What two ledgers have in common when they claim the same: the clock, the kind, the id and the allocation.
pub(super) type CoverageKey = (String, ComponentKind, String, String);

/// A span of time that a ledger claims of a component.
pub(super) struct CoverageSpan {
    pub(super) ledger: usize,
    pub(super) component: usize,
    /// By the clock of the key.
    pub(super) start: f64,
    pub(super) end: f64,
}

pub(super) fn contributions(ledgers: &[PlacedLedger<'_>]) -> Vec<ComponentContribution> {
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
    // As the ledgers list them.
    contributions.sort_by_key(|contribution| (contribution.ledger, contribution.component));
    contributions
}

/// Of claims of one thing, each with the moment from which it supplies what no earlier one does. The first one stands for
/// the thing, however short it is.
pub(super) fn resolve_overlaps(mut spans: Vec<CoverageSpan>) -> Vec<(CoverageSpan, f64)> {
    spans.sort_by(|one, other| one.start.total_cmp(&other.start).then(one.ledger.cmp(&other.ledger)));
    let mut reached = f64::NEG_INFINITY;
    let mut resolved = Vec::new();
    for span in spans {
        let from = span.start.max(reached);
        reached = reached.max(span.end);
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

/// Of what part of its host a component is.
pub(super) fn allocation_id<'a>(ledger: &'a PlacedLedger<'_>, component: &ComponentInfo) -> &'a str {
    let task = &ledger.builder.header.task;
    // RAPL measures the memory of a package, of which a job has the share that it has of the CPUs.
    let is_share_of_memory =
        component.kind == ComponentKind::Memory && component.method != MeasurementMethod::Counter;
    let share = if is_share_of_memory { &task.memory } else { &task.processors };
    share.as_deref().filter(|_| component.kind != ComponentKind::Gpu).unwrap_or_default()
}

impl PlacedLedger<'_> {
    /// The energy of a component from one moment of the ledger's own time to another, on the lines between its readings.
    pub(super) fn energy_between(&self, component: usize, from: f64, to: f64) -> Energy {
        let [from, to] = [from, to].map(|at| self.builder.trace.energy_at(component, at));
        if to < from { Energy::ZERO } else { to - from }
    }

    /// The totals of a span; the bounds and the times in their proportion.
    fn total_between(&self, component: usize, from: f64, to: f64) -> ComponentTotal {
        let total = self.builder.totals.get(component).copied().unwrap_or_default();
        if from <= 0.0 {
            return total;
        }
        let time = if to > 0.0 { ((to - from) / to).clamp(0.0, 1.0) } else { 0.0 };
        let energy = self.energy_between(component, from, to);
        let fraction =
            if total.energy > Energy::ZERO { energy.joules() / total.energy.joules() } else { time };
        ComponentTotal {
            energy,
            low: total.low * fraction,
            high: total.high * fraction,
            measured: total.measured * time,
            unmeasured: total.unmeasured * time,
            resets: 0,
        }
    }
}
