//! From a ledger's entries to a footprint: the same sum for a run that goes on and for one that is read again.

mod components;
mod epochs;
mod merge;
mod notes;
mod trace;

use std::collections::BTreeMap;

use jiff::Timestamp;
use sootprint_core::{
    Co2e, ComponentKind, Energy, GridIntensity, IntensitySeries, Power, RunStatus, energy_weighted,
};
use sootprint_power::{ComponentInfo, ComponentTotal, GpuUsers};

use super::{ComponentSummary, EmissionsSummary, EnergySummary, Footprint, RunSummary};
use crate::ledger::{LedgerEntry, OpenEpoch, RunHeader, WorkCounts};
use components::{component_summary, hardware_description, unmapped_device};
use epochs::{OutsideEpochs, RecordedEpoch};
use trace::{EnergyTrace, idle_energy_from_lowest_power};

pub(crate) use merge::merge_ledgers;

/// What the entries so far add up to.
#[derive(Debug, Clone)]
pub(crate) struct FootprintBuilder {
    header: Box<RunHeader>,
    /// Positions of the boards that the framework trains on; none until it said so.
    training_gpus: Option<Vec<usize>>,
    unresolved_devices: Vec<String>,
    /// Who was seen on each component, over the whole run.
    users: BTreeMap<usize, GpuUsers>,
    /// The power of each component at rest, if it was measured.
    idle_power: Option<Vec<Power>>,
    planned_epochs: Option<u32>,
    elapsed: f64,
    /// The last totals, and the moment that they are of.
    totals: Vec<ComponentTotal>,
    totals_at: f64,
    epochs: Vec<RecordedEpoch>,
    /// What other ranks counted in epochs that have not ended here.
    pending_counts: BTreeMap<u32, WorkCounts>,
    /// What was counted outside of epochs, and the phases there.
    outside_epochs: OutsideEpochs,
    window_length: Option<String>,
    notes: Vec<String>,
    status: Option<RunStatus>,
    intensity_series: Option<IntensitySeries>,
    trace: EnergyTrace,
}

