//! Checks the entries of a ledger that is read: the file may come from others.
//!
//! Energies, powers and intensities are checked when they are parsed.

use sootprint_core::limits::{MAX_RANKS, check_bounds, check_range, check_seconds, check_share};
use sootprint_core::{ComponentKind, GridIntensity, IntensitySeries, ProviderError, Pue};
use sootprint_power::{ComponentInfo, ComponentTotal};

use super::entry::{LedgerEntry, PhaseTotal, RunHeader};

const MAX_COMPONENTS: usize = 4_096;

/// What the entries of one ledger have in common, checked line by line.
#[derive(Debug, Default)]
pub(super) struct EntryOrder {
    /// The number of epochs so far.
    pub(super) epochs: usize,
    components: usize,
    devices: usize,
    /// The time of the newest totals or energies.
    at: f64,
}

impl EntryOrder {
    /// Checks an entry against the earlier ones.
    ///
    /// # Errors
    /// What is wrong, with the name of the field.
    pub(super) fn check(&mut self, entry: &LedgerEntry) -> Result<(), String> {
        match entry {
            LedgerEntry::Header(header) => self.components = header.components.len(),
            LedgerEntry::ComponentsAdded { components, gaps, pending_drivers, .. } => {
                self.components += components.len().max(gaps.len()).max(pending_drivers.len());
                check_count("components", self.components)?;
            }
            LedgerEntry::Devices { components, unresolved, found, .. } => {
                self.devices += components.len() + unresolved.len() + found.len();
                check_count("devices", self.devices)?;
            }
            LedgerEntry::Epoch { .. } => self.epochs += 1,
            LedgerEntry::Totals { at, .. } | LedgerEntry::Energy { at, .. } | LedgerEntry::End { at, .. } => {
                if *at < self.at {
                    return Err(format!("`at` of {at} s is before that of an earlier entry, {} s", self.at));
                }
                self.at = *at;
            }
            _ => {}
        }
        Ok(())
    }
}

/// Checks that all numbers are possible and that bounds are in order.
///
/// # Errors
/// What is wrong, with the name of the field.
pub(super) fn validate(entry: &LedgerEntry) -> Result<(), String> {
    match entry {
        LedgerEntry::Header(header) => check_header(header),
        LedgerEntry::ComponentsAdded { at, components, .. } => {
            check_seconds("at", *at)?;
            check_components(components)
        }
        LedgerEntry::Location { grid, pue } => check_accounting(grid, *pue),
        LedgerEntry::Totals { at, totals } | LedgerEntry::End { at, totals, .. } => {
            check_seconds("at", *at)?;
            check_totals(totals)
        }
        LedgerEntry::Heartbeat { at, totals, epoch } => {
            check_seconds("at", *at)?;
            check_seconds("start", epoch.as_ref().map_or(0.0, |epoch| epoch.start))?;
            check_totals(totals)
        }
        LedgerEntry::Epoch { start, end, energy, phases, .. } => {
            check_count("energy", energy.len())?;
            check_seconds("start", *start)?;
            check_seconds("end", *end)?;
            if start > end {
                return Err(format!("`end` of {end} s is before `start` of {start} s"));
            }
            check_phases(phases)
        }
        LedgerEntry::OutsideEpochs { at, phases, .. } => {
            check_seconds("at", *at)?;
            check_phases(phases)
        }
        LedgerEntry::Devices { at, .. }
        | LedgerEntry::GpuUsers { at, .. }
        | LedgerEntry::SensorFault { at, .. }
        | LedgerEntry::Note { at, .. } => check_seconds("at", *at),
        LedgerEntry::Energy { at, energy } => {
            check_seconds("at", *at)?;
            check_count("energy", energy.len())
        }
        LedgerEntry::IdlePower { power } => check_count("power", power.len()),
        LedgerEntry::TrainingType { .. }
        | LedgerEntry::EpochsPlanned { .. }
        | LedgerEntry::WindowLength { .. }
        | LedgerEntry::Work { .. }
        | LedgerEntry::Resumed { .. }
        | LedgerEntry::Unknown => Ok(()),
        LedgerEntry::Intensity(series) => check_series(series),
    }
}

fn check_header(header: &RunHeader) -> Result<(), String> {
    if header.task.ranks > MAX_RANKS {
        return Err(format!("{} ranks, at most {MAX_RANKS} are possible", header.task.ranks));
    }
    if header.task.rank >= MAX_RANKS {
        return Err(format!("rank {} is not below {MAX_RANKS}", header.task.rank));
    }
    check_components(&header.components)?;
    check_accounting(&header.grid, header.pue)
}

fn check_components(components: &[ComponentInfo]) -> Result<(), String> {
    check_count("components", components.len())?;
    let is_inclusion_possible = |component: &ComponentInfo| {
        component.includes.is_empty()
            || component.kind == ComponentKind::Gpu && !component.includes.contains(&ComponentKind::Gpu)
    };
    if let Some(component) = components.iter().find(|component| !is_inclusion_possible(component)) {
        return Err(format!("`includes` of a component of kind {}", component.kind.name()));
    }
    components.iter().try_for_each(|component| check_share("share", component.share))
}

fn check_accounting(grid: &GridIntensity, pue: Pue) -> Result<(), String> {
    let intensities = [grid.low, grid.intensity, grid.high].map(|it| it.grams_per_kilowatt_hour());
    check_bounds("grid", intensities)?;
    let (low, high) = pue.bounds();
    check_bounds("pue", [low, pue.factor(), high])?;
    check_range("pue", low, 1.0, 100.0)
}

fn check_series(series: &IntensitySeries) -> Result<(), String> {
    let periods = series.periods();
    if !periods.is_sorted_by_key(|period| period.start) {
        return Err("`periods` are not in ascending order".to_owned());
    }
    let checked = IntensitySeries::new(series.source(), series.basis(), periods.to_vec());
    checked.map(drop).map_err(|error| match error {
        ProviderError::InvalidData { reason, .. } => reason,
        other => other.to_string(),
    })
}

fn check_totals(totals: &[ComponentTotal]) -> Result<(), String> {
    check_count("totals", totals.len())?;
    totals.iter().try_for_each(check_total)
}

fn check_total(total: &ComponentTotal) -> Result<(), String> {
    check_seconds("m", total.measured)?;
    check_seconds("u", total.unmeasured)?;
    check_bounds("e", [total.low, total.energy, total.high].map(|it| it.joules()))
}

fn check_phases(phases: &[PhaseTotal]) -> Result<(), String> {
    for phase in phases {
        check_seconds("seconds", phase.seconds)?;
        check_count("energy", phase.energy.len())?;
    }
    Ok(())
}

/// Checks the length of a list with one item per component.
fn check_count(name: &str, count: usize) -> Result<(), String> {
    if count > MAX_COMPONENTS {
        return Err(format!("{count} `{name}`, at most {MAX_COMPONENTS} are possible"));
    }
    Ok(())
}
