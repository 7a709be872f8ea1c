//! Energy and emission budgets, and the forecast of a run's total.

use std::fmt;

use sootprint_core::{Co2e, Energy};
use statrs::distribution::{ContinuousCDF, StudentsT};

/// A limit on the energy or emissions of a run.
///
/// At the end of an epoch, a warning is logged once if the forecast exceeds the limit, and once if the limit has been
/// reached. With [`stop_when_exceeded`](Self::stop_when_exceeded) the training loop also ends. Between two epochs, it
/// ends if the limit has been reached, or if one more epoch of average energy would exceed it. Within an epoch, it ends
/// once the limit has been reached, if the loop checks
/// [`RunHandle::budget_exceeded`](super::RunHandle::budget_exceeded).
///
/// ```
/// use sootprint::{Budget, Co2e, Energy, Run};
///
/// # let dir = tempfile::tempdir()?;
/// let run = Run::pre_training(dir.path())
///     .budget(Budget::max_emissions(Co2e::from_grams(500.0)))
///     .budget(Budget::max_energy(Energy::from_kilowatt_hours(2.0)).stop_when_exceeded())
///     .start();
/// # let _ = run.finish();
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Limits
/// The limit applies to the live usage: this process and this attempt only, at the yearly or user-provided intensity.
/// For one of several ranks inside `sootprint run` it applies to the usage of the whole command.
///
/// No sensor is read for a check, so the loop never waits for the hardware. The energy of an epoch that has just ended
/// is extrapolated; the measured energy replaces it as soon as it is known.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a budget takes effect only when passed to `RunBuilder::budget`"]
pub struct Budget {
    limit: BudgetLimit,
    stop_when_exceeded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum BudgetLimit {
    Energy(Energy),
    Emissions(Co2e),
}

/// The budget that requires a training loop to stop: it has been reached, or the next epoch would exceed it. Returned
/// by [`RunHandle::budget_exceeded`](super::RunHandle::budget_exceeded).
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct BudgetExceeded {
    /// The budget that has been reached or would be exceeded.
    pub budget: Budget,
    /// The expected energy of the next epoch, which would exceed the budget. `None` if the budget has been reached
    /// already.
    pub next_epoch: Option<Energy>,
}

/// The expected total of a run once all planned epochs are done.
///
/// The expected total is the usage so far plus the mean of the completed epochs for each remaining epoch. The intervals
/// are 95 % prediction intervals (Student's t) for the remaining epochs, assuming that all epochs are alike: they do not
/// hold if epochs become longer or the machine changes. They do not include the measurement error of the usage so far.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RunForecast {
    /// The number of completed epochs that the forecast uses.
    pub completed_epochs: u32,
    /// The number of planned epochs that are not complete.
    pub remaining_epochs: u32,
    /// The expected energy of the whole run.
    pub energy: Energy,
    /// The low and high bound of `energy`. `None` after a single epoch, whose spread is unknown.
    pub energy_interval: Option<(Energy, Energy)>,
    /// The expected emissions of the whole run, at the yearly or user-provided intensity.
    pub emissions: Co2e,
    /// The low and high bound of `emissions`. `None` after a single epoch.
    pub emissions_interval: Option<(Co2e, Co2e)>,
}

/// The epoch energies of a run, and the budgets that are checked against them.
#[derive(Debug, Default)]
pub(crate) struct BudgetTracker {
    planned_epochs: Option<u32>,
    /// What the run had used when the open epoch started.
    epoch_start_energy: Option<Energy>,
    /// Each completed epoch: its live usage at first, replaced by the measured energy once known.
    epoch_energies: Vec<Energy>,
    alerts: Vec<BudgetAlert>,
}

#[derive(Debug)]
struct BudgetAlert {
    budget: Budget,
    exceeded: bool,
    forecast_exceeded: bool,
}

impl Budget {
    /// Creates a limit on the energy of GPUs, CPUs and memory, as in
    /// [`EnergySummary::total`](crate::EnergySummary::total).
    pub const fn max_energy(limit: Energy) -> Self {
        Self { limit: BudgetLimit::Energy(limit), stop_when_exceeded: false }
    }

    /// Creates a limit on the emissions.
    pub const fn max_emissions(limit: Co2e) -> Self {
        Self { limit: BudgetLimit::Emissions(limit), stop_when_exceeded: false }
    }

    /// Makes the training loop end when the limit is reached, or when the next epoch would exceed it.
    pub const fn stop_when_exceeded(mut self) -> Self {
        self.stop_when_exceeded = true;
        self
    }

    /// The limit as energy. `None` for an emission limit if the energy has no emissions.
    fn as_energy(&self, grams_per_joule: f64) -> Option<Energy> {
        match self.limit {
            BudgetLimit::Energy(limit) => Some(limit),
            BudgetLimit::Emissions(limit) => {
                (grams_per_joule > 0.0).then(|| Energy::from_joules(limit.grams() / grams_per_joule))
            }
        }
    }

    fn description(&self) -> String {
        match self.limit {
            BudgetLimit::Energy(limit) => format!("the budget of {limit}"),
            BudgetLimit::Emissions(limit) => format!("the budget of {limit} CO2e"),
        }
    }
}

impl fmt::Display for BudgetExceeded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let budget = self.budget.description();
        match self.next_epoch {
            None => write!(f, "{budget} is used up"),
            Some(energy) => write!(f, "{budget} is not enough for another epoch of {energy}"),
        }
    }
}

impl BudgetTracker {
    pub(crate) fn new(budgets: Vec<Budget>) -> Self {
        let alert = |budget| BudgetAlert { budget, exceeded: false, forecast_exceeded: false };
        Self { alerts: budgets.into_iter().map(alert).collect(), ..Self::default() }
    }