/// An idle energy and the word for how it was found.
type IdleEnergy = (Energy, &'static str);

impl FootprintBuilder {
    pub(crate) fn new(header: Box<RunHeader>) -> Self {
        Self {
            header,
            training_gpus: None,
            unresolved_devices: Vec::new(),
            users: BTreeMap::new(),
            idle_power: None,
            planned_epochs: None,
            elapsed: 0.0,
            totals: Vec::new(),
            totals_at: 0.0,
            epochs: Vec::new(),
            pending_counts: BTreeMap::new(),
            outside_epochs: OutsideEpochs::default(),
            window_length: None,
            notes: Vec::new(),
            status: None,
            intensity_series: None,
            trace: EnergyTrace::default(),
        }
    }

    pub(crate) fn apply(&mut self, entry: LedgerEntry) {
        match entry {
            LedgerEntry::Header(header) => self.header = header,
            LedgerEntry::Devices { components, unresolved, .. } => {
                self.add_training_devices(components, unresolved)
            }
            LedgerEntry::GpuUsers { component, users, .. } => {
                let seen = self.users.entry(component).or_default();
                *seen = GpuUsers { own: seen.own || users.own, foreign: seen.foreign || users.foreign };
            }
            LedgerEntry::IdlePower { power } => self.idle_power = Some(power),
            LedgerEntry::TrainingType { training_type, base_model } => {
                (self.header.training_type, self.header.base_model) = (training_type, base_model);
            }
            LedgerEntry::EpochsPlanned { epochs } => self.planned_epochs = Some(epochs),
            LedgerEntry::Totals { at, totals } => self.set_totals(at, totals),
            LedgerEntry::Energy { at, energy } => self.set_totals(at, self.extrapolate_totals(at, &energy)),
            LedgerEntry::Heartbeat { at, totals, epoch } => self.apply_heartbeat(at, totals, epoch),
            LedgerEntry::Resumed { run, attempt } => {
                self.header.run = run;
                self.header.task.attempt = attempt;
            }
            LedgerEntry::Work { epoch, counts } => self.add_counts(epoch, counts),
            LedgerEntry::Epoch { epoch, start, end, energy, completed, mut counts, phases } => {
                self.elapsed = self.elapsed.max(end);
                let duration = end - start;
                counts.add(self.pending_counts.remove(&epoch).unwrap_or_default());
                self.epochs.push(RecordedEpoch { epoch, start, duration, energy, completed, counts, phases });
            }
            LedgerEntry::OutsideEpochs { at, counts, phases } => {
                self.elapsed = self.elapsed.max(at);
                self.outside_epochs.add(counts, phases);
            }
            LedgerEntry::WindowLength { every } => self.window_length = Some(every),
            LedgerEntry::Note { text, .. } => self.add_note(text),
            LedgerEntry::Location { grid, pue } => {
                self.header.grid = *grid;
                self.header.pue = pue;
            }
            LedgerEntry::Intensity(series) => {
                self.intensity_series = Some(match self.intensity_series.take() {
                    Some(earlier) => earlier.updated_with(series),
                    None => series,
                });
            }
            LedgerEntry::End { at, outcome, totals } => {
                self.set_totals(at, totals);
                self.status = Some(outcome);
            }
        }
    }

    /// Adds what a reader of the footprint should hear, once.
    pub(crate) fn add_note(&mut self, text: String) {
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// How a run ends that is finished now and of which nobody said anything worse.
    pub(crate) fn default_status(&self) -> RunStatus {
        let completed = self.epochs.iter().filter(|epoch| epoch.completed).count();
        match self.planned_epochs {
            Some(planned_epochs) if completed < planned_epochs as usize => RunStatus::StoppedEarly,
            _ => RunStatus::Completed,
        }
    }

    /// Whether a component is part of the footprint. A board is when the framework trains on it; where no framework
    /// says so, when a process of ours was seen on it; where none was seen on any, all are.
    pub(crate) fn is_counted(&self, position: usize, component: &ComponentInfo) -> bool {
        if component.kind != ComponentKind::Gpu {
            return true;
        }
        match &self.training_gpus {
            Some(training_gpus) => training_gpus.contains(&position),
            None => !self.has_own_process() || self.users.get(&position).is_some_and(|users| users.own),
        }
    }

    /// Whether a process of ours was seen on any board.
    fn has_own_process(&self) -> bool {
        self.users.values().any(|users| users.own)
    }

    /// The grams for an amount of the components' energy, at the facility's meter; as far as they are known before
    /// a live provider is asked.
    pub(crate) fn emissions(&self, energy: Energy) -> Co2e {
        energy * self.header.pue.factor() * self.header.grid.intensity
    }

    /// The periods of an answer that are not known as they are.
    pub(crate) fn new_periods(&self, series: IntensitySeries) -> IntensitySeries {
        match &self.intensity_series {
            Some(known) => series.difference(known),
            None => series,
        }
    }

    /// The part of the time for which no hour's figure was found yet; none when all were.
    pub(crate) fn uncovered_range(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match &self.intensity_series {
            Some(known) => known.uncovered_range(from, to),
            None => Some((from, to)),
        }
    }

    /// Whether there are any figures for the hours.
    pub(crate) const fn has_intensity_series(&self) -> bool {
        self.intensity_series.is_some()
    }

    /// The power of each component at rest, where it was measured.
    #[cfg(unix)]
    pub(crate) fn idle_power(&self) -> Option<&[Power]> {
        self.idle_power.as_deref()
    }

    pub(crate) fn header(&self) -> &RunHeader {
        &self.header
    }

    pub(crate) fn header_mut(&mut self) -> &mut RunHeader {
        &mut self.header
    }

    /// The footprint so far. `unclosed` is the outcome of a run that has no last entry.
    pub(crate) fn footprint(&self, default_status: RunStatus) -> Footprint {
        let header = &*self.header;
        let mut components = self.component_summaries(&header.components);
        let hardware = hardware_description(&components);
        let power = trace::mean_power(self.total_energy_trace());
        let energy = self.energy_summary(header, &components, self.idle_energy(&power));
        let (grid, uncovered) = self.grid_intensity(header);
        let emissions = EmissionsSummary {
            best: energy.facility * grid.intensity,
            low: energy.low * header.pue.bounds().0 * grid.low,
            high: energy.high * header.pue.bounds().1 * grid.high,
        };
        components.extend(self.unresolved_devices.iter().map(|device| unmapped_device(device)));
        Footprint {
            schema: Footprint::SCHEMA.to_owned(),
            run: RunSummary {
                id: header.run.clone(),
                training_type: header.training_type,
                base_model: header.base_model.clone(),
                started: header.started.clone(),
                duration_s: self.elapsed,
                attempts: 1,
                ranks: 1,
                ranks_expected: header.task.ranks,
                missing_ranks: Vec::new(),
                partial: header.task.ranks > 1
                    || components.iter().any(|component| component.method.is_none()),
                outcome: self.status.unwrap_or(default_status),
                samples: self.total_counts().samples,
                tokens: self.total_counts().tokens,
                slices: self.window_length.clone(),
            },
            energy,
            emissions,
            epochs: self.epochs.iter().map(|epoch| self.epoch_summary(header, &grid, epoch)).collect(),
            phases: self.phase_summaries(header, &grid),
            notes: self.all_notes(header, &grid, uncovered),
            grid,
            hardware,
            components,
            power,
        }
    }

    /// The last moment that an entry spoke of, and the totals of the last entry that had any.
    pub(crate) fn last_totals(&self) -> (f64, Vec<ComponentTotal>) {
        (self.elapsed, self.totals.clone())
    }

    fn add_training_devices(&mut self, component_indices: Vec<usize>, unresolved: Vec<String>) {
        let training_gpus = self.training_gpus.get_or_insert_default();
        training_gpus.extend(component_indices);
        self.unresolved_devices.extend(unresolved);
    }

    /// The totals at a moment of which the energies alone are known: the bounds keep their distance.
    fn extrapolate_totals(&self, at: f64, energy: &[Option<Energy>]) -> Vec<ComponentTotal> {
        let time = (at - self.totals_at).max(0.0);
        let extrapolate = |(total, energy): (&ComponentTotal, &Option<Energy>)| match energy {
            Some(energy) => {
                let growth =
                    if total.energy > Energy::ZERO { energy.joules() / total.energy.joules() } else { 1.0 };
                let added_energy = if total.energy > Energy::ZERO { Energy::ZERO } else { *energy };
                ComponentTotal {
                    energy: *energy,
                    low: total.low * growth,
                    high: total.high * growth + added_energy,
                    measured: total.measured + time,
                    ..*total
                }
            }
            None => ComponentTotal { unmeasured: total.unmeasured + time, ..*total },
        };
        self.totals.iter().zip(energy).map(extrapolate).collect()
    }

    /// The heartbeat of a process that left no last line. An older one says nothing.
    fn apply_heartbeat(&mut self, at: f64, totals: Vec<ComponentTotal>, epoch: Option<OpenEpoch>) {
        if at < self.elapsed {
            return;
        }
        // It is written before a reading tells the end of an epoch that it still has as open.
        let is_known =
            |open: &OpenEpoch| self.epochs.iter().any(|it| (it.epoch, it.start) == (open.epoch, open.start));
        let epoch = epoch.filter(|open| !is_known(open));
        self.epochs.extend(epoch.map(|open| RecordedEpoch::from_interrupted(open, at)));
        if at > self.totals_at {
            self.set_totals(at, totals);
        }
    }

    fn set_totals(&mut self, at: f64, totals: Vec<ComponentTotal>) {
        self.totals_at = at;
        self.elapsed = self.elapsed.max(at);
        self.trace.push(at, totals.iter().map(|total| total.energy).collect());
        self.totals = totals;
    }

    fn component_summaries(&self, components: &[ComponentInfo]) -> Vec<ComponentSummary> {
        let counted = components.iter().enumerate().filter(|(position, it)| self.is_counted(*position, it));
        counted
            .map(|(position, component)| {
                let shared = self.users.get(&position).is_some_and(|users| users.foreign);
                let total = self.totals.get(position).copied().unwrap_or_default();
                ComponentSummary { shared, ..component_summary(component, total) }
            })
            .collect()
    }

    fn energy_summary(
        &self,
        header: &RunHeader,
        components: &[ComponentSummary],
        idle: Option<IdleEnergy>,
    ) -> EnergySummary {
        let of = |kind| components.iter().filter(|it| it.kind == kind).map(|it| it.energy).sum::<Energy>();
        let total: Energy = components.iter().map(|component| component.energy).sum();
        EnergySummary {
            total,
            low: components.iter().map(|component| component.low).sum(),
            high: components.iter().map(|component| component.high).sum(),
            gpu: of(ComponentKind::Gpu),
            cpu: of(ComponentKind::Cpu),
            memory: of(ComponentKind::Memory),
            idle: idle.map(|(energy, _)| energy),
            idle_method: idle.map(|(_, method)| method.to_owned()),
            pue: header.pue.factor(),
            pue_origin: header.pue.origin().as_str().to_owned(),
            pue_year: header.pue.year(),
            facility: total * header.pue.factor(),
        }
    }

    /// What the run's hardware would have used at rest: as it was measured before the run, else as it was seen.
    fn idle_energy(&self, power: &[(f64, f64)]) -> Option<IdleEnergy> {
        let Some(idle_power) = &self.idle_power else {
            return idle_energy_from_lowest_power(power, self.elapsed).map(|energy| (energy, "lowest_seen"));
        };
        let each: Vec<Energy> =
            idle_power.iter().map(|power| Energy::from_joules(power.watts() * self.elapsed)).collect();
        Some((self.total_energy(&self.header.components, &each), "baseline"))
    }

    /// The intensity of the run's electricity, and the energy that a live series does not cover.
    fn grid_intensity(&self, header: &RunHeader) -> (GridIntensity, Energy) {
        match (&self.intensity_series, header.started.parse()) {
            (Some(series), Ok(started)) => {
                energy_weighted(&header.grid, series, started, &self.total_energy_trace())
            }
            _ => (header.grid.clone(), Energy::ZERO),
        }
    }

    /// The energy of all that counts, at some moments.
    fn total_energy_trace(&self) -> Vec<(f64, Energy)> {
        self.trace.sum_points(|each| self.total_energy(&self.header.components, each))
    }

    /// The sum of what counts.
    pub(crate) fn total_energy(&self, components: &[ComponentInfo], energy: &[Energy]) -> Energy {
        let each = components.iter().zip(energy).enumerate();
        each.filter(|(position, (component, _))| self.is_counted(*position, component))
            .map(|(_, (_, energy))| *energy)
            .sum()
    }
}

#[cfg(test)]
mod tests;
