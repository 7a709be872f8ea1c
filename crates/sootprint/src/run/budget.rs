//! How much a run may use, and what it will come to.

use sootprint_core::{Co2e, Energy};

/// A limit on what a run may use or emit.
///
/// Reached, it is told as a warning; with [`stop`](Self::stop) the loop ends too, cleanly: between epochs when the next
/// one, at the mean of those before, would go beyond the limit, and within a loop that asks
/// [`RunHandle::over_budget`](super::RunHandle::over_budget) when the limit is reached.
///
/// ```
/// use sootprint::{Budget, Co2e, Energy, Run};
///
/// # let dir = tempfile::tempdir()?;
/// let run = Run::pre_training(dir.path())
///     .budget(Budget::emissions(Co2e::from_grams(500.0)))
///     .budget(Budget::energy(Energy::from_kilowatt_hours(2.0)).stop())
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
    limit: Limit,
    stops: bool,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Limit {
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
pub struct Prediction {
    /// The completed epochs that it rests on.
    pub epochs: u32,
    /// The epochs that are to come.
    pub to_come: u32,
    /// The expected energy of the whole run.
    pub energy: Energy,
    /// Its interval; none after one epoch, whose spread nobody knows.
    pub energy_range: Option<(Energy, Energy)>,
    /// The expected emissions of the whole run, at the table's intensity or the given one.
    pub emissions: Co2e,
    /// Their interval; none after one epoch.
    pub emissions_range: Option<(Co2e, Co2e)>,
}

/// What the epochs of a run have used so far, as far as a loop has to know it: no reading is waited for.
#[derive(Debug, Default)]
pub(super) struct Pace {
    planned: Option<u32>,
    /// What the run had used when the open epoch began.
    begun: Option<Energy>,
    /// Each completed epoch: the live figure at first, then what the readings say.
    epochs: Vec<Energy>,
    budgets: Vec<Told>,
}

#[derive(Debug)]
struct Told {
    budget: Budget,
    is_reached: bool,
    is_foreseen: bool,
}

impl Budget {
    /// So much energy: GPU, CPU and memory, as in [`EnergySummary::total`](crate::EnergySummary::total).
    pub const fn energy(most: Energy) -> Self {
        Self { limit: Limit::Energy(most), stops: false }
    }

    /// So many grams of CO2e.
    pub const fn emissions(most: Co2e) -> Self {
        Self { limit: Limit::Emissions(most), stops: false }
    }

    /// Ends the loop, too.
    pub const fn stop(mut self) -> Self {
        self.stops = true;
        self
    }

    /// The limit as energy, where a joule emits so many grams; none where it emits nothing.
    fn as_energy(&self, grams_per_joule: f64) -> Option<Energy> {
        match self.limit {
            Limit::Energy(most) => Some(most),
            Limit::Emissions(most) => {
                (grams_per_joule > 0.0).then(|| Energy::from_joules(most.grams() / grams_per_joule))
            }
        }
    }

    fn name(&self) -> String {
        match self.limit {
            Limit::Energy(most) => format!("the budget of {most}"),
            Limit::Emissions(most) => format!("the budget of {most} CO2e"),
        }
    }
}

impl Pace {
    pub(super) fn new(budgets: Vec<Budget>) -> Self {
        let told = |budget| Told { budget, is_reached: false, is_foreseen: false };
        Self { budgets: budgets.into_iter().map(told).collect(), ..Self::default() }
    }

    pub(super) fn has_budget(&self) -> bool {
        !self.budgets.is_empty()
    }

    pub(super) fn planned(&mut self, epochs: u32) {
        self.planned = Some(epochs);
    }

    pub(super) fn epoch_started(&mut self, used: Energy) {
        self.begun = Some(used);
    }

    /// The open epoch ends; its position when it is complete, under which its energy can be corrected.
    pub(super) fn epoch_ended(&mut self, completed: bool, used: Energy) -> Option<usize> {
        let begun = self.begun.take()?;
        let energy = if used > begun { used - begun } else { Energy::ZERO };
        completed.then(|| self.epochs.push(energy))?;
        Some(self.epochs.len() - 1)
    }

    /// The readings say what a completed epoch used.
    pub(super) fn measured(&mut self, position: usize, energy: Energy) {
        if let Some(epoch) = self.epochs.get_mut(position) {
            *epoch = energy;
        }
    }

    pub(super) fn prediction(&self, used: Energy, grams_per_joule: f64) -> Option<Prediction> {
        let (mean, deviation) = self.mean()?;
        let epochs = u32::try_from(self.epochs.len()).ok()?;
        let to_come = self.planned?.saturating_sub(epochs);
        let (known, rest) = (f64::from(epochs), f64::from(to_come));
        // What an open epoch has used so far is a part of its mean.
        let settled = self.begun.unwrap_or(used);
        let energy = Energy::from_joules((settled + mean * rest).joules().max(used.joules()));
        let energy_range = deviation.map(|deviation| {
            let spread = student(epochs - 1) * deviation.joules() * (rest + rest * rest / known).sqrt();
            let low = (energy.joules() - spread).max(used.joules());
            (Energy::from_joules(low), energy + Energy::from_joules(spread))
        });
        let emitted = |energy: Energy| Co2e::from_grams(energy.joules() * grams_per_joule);
        Some(Prediction {
            epochs,
            to_come,
            energy,
            energy_range,
            emissions: emitted(energy),
            emissions_range: energy_range.map(|(low, high)| (emitted(low), emitted(high))),
        })
    }

    /// Why the loop is to stop now. An epoch that is open goes on until a limit is reached; another one is not begun
    /// when its mean would go beyond.
    pub(super) fn stops(&self, used: Energy, grams_per_joule: f64) -> Option<String> {
        let next = if self.begun.is_none() { self.mean().map(|(mean, _)| mean) } else { None };
        let stops = |told: &Told| {
            let most = told.budget.as_energy(grams_per_joule)?;
            let name = told.budget.name();
            if used >= most {
                return Some(format!("{name} is used up"));
            }
            let next = next.filter(|next| used + *next > most)?;
            Some(format!("{name} is not enough for another epoch of {next}"))
        };
        self.budgets.iter().filter(|told| told.budget.stops).find_map(stops)
    }

    /// What is to be told of the budgets now; each is told of once when it is foreseen and once when it is reached.
    pub(super) fn warnings(&mut self, used: Energy, grams_per_joule: f64) -> Vec<String> {
        let prediction = self.prediction(used, grams_per_joule);
        let mut warnings = Vec::new();
        for told in &mut self.budgets {
            let Some(most) = told.budget.as_energy(grams_per_joule) else { continue };
            if used >= most && !std::mem::replace(&mut told.is_reached, true) {
                told.is_foreseen = true;
                warnings.push(format!("{} is used up", told.budget.name()));
            }
            if let Some(Prediction { energy, epochs, .. }) = prediction
                && energy > most
                && !std::mem::replace(&mut told.is_foreseen, true)
            {
                let after = if epochs == 1 { "1 epoch".to_owned() } else { format!("{epochs} epochs") };
                warnings.push(format!(
                    "{} will not be enough: after {after} the whole run is expected to use {energy}",
                    told.budget.name()
                ));
            }
        }
        warnings
    }

    /// The mean of the completed epochs and their standard deviation, which one alone does not have.
    fn mean(&self) -> Option<(Energy, Option<Energy>)> {
        let count = f64::from(u32::try_from(self.epochs.len()).ok().filter(|count| *count > 0)?);
        let mean = self.epochs.iter().map(|epoch| epoch.joules()).sum::<f64>() / count;
        let squares: f64 = self.epochs.iter().map(|epoch| (epoch.joules() - mean).powi(2)).sum();
        let deviation = (count > 1.0).then(|| Energy::from_joules((squares / (count - 1.0)).sqrt()));
        Some((Energy::from_joules(mean), deviation))
    }
}

/// The 0.975 quantile of Student's t (tables of it are in every textbook); beyond thirty degrees of freedom Cornish and
/// Fisher's expansion, which is right to a thousandth there.
fn student(freedom: u32) -> f64 {
    const TABLE: [f64; 30] = [
        12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145,
        2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048,
        2.045, 2.042,
    ];
    let position = freedom.max(1) as usize - 1;
    TABLE.get(position).copied().unwrap_or_else(|| {
        let normal = 1.959_964_f64;
        normal + (normal.powi(3) + normal) / (4.0 * f64::from(freedom))
    })
}
