//! How much a run may use, and what it will come to.

use sootprint_core::{Co2e, Energy};

/// A limit on what a run may use or emit.
///
/// Reached, it is told as a warning; with [`stop_when_exceeded`](Self::stop_when_exceeded) the loop ends too, cleanly: between epochs when the next
/// one, at the mean of those before, would go beyond the limit, and within a loop that asks
/// [`RunHandle::budget_exceeded`](super::RunHandle::budget_exceeded) when the limit is reached.
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
/// It is held against the live figures: at the table's intensity or the given one, of this process and this attempt alone;
/// of a rank of several inside `sootprint run` against those of the command.
#[derive(Debug, Clone, Copy, PartialEq)]
#[must_use = "a budget holds for the run that is given it"]
pub struct Budget {
    limit: BudgetLimit,
    stop_when_exceeded: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum BudgetLimit {
    Energy(Energy),
    Emissions(Co2e),
}

/// What a run will have used and emitted when all of its planned epochs are done.
///
/// The expected figure is what was used so far and the mean of the completed epochs for each that is to come. `low` and
/// `high` are the 95 % prediction interval (Student's t) of what is to come, taking the epochs as alike: a training whose
/// epochs grow or whose machine changes will leave it. They say nothing of what the figures so far are off by.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub struct RunForecast {
    /// The completed epochs that it rests on.
    pub completed_epochs: u32,
    /// The epochs that are to come.
    pub remaining_epochs: u32,
    /// The expected energy of the whole run.
    pub energy: Energy,
    /// Its interval; none after one epoch, whose spread nobody knows.
    pub energy_interval: Option<(Energy, Energy)>,
    /// The expected emissions of the whole run, at the table's intensity or the given one.
    pub emissions: Co2e,
    /// Their interval; none after one epoch.
    pub emissions_interval: Option<(Co2e, Co2e)>,
}

/// What the epochs of a run have used so far, as far as a loop has to know it: no reading is waited for.
#[derive(Debug, Default)]
pub(super) struct BudgetTracker {
    planned_epochs: Option<u32>,
    /// What the run had used when the open epoch began.
    epoch_start_energy: Option<Energy>,
    /// Each completed epoch: the live figure at first, then what the readings say.
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
    /// So much energy: GPU, CPU and memory, as in [`EnergySummary::total`](crate::EnergySummary::total).
    pub const fn max_energy(limit: Energy) -> Self {
        Self { limit: BudgetLimit::Energy(limit), stop_when_exceeded: false }
    }

    /// So many grams of CO2e.
    pub const fn max_emissions(limit: Co2e) -> Self {
        Self { limit: BudgetLimit::Emissions(limit), stop_when_exceeded: false }
    }

    /// Ends the loop, too.
    pub const fn stop_when_exceeded(mut self) -> Self {
        self.stop_when_exceeded = true;
        self
    }

    /// The limit as energy, where a joule emits so many grams; none where it emits nothing.
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

impl BudgetTracker {
    pub(super) fn new(budgets: Vec<Budget>) -> Self {
        let alert = |budget| BudgetAlert { budget, exceeded: false, forecast_exceeded: false };
        Self { alerts: budgets.into_iter().map(alert).collect(), ..Self::default() }
    }

    pub(super) fn has_budget(&self) -> bool {
        !self.alerts.is_empty()
    }

    pub(super) fn set_planned_epochs(&mut self, epochs: u32) {
        self.planned_epochs = Some(epochs);
    }

    pub(super) fn start_epoch(&mut self, used: Energy) {
        self.epoch_start_energy = Some(used);
    }

    /// The open epoch ends; its position when it is complete, under which its energy can be corrected.
    pub(super) fn end_epoch(&mut self, completed: bool, used: Energy) -> Option<usize> {
        let start_energy = self.epoch_start_energy.take()?;
        let energy = if used > start_energy { used - start_energy } else { Energy::ZERO };
        completed.then(|| self.epoch_energies.push(energy))?;
        Some(self.epoch_energies.len() - 1)
    }

