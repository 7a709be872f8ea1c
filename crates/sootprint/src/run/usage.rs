//! The live usage of a run, for display.

use std::time::Duration;

use sootprint_core::{Co2e, Energy, Power};
use sootprint_power::SampleView;

use super::recorder::RunRecorder;

/// Live figures are extrapolated at most this far beyond the last sample.
const MAX_EXTRAPOLATION: Duration = Duration::from_secs(2);

/// Live power is a mean over at least this long.
const POWER_WINDOW: Duration = Duration::from_millis(900);

/// What a run has used so far, for display.
///
/// The figures are extrapolated from the last sample to the current time at the last known power, by at most 2 s. The
/// footprint is computed from samples only and may differ slightly.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct LiveUsage {
    /// Time since the run began.
    pub elapsed: Duration,
    /// Energy of the counted components so far.
    pub energy: Energy,
    /// Mean power over about the last second. `None` before the second sample.
    pub power: Option<Power>,
    /// Emissions of that energy at the yearly or user-provided intensity; an hourly series is applied in the footprint
    /// only.
    pub emissions: Co2e,
}

impl LiveUsage {
    /// Emissions per joule; 0 while no energy has been used.
    pub(crate) fn grams_per_joule(&self) -> f64 {
        if self.energy > Energy::ZERO { self.emissions.grams() / self.energy.joules() } else { 0.0 }
    }

    /// Extrapolates from the last sample to `now`.
    pub(crate) fn extrapolate_to(self, now: Duration) -> Self {
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

/// The usage at the last sample, and the start of the window over which its power is averaged.
#[derive(Debug, Default)]
pub(crate) struct UsageTracker {
    pub(crate) usage: LiveUsage,
    window_start: Option<(Duration, Energy)>,
}

impl UsageTracker {
    pub(crate) fn update(&mut self, recorder: &RunRecorder, sample: &SampleView<'_>) {
        let (energy, emissions) = recorder.usage_at(sample);
        let (window_start, start_energy) = *self.window_start.get_or_insert((sample.now, energy));
        let window = sample.now.saturating_sub(window_start);
        if window >= POWER_WINDOW || self.usage.power.is_none() {
            self.usage.power = (energy - start_energy).max(Energy::ZERO) / window;
        }
        if window >= POWER_WINDOW {
            self.window_start = Some((sample.now, energy));
        }
        self.usage = LiveUsage { elapsed: sample.now, energy, emissions, power: self.usage.power };
    }
}
