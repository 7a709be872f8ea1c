//! What a comparison says: by how much a training is slower, and whether that is within the goal.

use crate::digits::SlowdownSize;
use crate::turn_clock::TrainingTime;
use sootprint_benches::BenchError;
use sootprint_benches::statistics::{ConfidenceInterval, median};
use sootprint_benches::steps::step_delay_share;

/// Upper bound that a slowdown may have.
pub(crate) const GOAL: f64 = 0.005;

/// For so long a processor that lets another thread in is held up beyond that thread's own time: two threads in lock step on
/// two processors lost 40 to 50 µs to each turn of a third of 30 µs.
const SWITCH: f64 = 20e-6;

/// Trainings with a run beside trainings without, as parts of the time of one without.
pub(crate) struct SlowdownComparison {
    /// The sum of the two next ones, block by block.
    slowdown: ConfidenceInterval,
    /// How much longer its turns are than those of a training without a run.
    in_turns: ConfidenceInterval,
    /// What sootprint's threads take from whatever has its turn meanwhile.
    beside: ConfidenceInterval,
    /// How much longer the control takes.
    control: ConfidenceInterval,
    /// How much longer than a control with idle metrics a measured training takes.
    beyond_control: Option<ConfidenceInterval>,
    /// None where more threads than one train.
    around: Option<ThreadEffects>,
    /// Seconds of a training without a run.
    pub(crate) seconds: f64,
    /// The processor time of sootprint's threads in the turns of the measured training, as a part of those.
    own_share: f64,
    /// How often they were let onto a processor in a second of them.
    own_turns: f64,
}

/// What goes on around a thread that trains alone, beyond that of a training without a run: it is known far more closely
/// than how long the same steps take.
struct ThreadEffects {
    /// For how much longer it is on no processor.
    waited: ConfidenceInterval,
    /// How much longer other threads are at work.
    others: ConfidenceInterval,
    control_waited: ConfidenceInterval,
    control_others: ConfidenceInterval,
}

/// What the third arm is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ControlArm {
    /// A training without a run once more.
    Again,
    /// A training with metrics that do nothing.
    IdleMetrics,
}

impl SlowdownComparison {
    /// Of blocks of a measured training, one without a run and the control, each with so many threads.
    pub(crate) fn of(
        blocks: &[[TrainingTime; 3]],
        control: ControlArm,
        threads: usize,
    ) -> Result<Self, BenchError> {
        let log_time = |took: &TrainingTime| took.time.as_secs_f64().ln();
        let in_turns = values(blocks, |block| control.more(block, log_time));
        let beside = blocks.iter().map(|[_, unmeasured @ ..]| {
            step_delay_share(unmeasured.iter().flat_map(|took| &took.turns))
                .ok_or("a block without steps that sootprint's threads joined, or with no others")
        });
        let beside = beside.collect::<Result<Vec<_>, _>>()?;
        let with_beside = |turns: &[f64]| {
            turns.iter().zip(&beside).map(|(turns, beside)| turns + beside).collect::<Vec<_>>()
        };
        let controls = values(blocks, |[_, without, control]| log_time(control) - log_time(without));
        let beyond = values(blocks, |[measured, _, control]| log_time(measured) - log_time(control));
        let slower = |logarithms: &[f64]| Ok::<_, BenchError>(bounds(logarithms)?.map(f64::exp_m1));
        let middle = |value: fn(&[TrainingTime; 3]) -> f64| {
            median(&values(blocks, value)).ok_or("no blocks to compare")
        };
        Ok(Self {
            slowdown: slower(&with_beside(&in_turns))?,
            in_turns: slower(&in_turns)?,
            beside: slower(&beside)?,
            control: slower(&controls)?,
            beyond_control: (control == ControlArm::IdleMetrics)
                .then(|| slower(&with_beside(&beyond)))
                .transpose()?,
            around: (threads == 1).then(|| ThreadEffects::of(blocks, control)).transpose()?,
            seconds: middle(|[_, without, _]| without.time.as_secs_f64())?,
            own_share: middle(|[measured, ..]| measured.own_seconds() / measured.time.as_secs_f64())?,
            own_turns: middle(|[measured, ..]| measured.own.timeslices as f64 / measured.time.as_secs_f64())?,
        })
    }

