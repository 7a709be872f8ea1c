//! The energy of each component over the course of a run, and the power derived from it.

use sootprint_core::{Energy, energy_at};

/// The maximum number of power points in a footprint. Longer runs are thinned out evenly.
pub(super) const MAX_POWER_POINTS: usize = 500;

/// Cumulative energies of each component, with their times in seconds since the start of the run.
#[derive(Debug, Clone, Default)]
pub(super) struct EnergyTrace(Vec<(f64, Vec<Energy>)>);

impl EnergyTrace {
    /// Adds a point. Where energies were estimated too high until a counter was read, they stay at the estimate.
    pub(super) fn push(&mut self, at: f64, mut each: Vec<Energy>) {
        if let Some((_, last)) = self.0.last() {
            each.iter_mut().zip(last).for_each(|(energy, last)| *energy = energy.max(*last));
        }
        self.0.push((at, each));
        if self.0.len() > 2 * MAX_POWER_POINTS {
            thin_out(&mut self.0);
        }
    }

    /// The energy of a component up to a time, interpolated linearly between the surrounding points.
    pub(super) fn energy_at(&self, component: usize, at: f64) -> Energy {
        energy_at(&self.0, at, |(at, each)| (*at, each.get(component).copied().unwrap_or_default()))
    }

    /// The time of each point, with the sum of the components' energies as computed by `sum`.
    pub(super) fn sum_points(&self, sum: impl Fn(&[Energy]) -> Energy) -> Vec<(f64, Energy)> {
        self.0.iter().map(|(at, each)| (*at, sum(each))).collect()
    }
}

/// The mean power in watts between consecutive points, each with the time of its end.
pub(super) fn mean_power(mut total_energy: Vec<(f64, Energy)>) -> Vec<(f64, f64)> {
    while total_energy.len() > MAX_POWER_POINTS {
        thin_out(&mut total_energy);
    }
    let (mut last_at, mut last_energy) = (0.0, Energy::ZERO);
    let mut power = Vec::with_capacity(total_energy.len());
    for (at, energy) in total_energy {
        if at > last_at {
            power.push((at, (energy - last_energy).joules() / (at - last_at)));
            (last_at, last_energy) = (at, energy);
        }
    }
    power
}

/// Removes every second point and keeps the last.
fn thin_out<T>(points: &mut Vec<T>) {
    let odd = points.len() % 2;
    let mut index = 0;
    points.retain(|_| {
        index += 1;
        index % 2 == odd
    });
}
