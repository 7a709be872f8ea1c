//! The power of all ledgers together.

use sootprint_core::Energy;

use super::super::trace::MOST_POINTS;
use super::Merge;

impl Merge<'_> {
    /// The mean power in each of at most 500 equal spans.
    pub(super) fn power(&self, duration: f64) -> Vec<(f64, f64)> {
        if duration <= 0.0 {
            return Vec::new();
        }
        let spans = (duration.ceil() as usize).clamp(1, MOST_POINTS);
        let length = duration / spans as f64;
        let mut energy = vec![Energy::ZERO; spans];
        for part in &self.parts {
            let piece = &self.pieces[part.piece];
            let (start, end) = (piece.offset + part.from, piece.offset + part.to);
            let (first, last) = ((start / length) as usize, (end / length) as usize);
            let touched = energy.iter_mut().enumerate().take(last + 1).skip(first);
            for (index, energy) in touched {
                let from = (index as f64 * length).max(start) - piece.offset;
                let to = ((index + 1) as f64 * length).min(end) - piece.offset;
                if from < to {
                    *energy += piece.energy_between(part.component, from, to);
                }
            }
        }
        let point =
            |(index, energy): (usize, Energy)| ((index + 1) as f64 * length, energy.joules() / length);
        energy.into_iter().enumerate().map(point).collect()
    }
}
