//! Summarises one ledger as a footprint.

use sootprint_core::{
    ComponentSummary, EmissionsSummary, Energy, EpochSummary, Footprint, GridIntensity, PhaseSummary,
    RunStatus, RunSummary, energy_weighted,
};

use super::builder::FootprintBuilder;
use super::components::{energy_summary, hardware_description, silent_driver, unmapped_device};
use super::epochs::RecordedEpoch;
use super::idle::IdleEnergy;
use super::phases::sum_phases;
use super::trace::mean_power;
use crate::ledger::PhaseTotal;

impl FootprintBuilder {
    /// The footprint of all entries applied so far. `default_status` applies if there is no `end` entry.
    pub(crate) fn footprint(&self, default_status: RunStatus) -> Footprint {
        let header = &*self.header;
        let mut components = self.component_summaries();
        let hardware = hardware_description(&components);
        let power = mean_power(self.total_energy_trace());
        let total: Energy = components.iter().map(|component| component.energy).sum();
        let mut energy = energy_summary(
            components.iter(),
            self.idle_energy(&power),
            Some(header.pue),
            total * header.pue.factor(),
        );
        energy.low += self.least_gpu_energy();
        let (grid, uncovered) = self.grid_intensity();
        let emissions = EmissionsSummary {
            best: energy.facility * grid.intensity,
            low: energy.low * header.pue.bounds().0 * grid.low,
            high: energy.high * header.pue.bounds().1 * grid.high,
        };
        components.extend(self.unresolved_devices.iter().map(|device| unmapped_device(device)));
        components.extend(header.pending_drivers.iter().map(|driver| silent_driver(driver)));
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
                processes: Vec::new(),
                partial: header.task.ranks > 1
                    || components.iter().any(|component| component.method.is_none()),
                outcome: self.status.unwrap_or(default_status),
                samples: self.total_counts().samples,
                tokens: self.total_counts().tokens,
                slices: self.window_length.clone(),
            },
            energy,
            emissions,
            epochs: self.epochs.iter().map(|epoch| self.epoch_summary(&grid, epoch)).collect(),
            phases: self.phase_summaries(&grid),
            notes: self.all_notes(&grid, uncovered),
            grid,
            gpu_selection: self.gpu_selection(),
            hardware,
            components,
            power,
        }
    }

    /// The intensity of the run's electricity, and the energy that a series does not cover.
    pub(super) fn grid_intensity(&self) -> (GridIntensity, Energy) {
        match (&self.intensity_series, self.header.started.parse()) {
            (Some(series), Ok(started)) => {
                energy_weighted(&self.header.grid, series, started, &self.total_energy_trace())
            }
            _ => (self.header.grid.clone(), Energy::ZERO),
        }
    }

    fn component_summaries(&self) -> Vec<ComponentSummary> {
        let each = self.header.components.iter().enumerate();
        each.filter(|(position, component)| self.is_counted(*position, component))
            .map(|(position, _)| {
                self.component_summary(position, self.totals.get(position).copied().unwrap_or_default())
            })
            .collect()
    }

    /// From the power measured before the run, otherwise from the lowest power during it.
    fn idle_energy(&self, power: &[(f64, f64)]) -> Option<IdleEnergy> {
        let Some(idle_power) = &self.idle_power else {
            return IdleEnergy::from_lowest_power(power, self.elapsed);
        };
        let each: Vec<Energy> =
            idle_power.iter().map(|power| Energy::from_joules(power.watts() * self.elapsed)).collect();
        Some(IdleEnergy::from_baseline(self.total_energy(&each)))
    }

    /// The cumulative energy of all counted components over time.
    fn total_energy_trace(&self) -> Vec<(f64, Energy)> {
        self.trace.sum_points(|each| self.total_energy(each))
    }

    fn epoch_summary(&self, grid: &GridIntensity, epoch: &RecordedEpoch) -> EpochSummary {
        let energy = self.total_energy(&epoch.energy);
        EpochSummary {
            epoch: epoch.epoch,
            attempt: 1,
            start_s: Some(epoch.start),
            duration_s: epoch.duration,
            energy,
            emissions: energy * self.header.pue.factor() * grid.intensity,
            completed: epoch.completed,
            samples: epoch.counts.samples,
            tokens: epoch.counts.tokens,
            phases: epoch.phases.iter().map(|phase| self.phase_summary(grid, phase)).collect(),
        }
    }

    /// The phases of the whole run.
    fn phase_summaries(&self, grid: &GridIntensity) -> Vec<PhaseSummary> {
        let within_epochs = self.epochs.iter().flat_map(|epoch| &epoch.phases);
        let all = within_epochs.chain(&self.outside_epochs.phases);
        sum_phases(all.map(|phase| self.phase_summary(grid, phase)))
    }

    fn phase_summary(&self, grid: &GridIntensity, phase: &PhaseTotal) -> PhaseSummary {
        let energy = self.total_energy(&phase.energy);
        PhaseSummary {
            name: phase.name.clone(),
            duration_s: phase.seconds,
            energy,
            emissions: energy * self.header.pue.factor() * grid.intensity,
        }
    }
}
