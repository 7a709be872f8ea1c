//! Accumulates the entries of one ledger.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use sootprint_core::{
    Co2e, ComponentKind, ComponentSummary, Energy, GpuSelection, GpuSelectionMethod, IntensitySeries, Power,
    RunStatus, SensorFault,
};
use sootprint_power::{ComponentInfo, ComponentTotal, GpuUsers};

use super::components::component_summary;
use super::epochs::{OutsideEpochs, RecordedEpoch};
use super::trace::EnergyTrace;
use crate::ledger::{LedgerEntry, OpenEpoch, RunHeader, WorkCounts};

/// The most notes of one ledger. A program may add one with each step.
const MAX_NOTES: usize = 1_000;

/// The accumulated entries of one ledger. [`footprint`](Self::footprint) summarises them at any time.
#[derive(Debug, Clone)]
pub(crate) struct FootprintBuilder {
    pub(super) header: Box<RunHeader>,
    /// Indices of the GPUs that the framework trains on; `None` until it names one.
    pub(super) training_gpus: Option<BTreeSet<usize>>,
    pub(super) unresolved_devices: Vec<String>,
    /// The kinds of processes seen on each component during the run.
    pub(super) users: BTreeMap<usize, GpuUsers>,
    /// The worst fault of each component's sensor.
    pub(super) faults: BTreeMap<usize, SensorFault>,
    /// The power of each component at rest, if it was measured.
    pub(super) idle_power: Option<Vec<Power>>,
    pub(super) planned_epochs: Option<u32>,
    /// The latest time of any entry, in seconds since the start of the run.
    pub(super) elapsed: f64,
    /// The newest totals and their time.
    pub(super) totals: Vec<ComponentTotal>,
    totals_at: f64,
    pub(super) epochs: Vec<RecordedEpoch>,
    /// The index of the newest epoch with each number.
    newest_epochs: HashMap<u32, usize>,
    /// Work that other ranks reported for epochs that have not ended here.
    pending_counts: BTreeMap<u32, WorkCounts>,
    pub(super) outside_epochs: OutsideEpochs,
    pub(super) window_length: Option<String>,
    pub(super) notes: Vec<String>,
    pub(super) status: Option<RunStatus>,
    pub(super) intensity_series: Option<IntensitySeries>,
    pub(super) trace: EnergyTrace,
}

