//! The epochs of all ranks and attempts.

use std::collections::BTreeMap;

use sootprint_core::{Energy, EpochSummary, GridIntensity};

use super::contributions::{CoverageKey, CoverageSpan, coverage_key, resolve_overlaps};
use super::ledger_merge::LedgerMerge;
use super::phases::AttributedEnergy;
use crate::footprint::epochs::RecordedEpoch;
use crate::footprint::phases::merge_parallel_phases;
use crate::ledger::WorkCounts;

/// An epoch of one ledger.
struct LedgerEpoch<'a> {
    /// Index of the ledger.
    ledger: usize,
    epoch: &'a RecordedEpoch,
}

impl LedgerMerge<'_> {
    /// One summary per epoch and attempt, with the energy of all ranks. An epoch that was trained twice in one attempt is
    /// listed twice.
    pub(super) fn epoch_summaries(&self, grid: &GridIntensity) -> Vec<EpochSummary> {
        let mut epochs: BTreeMap<(u32, u32, usize), Vec<LedgerEpoch<'_>>> = BTreeMap::new();
        for (index, ledger) in self.ledgers.iter().enumerate() {
            let mut times: BTreeMap<u32, usize> = BTreeMap::new();
            for epoch in &ledger.builder.epochs {
                let repetition = times.entry(epoch.epoch).or_default();
                let ledger_epoch = LedgerEpoch { ledger: index, epoch };
                epochs.entry((ledger.attempt, epoch.epoch, *repetition)).or_default().push(ledger_epoch);
                *repetition += 1;
            }
        }
        let mut epochs: Vec<EpochSummary> = epochs
            .into_iter()
            .map(|((attempt, number, _), ledger_epochs)| {
                self.epoch_summary(attempt, number, &ledger_epochs, grid)
            })
            .collect();
        let start = |epoch: &EpochSummary| epoch.start_s.unwrap_or_default();
        epochs.sort_by(|one, other| start(one).total_cmp(&start(other)));
        epochs
    }

    fn epoch_summary(
        &self,
        attempt: u32,
        number: u32,
        ledger_epochs: &[LedgerEpoch<'_>],
        grid: &GridIntensity,
    ) -> EpochSummary {
        let (mut start, mut end) = (f64::INFINITY, f64::NEG_INFINITY);
        let mut spans: BTreeMap<CoverageKey, Vec<CoverageSpan>> = BTreeMap::new();
        for (position, ledger_epoch) in ledger_epochs.iter().enumerate() {
            let ledger = &self.ledgers[ledger_epoch.ledger];
            let (from, to) =
                (ledger_epoch.epoch.start, ledger_epoch.epoch.start + ledger_epoch.epoch.duration);
            start = start.min(ledger.offset + from);
            end = end.max(ledger.offset + to);
            for (component, it) in ledger.counted_components() {
                let (start, end) = (ledger.start + from, ledger.start + to);
                spans.entry(coverage_key(ledger, it)).or_default().push(CoverageSpan {
                    ledger: position,
                    component,
                    start,
                    end,
                });
            }
        }
        let resolved = spans.into_values().flat_map(resolve_overlaps);
        let mut attributed = AttributedEnergy::default();
        for (span, from) in resolved {
            let LedgerEpoch { ledger, epoch } = ledger_epochs[span.ledger];
            let total = epoch.energy.get(span.component).copied().unwrap_or_default();
            let ledger = &self.ledgers[ledger];
            let (start, end) = (epoch.start, epoch.start + epoch.duration);
            // The energy at the epoch's boundaries is measured; at a cut within the epoch it is interpolated.
            let epoch_energy = ledger.energy_between(span.component, start, end);
            let remaining_energy = ledger.energy_between(span.component, from - ledger.start, end);
            let time_share = (span.end - from) / (span.end - span.start);
            let share = match () {
                () if from <= span.start => 1.0,
                () if epoch_energy > Energy::ZERO => remaining_energy.joules() / epoch_energy.joules(),
                () if time_share.is_finite() => time_share,
                () => 0.0,
            };
            attributed.add((span.ledger, span.component), total, share);
        }
        let (energy, counts) = (attributed.energy, total_counts(ledger_epochs));
        let pue =
            ledger_epochs.first().map_or(1.0, |first| self.ledgers[first.ledger].builder.header.pue.factor());
        EpochSummary {
            epoch: number,
            attempt,
            start_s: Some(start),
            duration_s: end - start,
            energy,
            emissions: energy * pue * grid.intensity,
            completed: ledger_epochs.iter().all(|it| it.epoch.completed),
            samples: counts.samples,
            tokens: counts.tokens,
            phases: merge_parallel_phases(ledger_epochs.iter().enumerate().map(
                |(position, ledger_epoch)| {
                    attributed.phase_summaries(position, &ledger_epoch.epoch.phases, pue, grid)
                },
            )),
        }
    }
}

/// The work of all ranks in one epoch.
fn total_counts(ledger_epochs: &[LedgerEpoch<'_>]) -> WorkCounts {
    let mut counts = WorkCounts::default();
    ledger_epochs.iter().for_each(|it| counts.add(it.epoch.counts));
    counts
}
