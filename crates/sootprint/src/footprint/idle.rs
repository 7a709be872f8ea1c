//! The energy that the hardware of a run would have used at rest.

use sootprint_core::Energy;

/// Spans shorter than this many seconds are ignored: their mean power does not represent the hardware at rest.
const MIN_IDLE_WINDOW: f64 = 0.9;

/// An idle energy and the name of its method, as in the footprint.
pub(super) struct IdleEnergy {
    pub(super) energy: Energy,
    pub(super) method: &'static str,
}

impl IdleEnergy {
    /// From the power at rest, measured before the run.
    pub(super) const fn from_baseline(energy: Energy) -> Self {
        Self { energy, method: "baseline" }
    }

    /// From the lowest power seen during the run: an upper bound of the power at rest, and far from it for a training
    /// that never rests. `None` for fewer than two spans, which show no variation.
    ///
    /// `power` lists the end of each span in seconds and its mean power in watts; `duration` is in seconds.
    pub(super) fn from_lowest_power(power: &[(f64, f64)], duration: f64) -> Option<Self> {
        let starts = std::iter::once(0.0).chain(power.iter().map(|(at, _)| *at));
        let spans = starts.zip(power).filter(|(start, (at, _))| at - start >= MIN_IDLE_WINDOW);
        let watts: Vec<f64> = spans.map(|(_, (_, watts))| *watts).collect();
        let lowest = watts.iter().copied().reduce(f64::min)?;
        let energy = Energy::from_joules(lowest * duration);
        (watts.len() > 1).then_some(Self { energy, method: "lowest_seen" })
    }
}