    pub(crate) fn has_budget(&self) -> bool {
        !self.alerts.is_empty()
    }

    pub(crate) fn set_planned_epochs(&mut self, epochs: u32) {
        self.planned_epochs = Some(epochs);
    }

    pub(crate) fn start_epoch(&mut self, used: Energy) {
        self.epoch_start_energy = Some(used);
    }

    /// Ends the open epoch, if there is one. Returns the position of a complete epoch, for
    /// [`correct_epoch`](Self::correct_epoch).
    pub(crate) fn end_epoch(&mut self, completed: bool, used: Energy) -> Option<usize> {
        let start_energy = self.epoch_start_energy.take()?;
        let energy = if used > start_energy { used - start_energy } else { Energy::ZERO };
        completed.then(|| self.epoch_energies.push(energy))?;
        Some(self.epoch_energies.len() - 1)
    }

    /// Replaces the live usage of a completed epoch by its measured energy.
    pub(crate) fn correct_epoch(&mut self, position: usize, energy: Energy) {
        if let Some(epoch) = self.epoch_energies.get_mut(position) {
            *epoch = energy;
        }
    }

    pub(crate) fn forecast(&self, used: Energy, grams_per_joule: f64) -> Option<RunForecast> {
        let (mean, deviation) = self.epoch_mean_and_deviation()?;
        let completed_epochs = u32::try_from(self.epoch_energies.len()).ok()?;
        let remaining_epochs = self.planned_epochs?.saturating_sub(completed_epochs);
        let (completed, remaining) = (f64::from(completed_epochs), f64::from(remaining_epochs));
        // The open epoch counts as a remaining one: its usage so far is part of its mean.
        let completed_energy = self.epoch_start_energy.unwrap_or(used);
        let energy = Energy::from_joules((completed_energy + mean * remaining).joules().max(used.joules()));
        let energy_interval = deviation.and_then(|deviation| {
            let spread = student_t_975(completed - 1.0)?
                * deviation.joules()
                * (remaining + remaining * remaining / completed).sqrt();
            let low = (energy.joules() - spread).max(used.joules());
            Some((Energy::from_joules(low), energy + Energy::from_joules(spread)))
        });
        let to_emissions = |energy: Energy| Co2e::from_grams(energy.joules() * grams_per_joule);
        Some(RunForecast {
            completed_epochs,
            remaining_epochs,
            energy,
            energy_interval,
            emissions: to_emissions(energy),
            emissions_interval: energy_interval.map(|(low, high)| (to_emissions(low), to_emissions(high))),
        })
    }

    /// Returns the budget that requires the loop to stop now, if any. An open epoch continues until a limit is reached;
    /// a new epoch is not started if its expected energy would exceed a limit.
    pub(crate) fn exceeded(&self, used: Energy, grams_per_joule: f64) -> Option<BudgetExceeded> {
        let next_epoch_energy = if self.epoch_start_energy.is_none() {
            self.epoch_mean_and_deviation().map(|(mean, _)| mean)
        } else {
            None
        };
        let exceeded = |BudgetAlert { budget, .. }: &BudgetAlert| {
            let limit = budget.as_energy(grams_per_joule)?;
            let is_reached = used >= limit;
            let next_epoch = next_epoch_energy.filter(|next| !is_reached && used + *next > limit);
            (is_reached || next_epoch.is_some()).then_some(BudgetExceeded { budget: *budget, next_epoch })
        };
        self.alerts.iter().filter(|alert| alert.budget.stop_when_exceeded).find_map(exceeded)
    }

    /// The warnings that are due now. Each budget gives one when the forecast exceeds it and one when it is reached.
    pub(crate) fn take_warnings(&mut self, used: Energy, grams_per_joule: f64) -> Vec<String> {
        let forecast = self.forecast(used, grams_per_joule);
        let mut warnings = Vec::new();
        for alert in &mut self.alerts {
            let Some(limit) = alert.budget.as_energy(grams_per_joule) else { continue };
            if used >= limit && !std::mem::replace(&mut alert.exceeded, true) {
                alert.forecast_exceeded = true;
                warnings.push(BudgetExceeded { budget: alert.budget, next_epoch: None }.to_string());
            }
            if let Some(RunForecast { energy, completed_epochs, .. }) = forecast
                && energy > limit
                && !std::mem::replace(&mut alert.forecast_exceeded, true)
            {
                let after = if completed_epochs == 1 {
                    "1 epoch".to_owned()
                } else {
                    format!("{completed_epochs} epochs")
                };
                warnings.push(format!(
                    "{} will not be enough: after {after} the whole run is expected to use {energy}",
                    alert.budget.description()
                ));
            }
        }
        warnings
    }

    /// The mean of the completed epochs, and their standard deviation if there are at least two.
    fn epoch_mean_and_deviation(&self) -> Option<(Energy, Option<Energy>)> {
        let count = f64::from(u32::try_from(self.epoch_energies.len()).ok().filter(|count| *count > 0)?);
        let mean = self.epoch_energies.iter().map(|epoch| epoch.joules()).sum::<f64>() / count;
        let squares: f64 = self.epoch_energies.iter().map(|epoch| (epoch.joules() - mean).powi(2)).sum();
        let deviation = (count > 1.0).then(|| Energy::from_joules((squares / (count - 1.0)).sqrt()));
        Some((Energy::from_joules(mean), deviation))
    }
}

/// The 0.975 quantile of Student's t distribution. `None` if there are no degrees of freedom.
fn student_t_975(degrees_of_freedom: f64) -> Option<f64> {
    let distribution = StudentsT::new(0.0, 1.0, degrees_of_freedom).ok()?;
    Some(distribution.inverse_cdf(0.975))
}
