//! What a comparison says: by how much a training is slower, and whether that is within the goal.

use sootprint_benches::statistics::Interval;

use crate::digits::Size;

/// Upper bound that a slowdown may have.
pub(crate) const GOAL: f64 = 0.005;

/// For so long a processor that lets another thread in is held up beyond that thread's own time: two threads in lock step on
/// two processors lost 40 to 50 µs to each turn of a third of 30 µs.
const SWITCH: f64 = 20e-6;

/// Trainings with a run beside trainings without.
pub(crate) struct Compared {
    /// The sum of the two, block by block.
    pub(crate) slowdown: Interval,
    /// How much longer its turns are than those of a training without a run.
    pub(crate) in_turns: Interval,
    /// What sootprint's threads take from whatever has its turn meanwhile.
    pub(crate) beside: Interval,
    pub(crate) control: Interval,
    /// Of a training without a run.
    pub(crate) seconds: f64,
    /// The processor time of sootprint's threads in the turns of the measured training, as a part of those.
    pub(crate) own_share: f64,
    /// How often they were let onto a processor in a second of them.
    pub(crate) own_turns: f64,
}

impl Compared {
    pub(crate) fn verdict(&self) -> Verdict {
        let Interval { low, high, .. } = self.slowdown;
        // No training is faster for being measured: bounds below zero say that the clock is wrong.
        let is_told = self.control.high - self.control.low <= 2.0 * GOAL && high >= 0.0;
        if low <= 0.0 && (0.0..=GOAL).contains(&high) {
            Verdict::Passes
        } else if low <= 0.0 && !is_told && self.at_most() <= GOAL {
            Verdict::WithinTheNoise
        } else {
            Verdict::Fails
        }
    }

    /// The slowdown that sootprint's threads can have caused.
    fn at_most(&self) -> f64 {
        self.own_share + self.own_turns * SWITCH
    }

    /// As columns of the table.
    pub(crate) fn told(&self, size: &Size) -> String {
        let epochs = f64::from(size.epochs);
        format!(
            "{:.0} ms | {} | {} | {} | {} | {:.2} % of the time, {:.0} turns an epoch | at most {:.2} %",
            self.seconds / epochs * 1e3,
            told(self.slowdown),
            told(self.in_turns),
            told(self.beside),
            told(self.control),
            self.own_share * 100.0,
            self.own_turns * self.seconds / epochs,
            self.at_most() * 100.0
        )
    }
}

/// Whether a goal is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passes,
    /// The clock cannot tell on this machine, and what sootprint's threads did is within the goal.
    WithinTheNoise,
    Fails,
}

impl Verdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passes => "pass",
            Self::WithinTheNoise => "the noise hides it",
            Self::Fails => "**fail**",
        }
    }
}

/// As per cent.
fn told(interval: Interval) -> String {
    let Interval { low, middle, high } = interval.map(|part| part * 100.0);
    format!("{middle:+.3} % ({low:+.3} to {high:+.3} %)")
}