    /// The readings say what a completed epoch used.
    pub(super) fn correct_epoch(&mut self, position: usize, energy: Energy) {
        if let Some(epoch) = self.epoch_energies.get_mut(position) {
            *epoch = energy;
        }
    }

    pub(super) fn forecast(&self, used: Energy, grams_per_joule: f64) -> Option<RunForecast> {
        let (mean, deviation) = self.epoch_mean_and_deviation()?;
        let completed_epochs = u32::try_from(self.epoch_energies.len()).ok()?;
        let remaining_epochs = self.planned_epochs?.saturating_sub(completed_epochs);
        let (completed, remaining) = (f64::from(completed_epochs), f64::from(remaining_epochs));
        // What an open epoch has used so far is a part of its mean.
        let completed_energy = self.epoch_start_energy.unwrap_or(used);
        let energy = Energy::from_joules((completed_energy + mean * remaining).joules().max(used.joules()));
        let energy_interval = deviation.map(|deviation| {
            let spread = student_t_975(completed_epochs - 1)
                * deviation.joules()
                * (remaining + remaining * remaining / completed).sqrt();
            let low = (energy.joules() - spread).max(used.joules());
            (Energy::from_joules(low), energy + Energy::from_joules(spread))
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

    /// Why the loop is to stop now. An epoch that is open goes on until a limit is reached; another one is not begun
    /// when its mean would go beyond.
    pub(super) fn stop_reason(&self, used: Energy, grams_per_joule: f64) -> Option<String> {
        let next_epoch_energy = if self.epoch_start_energy.is_none() {
            self.epoch_mean_and_deviation().map(|(mean, _)| mean)
        } else {
            None
        };
        let exceeded_reason = |alert: &BudgetAlert| {
            let limit = alert.budget.as_energy(grams_per_joule)?;
            let name = alert.budget.description();
            if used >= limit {
                return Some(format!("{name} is used up"));
            }
            let needed = next_epoch_energy.filter(|next| used + *next > limit)?;
            Some(format!("{name} is not enough for another epoch of {needed}"))
        };
        self.alerts.iter().filter(|alert| alert.budget.stop_when_exceeded).find_map(exceeded_reason)
    }

    /// What is to be told of the budgets now; each is told of once when it is foreseen and once when it is reached.
    pub(super) fn take_warnings(&mut self, used: Energy, grams_per_joule: f64) -> Vec<String> {
        let forecast = self.forecast(used, grams_per_joule);
        let mut warnings = Vec::new();
        for alert in &mut self.alerts {
            let Some(limit) = alert.budget.as_energy(grams_per_joule) else { continue };
            if used >= limit && !std::mem::replace(&mut alert.exceeded, true) {
                alert.forecast_exceeded = true;
                warnings.push(format!("{} is used up", alert.budget.description()));
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

    /// The mean of the completed epochs and their standard deviation, which one alone does not have.
    fn epoch_mean_and_deviation(&self) -> Option<(Energy, Option<Energy>)> {
        let count = f64::from(u32::try_from(self.epoch_energies.len()).ok().filter(|count| *count > 0)?);
        let mean = self.epoch_energies.iter().map(|epoch| epoch.joules()).sum::<f64>() / count;
        let squares: f64 = self.epoch_energies.iter().map(|epoch| (epoch.joules() - mean).powi(2)).sum();
        let deviation = (count > 1.0).then(|| Energy::from_joules((squares / (count - 1.0)).sqrt()));
        Some((Energy::from_joules(mean), deviation))
    }
}

/// The 0.975 quantile of Student's t (tables of it are in every textbook); beyond thirty degrees of freedom Cornish and
/// Fisher's expansion, which is right to a thousandth there.
fn student_t_975(degrees_of_freedom: u32) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    let position = degrees_of_freedom.max(1) as usize - 1;
    TABLE.get(position).copied().unwrap_or_else(|| {
        let normal = 1.959_964_f64;
        normal + (normal.powi(3) + normal) / (4.0 * f64::from(degrees_of_freedom))
    })
}