impl FootprintBuilder {
    pub(crate) fn new(header: Box<RunHeader>) -> Self {
        Self {
            header,
            training_gpus: None,
            unresolved_devices: Vec::new(),
            users: BTreeMap::new(),
            faults: BTreeMap::new(),
            idle_power: None,
            planned_epochs: None,
            elapsed: 0.0,
            totals: Vec::new(),
            totals_at: 0.0,
            epochs: Vec::new(),
            newest_epochs: HashMap::new(),
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
            LedgerEntry::Devices { components, unresolved, found, .. } => {
                self.training_gpus.get_or_insert_default().extend(components);
                self.unresolved_devices.extend(unresolved);
                self.unresolved_devices.retain(|device| !found.contains(device));
            }
            LedgerEntry::ComponentsAdded { components, gaps, pending_drivers, .. } => {
                self.header.pending_drivers = pending_drivers;
                self.header.components.extend(components);
                self.header.gaps.extend(gaps);
            }
            LedgerEntry::GpuUsers { component, users, .. } => {
                let seen = self.users.entry(component).or_default();
                *seen = GpuUsers {
                    own: seen.own || users.own,
                    foreign: seen.foreign || users.foreign,
                    unused: seen.unused || users.unused,
                };
            }
            LedgerEntry::SensorFault { component, fault, .. } => {
                let known = self.faults.entry(component).or_insert(fault);
                *known = fault.max(*known);
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
                self.newest_epochs.insert(epoch, self.epochs.len());
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
            LedgerEntry::Unknown => {}
        }
    }

    /// Whether this fault of a component, or a worse one, is known.
    pub(crate) fn has_fault(&self, component: usize, fault: SensorFault) -> bool {
        self.faults.get(&component).is_some_and(|known| *known >= fault)
    }

    /// Whether [`add_note`](Self::add_note) would change nothing.
    pub(crate) fn has_note(&self, text: &str) -> bool {
        self.notes.len() > MAX_NOTES || self.notes.iter().any(|note| note == text)
    }

    /// Adds a note for the footprint. A repeated note is kept once.
    pub(crate) fn add_note(&mut self, text: String) {
        if self.notes.len() < MAX_NOTES {
            if !self.has_note(&text) {
                self.notes.push(text);
            }
        } else if self.notes.len() == MAX_NOTES {
            self.notes.push(format!("only the first {MAX_NOTES} notes are listed"));
        }
    }

    /// The status of a run that finishes now and reported no failure.
    pub(crate) fn default_status(&self) -> RunStatus {
        let completed = self.epochs.iter().filter(|epoch| epoch.completed).count();
        match self.planned_epochs {
            Some(planned_epochs) if completed < planned_epochs as usize => RunStatus::StoppedEarly,
            _ => RunStatus::Completed,
        }
    }

    /// Whether a component is part of the footprint. A GPU is counted if the framework trains on it. If the framework
    /// names no GPU, those with one of our processes are counted; if there are none, all GPUs are that are not known to
    /// be unused.
    pub(crate) fn is_counted(&self, position: usize, component: &ComponentInfo) -> bool {
        if component.kind != ComponentKind::Gpu {
            // The readings of a superchip's GPU include its CPU.
            let includes = |(position, gpu): (usize, &ComponentInfo)| {
                gpu.includes.contains(&component.kind) && self.is_counted(position, gpu)
            };
            return !self.header.components.iter().enumerate().any(includes);
        }
        match &self.training_gpus {
            Some(training_gpus) => training_gpus.contains(&position),
            None => match self.users.get(&position) {
                Some(users) if users.own => true,
                Some(users) if users.unused => false,
                _ => !self.has_own_process(),
            },
        }
    }

    /// How the GPUs were chosen. `None` if there are none.
    pub(crate) fn gpu_selection(&self) -> Option<GpuSelection> {
        let all = self.header.components.iter().enumerate();
        let gpus: Vec<_> = all.filter(|(_, component)| component.kind == ComponentKind::Gpu).collect();
        if gpus.is_empty() {
            return None;
        }
        let has_certain_order =
            gpus.iter().all(|(_, it)| it.gpu.as_ref().is_none_or(|gpu| !gpu.has_uncertain_order));
        Some(match &self.training_gpus {
            Some(_) => GpuSelection {
                method: GpuSelectionMethod::Framework,
                certain: has_certain_order && self.unresolved_devices.is_empty(),
            },
            None if self.has_own_process() => {
                GpuSelection { method: GpuSelectionMethod::Processes, certain: true }
            }
            None if !gpus.iter().any(|(position, gpu)| self.is_counted(*position, gpu)) => {
                GpuSelection { method: GpuSelectionMethod::NoneUsed, certain: true }
            }
            None => GpuSelection { method: GpuSelectionMethod::AllVisible, certain: false },
        })
    }

    /// The summary of one component, with what is known about its users and its sensor.
    pub(super) fn component_summary(&self, position: usize, total: ComponentTotal) -> ComponentSummary {
        let component = &self.header.components[position];
        let summary = component_summary(component, total);
        ComponentSummary {
            shared: self.users.get(&position).is_some_and(|users| users.foreign),
            fault: self.faults.get(&position).copied(),
            // Each of several GPUs may be one that did not train.
            low: if self.is_doubtful(component) { Energy::ZERO } else { summary.low },
            ..summary
        }
    }

    /// Whether a component is one of several GPUs of which only some may have trained.
    fn is_doubtful(&self, component: &ComponentInfo) -> bool {
        let is_unknown = self.gpu_selection().is_some_and(|it| it.method == GpuSelectionMethod::AllVisible);
        component.kind == ComponentKind::Gpu && is_unknown && self.counted_gpus().count() > 1
    }

    /// The energy of all counted components up to now.
    pub(super) fn recorded_energy(&self) -> Energy {
        let each: Vec<Energy> = self.totals.iter().map(|total| total.energy).collect();
        self.total_energy(&each)
    }

    /// If only some of the counted GPUs may have trained: the low bound of the one that used least.
    pub(super) fn least_gpu_energy(&self) -> Energy {
        let doubtful = self.counted_gpus().filter(|(_, component)| self.is_doubtful(component));
        let lows = doubtful.map(|(position, _)| self.totals.get(position).map_or(Energy::ZERO, |it| it.low));
        lows.reduce(Energy::min).unwrap_or_default()
    }

    pub(super) fn counted_gpus(&self) -> impl Iterator<Item = (usize, &ComponentInfo)> {
        let all = self.header.components.iter().enumerate();
        all.filter(|(position, component)| {
            component.kind == ComponentKind::Gpu && self.is_counted(*position, component)
        })
    }

    /// Whether one of our processes was seen on any GPU.
    pub(super) fn has_own_process(&self) -> bool {
        self.users.values().any(|users| users.own)
    }

    /// The emissions for an amount of component energy, including the PUE, at the intensity of the place: an estimate
    /// while the hourly intensities are not available.
    pub(crate) fn emissions(&self, energy: Energy) -> Co2e {
        energy * self.header.pue.factor() * self.header.grid.intensity
    }

    /// The periods of a provider's answer that differ from those already recorded.
    pub(crate) fn new_periods(&self, series: IntensitySeries) -> IntensitySeries {
        match &self.intensity_series {
            Some(known) => series.difference(known),
            None => series,
        }
    }

    /// The part of a time range without hourly intensities; `None` if it is covered.
    pub(crate) fn uncovered_range(&self, from: Timestamp, to: Timestamp) -> Option<(Timestamp, Timestamp)> {
        match &self.intensity_series {
            Some(known) => known.uncovered_range(from, to),
            None => Some((from, to)),
        }
    }

    /// Whether any hourly intensities are recorded.
    pub(crate) const fn has_intensity_series(&self) -> bool {
        self.intensity_series.is_some()
    }

    /// The power of each component at rest, if it was measured.
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

    /// The time of the latest entry, in seconds since the start of the run, and the newest totals.
    pub(crate) fn last_totals(&self) -> (f64, Vec<ComponentTotal>) {
        (self.elapsed, self.totals.clone())
    }

    /// The energy of all counted components.
    pub(crate) fn total_energy(&self, energy: &[Energy]) -> Energy {
        let each = self.header.components.iter().zip(energy).enumerate();
        each.filter(|(position, (component, _))| self.is_counted(*position, component))
            .map(|(_, (_, energy))| *energy)
            .sum()
    }

    /// The work of all epochs, and outside of epochs.
    pub(super) fn total_counts(&self) -> WorkCounts {
        let mut counts = self.outside_epochs.counts;
        self.pending_counts.values().for_each(|pending| counts.add(*pending));
        self.epochs.iter().for_each(|epoch| counts.add(epoch.counts));
        counts
    }

    /// Adds the work of another rank to the newest epoch with that number, or keeps it for an epoch that ends later.
    fn add_counts(&mut self, epoch: Option<u32>, counts: WorkCounts) {
        let ended = epoch.and_then(|epoch| self.newest_epochs.get(&epoch).copied());
        match (ended.and_then(|index| self.epochs.get_mut(index)), epoch) {
            (Some(ended), _) => ended.counts.add(counts),
            (None, Some(epoch)) => self.pending_counts.entry(epoch).or_default().add(counts),
            (None, None) => self.outside_epochs.counts.add(counts),
        }
    }

    /// The totals at a time for which only the energies were recorded. Bounds keep their ratio to the energy.
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

    /// Applies the heartbeat of a process that wrote no last line. A heartbeat older than the last entry is ignored.
    fn apply_heartbeat(&mut self, at: f64, totals: Vec<ComponentTotal>, epoch: Option<OpenEpoch>) {
        if at < self.elapsed {
            return;
        }
        // The end of an epoch is recorded only after the next reading, so an epoch that is open in the heartbeat may
        // have its own entry.
        let is_recorded =
            |open: &OpenEpoch| self.epochs.iter().any(|it| (it.epoch, it.start) == (open.epoch, open.start));
        let epoch = epoch.filter(|open| !is_recorded(open));
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
}
