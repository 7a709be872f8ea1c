//! The energy of each component at some moments of a run, and the power between them.

use sootprint_core::{Energy, energy_at};

/// The footprint keeps at most this many points of power; a longer run's are thinned out evenly.
pub(super) const MAX_POWER_POINTS: usize = 500;

/// The mean power over less than this many seconds says nothing of a rest.
const MIN_IDLE_WINDOW: f64 = 0.9;

/// Energies that only grow, with their moments.
#[derive(Debug, Clone, Default)]
pub(super) struct EnergyTrace(Vec<(f64, Vec<Energy>)>);

impl EnergyTrace {
    pub(super) fn push(&mut self, at: f64, each: Vec<Energy>) {
        self.0.push((at, each));
        if self.0.len() > 2 * MAX_POWER_POINTS {
            thin_out(&mut self.0);
        }
    }

    /// The energy of a component up to a moment, on the line between the points around it.
    pub(super) fn energy_at(&self, component: usize, at: f64) -> Energy {
        energy_at(&self.0, at, |(at, each)| (*at, each.get(component).copied().unwrap_or_default()))
    }

    /// What a sum of the components' energies makes of each point.
    pub(super) fn sum_points(&self, sum: impl Fn(&[Energy]) -> Energy) -> Vec<(f64, Energy)> {
        self.0.iter().map(|(at, each)| (*at, sum(each))).collect()
    }
}

/// The mean power up to each moment that is kept.
pub(super) fn mean_power(mut total_energy: Vec<(f64, Energy)>) -> Vec<(f64, f64)> {
    while total_energy.len() > MAX_POWER_POINTS {
        thin_out(&mut total_energy);
    }
    let (mut then, mut before) = (0.0, Energy::ZERO);
    let mut power = Vec::with_capacity(total_energy.len());
    for (at, energy) in total_energy {
        if at > then {
            power.push((at, (energy - before).joules() / (at - then)));
            (then, before) = (at, energy);
        }
    }
    power
}

/// What a run would have used at the lowest power that was seen in it, which bounds from above what its hardware uses
/// at rest. A training that never rests tells little of that; a single span tells nothing.
pub(super) fn idle_energy_from_lowest_power(power: &[(f64, f64)], duration: f64) -> Option<Energy> {
    let starts = std::iter::once(0.0).chain(power.iter().map(|(at, _)| *at));
    let spans = starts.zip(power).filter(|(start, (at, _))| at - start >= MIN_IDLE_WINDOW);
    let watts: Vec<f64> = spans.map(|(_, (_, watts))| *watts).collect();
    let lowest = watts.iter().copied().reduce(f64::min)?;
    (watts.len() > 1).then(|| Energy::from_joules(lowest * duration))
}

/// Takes out every second point and keeps the last.
fn thin_out<T>(points: &mut Vec<T>) {
    let odd = points.len() % 2;
    let mut index = 0;
    points.retain(|_| {
        index += 1;
        index % 2 == odd
    });
}
