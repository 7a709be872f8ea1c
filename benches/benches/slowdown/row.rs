//! One row of the table: a training, measured or not, again and again.

use std::thread;

use crate::comparison::{ControlArm, GOAL, GoalVerdict, SlowdownComparison};
use crate::cpu_placement::CpuPlacement;
use crate::digits::{BenchDigits, SlowdownSize};
use crate::training_arm::{SlowdownMachine, TrainingArm};
use crate::turn_clock::{TrainingTime, TurnClock};
use crate::turn_scheduler::TurnScheduler;
use crate::{THREADS, candle, supervised};
use sootprint_benches::BenchError;

/// Trains once.
type TrainFn = fn(&BenchDigits, SlowdownSize, TrainingArm, &TurnClock) -> Result<TrainingTime, BenchError>;

/// A training, and on which processors.
pub(crate) struct SlowdownRow {
    pub(crate) name: &'static str,
    train: TrainFn,
    control: ControlArm,
    size: SlowdownSize,
    pub(crate) processors: CpuSelection,
    has_goal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CpuSelection {
    All,
    /// One is left for all else, as where a board does the work.
    AllButOne,
}

impl SlowdownRow {
    pub(crate) const fn burn(name: &'static str, size: SlowdownSize, processors: CpuSelection) -> Self {
        Self::new(name, supervised::train, ControlArm::IdleMetrics, size, processors)
    }

    pub(crate) const fn candle(name: &'static str, size: SlowdownSize, processors: CpuSelection) -> Self {
        Self::new(name, candle::train, ControlArm::Again, size, processors)
    }

    const fn new(
        name: &'static str,
        train: TrainFn,
        control: ControlArm,
        size: SlowdownSize,
        processors: CpuSelection,
    ) -> Self {
        Self { name, train, control, size, processors, has_goal: true }
    }

    pub(crate) const fn without_goal(self) -> Self {
        Self { has_goal: false, ..self }
    }

    pub(crate) const fn blocks(&self) -> usize {
        if self.has_goal { 100 } else { 18 }
    }

    /// Measures, and prints the row; whether it reaches its goal.
    pub(crate) fn print(&self, blocks: usize) -> Result<bool, BenchError> {
        let Self { name, size, has_goal, .. } = self;
        let digits = BenchDigits::load()?;
        let threads = std::env::var(THREADS)?;
        let compared =
            SlowdownComparison::of(&self.measure(blocks, &digits)?, self.control, threads.parse()?)?;
        let told = compared.told(size);
        let verdict = has_goal.then(|| compared.verdict());
        let goal = if *has_goal {
            format!("bounds hold 0 %, upper one ≤ {} %", GOAL * 100.0)
        } else {
            String::new()
        };
        println!(
            "| {name} | {threads} | {blocks} | {:.2} ms | {told} | {goal} | {} |",
            compared.seconds / size.steps(digits.0.len()) * 1e3,
            verdict.map_or("", GoalVerdict::word),
        );
        Ok(verdict != Some(GoalVerdict::Fails))
    }

    fn measure(&self, blocks: usize, digits: &BenchDigits) -> Result<Vec<[TrainingTime; 3]>, BenchError> {
        let (machine, place) =
            (SlowdownMachine::new()?, CpuPlacement::new(self.processors == CpuSelection::AllButOne)?);
        // The first one fills caches and pools.
        self.block(0, &machine, place, digits)?;
        let trained = (1..=blocks).map(|block| {
            let trained = self.block(block, &machine, place, digits)?;
            eprintln!("block {block} of {blocks}");
            Ok(trained)
        });
        trained.collect()
    }

    /// Trains with each of the arms, in turns.
    fn block(
        &self,
        block: usize,
        machine: &SlowdownMachine,
        place: CpuPlacement,
        digits: &BenchDigits,
    ) -> Result<[TrainingTime; 3], BenchError> {
        let mut random = fastrand::Rng::new();
        let mut arms = [
            (0, TrainingArm::Measured(machine.start(block)?)),
            (1, TrainingArm::Without),
            (2, TrainingArm::Control),
        ];
        // A training may be faster for where its memory lies, and that depends on who asked for memory first.
        random.shuffle(&mut arms);
        let turns = TurnScheduler::new(arms.len(), random.u64(..));
        // All have a place in the queue before the first one waits for the others.
        let arms = arms.map(|(number, arm)| {
            (number, arm, TurnClock::new(turns.player(number), place, self.size.batches_in_a_turn))
        });
        let mut trained = thread::scope(|scope| {
            arms.map(|(number, arm, clock)| {
                (number, scope.spawn(move || (self.train)(digits, self.size, arm, &clock)))
            })
            .map(|(number, training)| {
                (number, training.join().unwrap_or_else(|_| Err("a training has panicked".into())))
            })
        });
        trained.sort_unstable_by_key(|(number, _)| *number);
        let [(_, measured), (_, without), (_, control)] = trained;
        Ok([measured?, without?, control?])
    }
}