    pub(crate) fn verdict(&self) -> GoalVerdict {
        let ConfidenceInterval { low, high, .. } = self.slowdown;
        // No training is faster for being measured: bounds below zero say that the clock is wrong.
        let is_told = self.control.high - self.control.low <= 2.0 * GOAL && high >= 0.0;
        if low <= 0.0 && (0.0..=GOAL).contains(&high) {
            GoalVerdict::Passes
        } else if low <= 0.0 && !is_told && self.by_others() <= GOAL {
            GoalVerdict::WithinTheNoise
        } else {
            GoalVerdict::Fails
        }
    }

    /// The slowdown that other threads can have caused: all of them where they are known, else sootprint's.
    fn by_others(&self) -> f64 {
        match &self.around {
            Some(around) => around.waited.high + around.others.high,
            None => self.own_share + self.own_turns * SWITCH,
        }
    }

    /// As columns of the table.
    pub(crate) fn told(&self, size: &SlowdownSize) -> String {
        let epochs = f64::from(size.epochs);
        let [waits, works] = match &self.around {
            Some(ThreadEffects { waited, others, control_waited, control_others }) => {
                [(waited, control_waited), (others, control_others)]
                    .map(|(with, control)| format!("{}; control {}", told(*with), told(*control)))
            }
            None => [String::new(), String::new()],
        };
        let beyond =
            self.beyond_control.map_or(String::new(), |beyond| format!("; beyond it {}", told(beyond)));
        format!(
            "{:.0} ms | {} | {} | {} | {}{beyond} | {waits} | {works} | {:.2} %, {:.0} turns an epoch | at most {:.2} %",
            self.seconds / epochs * 1e3,
            told(self.slowdown),
            told(self.in_turns),
            told(self.beside),
            told(self.control),
            self.own_share * 100.0,
            self.own_turns * self.seconds / epochs,
            self.by_others() * 100.0
        )
    }
}

impl ThreadEffects {
    fn of(blocks: &[[TrainingTime; 3]], control: ControlArm) -> Result<Self, BenchError> {
        let part = |more: f64, without: &TrainingTime| more / without.time.as_secs_f64();
        // A run's own threads are at work beside all three.
        let measured = |value: fn(&TrainingTime) -> f64, own: fn(&TrainingTime) -> f64| {
            bounds(&values(blocks, |block| part(control.more(block, value) + own(&block[0]), &block[1])))
        };
        let idle = |value: fn(&TrainingTime) -> f64| {
            bounds(&values(blocks, |[_, without, control]| part(value(control) - value(without), without)))
        };
        Ok(Self {
            waited: measured(|took| took.waited, |_| 0.0)?,
            others: measured(|took| took.others, TrainingTime::own_seconds)?,
            control_waited: idle(|took| took.waited)?,
            control_others: idle(|took| took.others)?,
        })
    }
}

impl ControlArm {
    /// By how much a measured training has more than one without a run.
    fn more(
        self,
        [measured, without, control]: &[TrainingTime; 3],
        value: impl Fn(&TrainingTime) -> f64,
    ) -> f64 {
        let without = match self {
            Self::Again => f64::midpoint(value(without), value(control)),
            Self::IdleMetrics => value(without),
        };
        value(measured) - without
    }
}

fn values(blocks: &[[TrainingTime; 3]], value: impl Fn(&[TrainingTime; 3]) -> f64) -> Vec<f64> {
    blocks.iter().map(value).collect()
}

fn bounds(differences: &[f64]) -> Result<ConfidenceInterval, BenchError> {
    Ok(ConfidenceInterval::from_differences(differences).ok_or("too few blocks for bounds")?)
}

/// Whether a goal is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GoalVerdict {
    Passes,
    /// The clock cannot tell on this machine, and what other threads can have caused is within the goal.
    WithinTheNoise,
    Fails,
}

impl GoalVerdict {
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Passes => "pass",
            Self::WithinTheNoise => "the noise hides it",
            Self::Fails => "**fail**",
        }
    }
}

/// As per cent.
fn told(interval: ConfidenceInterval) -> String {
    let ConfidenceInterval { low, estimate: middle, high } = interval.map(|part| part * 100.0);
    format!("{middle:+.3} % ({low:+.3} to {high:+.3} %)")
}
