//! Places ledgers in time.

use std::collections::{BTreeMap, BTreeSet};

use sootprint_core::{Energy, RunStatus};
use sootprint_power::{ComponentInfo, ComponentTotal};

use crate::footprint::FootprintBuilder;

/// One ledger and its position among the others. All times are in seconds.
pub(super) struct PlacedLedger<'a> {
    pub(super) builder: &'a FootprintBuilder,
    pub(super) status: RunStatus,
    pub(super) attempt: u32,
    pub(super) rank: u32,
    pub(super) host: String,
    /// `start` and `end` are only comparable within one clock domain.
    pub(super) clock_domain: String,
    pub(super) start: f64,
    pub(super) end: f64,
    /// From the start of the run to the start of the ledger, on the time axis of epochs and power.
    pub(super) offset: f64,
}

/// Sorts ledgers by attempt and rank and places them in time: each attempt starts where the previous one ended.
pub(super) fn place_ledgers(ledgers: &[(FootprintBuilder, RunStatus)]) -> Vec<PlacedLedger<'_>> {
    let mut placed: Vec<PlacedLedger<'_>> = ledgers
        .iter()
        .map(|(builder, default_status)| PlacedLedger::unplaced(builder, *default_status))
        .collect();
    placed.sort_by_key(|ledger| (ledger.attempt, ledger.rank));
    let mut attempt_start = 0.0;
    for attempt in placed.iter().map(|ledger| ledger.attempt).collect::<BTreeSet<_>>() {
        let mut spans: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for ledger in placed.iter().filter(|ledger| ledger.attempt == attempt) {
            let span = spans.entry(ledger.clock_domain.clone()).or_insert((ledger.start, ledger.end));
            *span = (span.0.min(ledger.start), span.1.max(ledger.end));
        }
        for ledger in placed.iter_mut().filter(|ledger| ledger.attempt == attempt) {
            ledger.offset = attempt_start + ledger.start
                - spans.get(&ledger.clock_domain).map_or(ledger.start, |span| span.0);
        }
        attempt_start += spans.values().map(|(start, end)| end - start).fold(0.0, f64::max);
    }
    placed
}

impl<'a> PlacedLedger<'a> {
    fn unplaced(builder: &'a FootprintBuilder, default_status: RunStatus) -> Self {
        let task = &builder.header.task;
        let (host, clock_domain, start) = match (&task.host, task.booted) {
            (Some(host), Some(booted)) => (host.clone(), host.clone(), booted),
            // Without the host's clock, the ledger cannot be compared with any other.
            _ => {
                let rank = format!("rank {}", task.rank);
                (rank.clone(), format!("{rank}, attempt {}", task.attempt), 0.0)
            }
        };
        Self {
            builder,
            status: builder.status.unwrap_or(default_status),
            attempt: task.attempt,
            rank: task.rank,
            host,
            clock_domain,
            start,
            end: start + builder.elapsed,
            offset: 0.0,
        }
    }
}

impl PlacedLedger<'_> {
    /// The components that are part of the footprint, with their indices.
    pub(super) fn counted_components(&self) -> impl Iterator<Item = (usize, &ComponentInfo)> {
        let each = self.builder.header.components.iter().enumerate();
        each.filter(|(position, component)| self.builder.is_counted(*position, component))
    }

    /// The energy of a component between two times of the ledger, interpolated between readings.
    pub(super) fn energy_between(&self, component: usize, from: f64, to: f64) -> Energy {
        let [from, to] = [from, to].map(|at| self.builder.trace.energy_at(component, at));
        if to < from { Energy::ZERO } else { to - from }
    }

    /// The totals of a component between two times of the ledger. Bounds are scaled with the energy, and measured and
    /// unmeasured time with the length.
    pub(super) fn total_between(&self, component: usize, from: f64, to: f64) -> ComponentTotal {
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
