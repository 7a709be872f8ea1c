//! What a run has used so far, for display.

use std::time::Duration;

use sootprint_core::{Co2e, Energy, Power};
use sootprint_power::SampleView;

use crate::run::recorder::RunRecorder;

/// A live figure reaches this far beyond the last reading, at the last known power.
const MAX_EXTRAPOLATION: Duration = Duration::from_secs(2);

/// The live power is a mean over at least this long.
const POWER_WINDOW: Duration = Duration::from_millis(900);

/// What a run has used so far, for display.
///
/// The figures reach from the last reading to now at the last known power, for two seconds at most; the footprint,
/// which is computed from readings alone, may differ a little.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct LiveUsage {
    /// Time since the run began.
    pub elapsed: Duration,
    /// Energy of what counts so far.
    pub energy: Energy,
    /// Mean power over about the last second; none before there are two readings.
    pub power: Option<Power>,
    /// What the energy emitted, at the table's intensity or the given one: figures for the hours count in the footprint.
    pub emissions: Co2e,
}

/// The last reading, and the one before it that the power is a mean since.
#[derive(Debug, Default)]
pub(super) struct UsageTracker {
    pub(super) usage: LiveUsage,
    window_start: Option<(Duration, Energy)>,
}

impl UsageTracker {
    pub(super) fn update(&mut self, recorder: &RunRecorder, moment: &SampleView<'_>) {
        let (energy, emissions) = recorder.usage_at(moment);
        let (window_start, start_energy) = *self.window_start.get_or_insert((moment.now, energy));
        let window = moment.now.saturating_sub(window_start);
        if window >= POWER_WINDOW || self.usage.power.is_none() {
            self.usage.power = (energy - start_energy) / window;
        }
        if window >= POWER_WINDOW {
            self.window_start = Some((moment.now, energy));
        }
        self.usage = LiveUsage { elapsed: moment.now, energy, emissions, power: self.usage.power };
    }
}

impl LiveUsage {
    /// What a joule emits; 0 as long as nothing was used.
    pub(super) fn grams_per_joule(&self) -> f64 {
        if self.energy > Energy::ZERO { self.emissions.grams() / self.energy.joules() } else { 0.0 }
    }

    /// Reaches from the last reading to `now`.
    pub(in crate::run) fn extrapolate_to(self, now: Duration) -> Self {
        let extrapolated = now.saturating_sub(self.elapsed).min(MAX_EXTRAPOLATION);
        let added = self.power.unwrap_or_default() * extrapolated;
        let grams_per_joule = self.grams_per_joule();
        Self {
            elapsed: now,
            energy: self.energy + added,
            emissions: self.emissions + Co2e::from_grams(added.joules() * grams_per_joule),
            power: self.power,
        }
    }
}
