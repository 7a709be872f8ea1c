//! One row of the table: a training, measured or not, again and again.

use std::thread;

use crate::arm::{Arm, Machine};
use crate::clock::{Clock, Took};
use crate::compared::{Compared, Control, GOAL, Verdict};
use crate::digits::{Digits, Size};
use crate::place::Place;
use crate::turns::Turns;
use crate::{THREADS, candle, supervised};
use sootprint_benches::Failure;

/// Trains once.
type Train = fn(&Digits, Size, Arm, &Clock) -> Result<Took, Failure>;

/// A training, and on which processors.
pub(crate) struct Row {
    pub(crate) name: &'static str,
    train: Train,
    control: Control,
    size: Size,
    pub(crate) processors: Processors,
    has_goal: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Processors {
    All,
    /// One is left for all else, as where a board does the work.
    AllButOne,
}

impl Row {
    pub(crate) const fn burn(name: &'static str, size: Size, processors: Processors) -> Self {
        Self::new(name, supervised::train, Control::IdleMetrics, size, processors)
    }

    pub(crate) const fn candle(name: &'static str, size: Size, processors: Processors) -> Self {
        Self::new(name, candle::train, Control::Again, size, processors)
    }

    const fn new(
        name: &'static str,
        train: Train,
        control: Control,
        size: Size,
        processors: Processors,
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
    pub(crate) fn print(&self, blocks: usize) -> Result<bool, Failure> {
        let Self { name, size, has_goal, .. } = self;
        let digits = Digits::load()?;
        let threads = std::env::var(THREADS)?;
        let compared = Compared::of(&self.measure(blocks, &digits)?, self.control, threads.parse()?)?;
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
            verdict.map_or("", Verdict::word),
        );
        Ok(verdict != Some(Verdict::Fails))
    }

    fn measure(&self, blocks: usize, digits: &Digits) -> Result<Vec<[Took; 3]>, Failure> {
        let (machine, place) = (Machine::new()?, Place::new(self.processors == Processors::AllButOne)?);
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
        machine: &Machine,
        place: Place,
        digits: &Digits,
    ) -> Result<[Took; 3], Failure> {
        let mut random = fastrand::Rng::new();
        let mut arms = [(0, Arm::Measured(machine.start(block)?)), (1, Arm::Without), (2, Arm::Control)];
        // A training may be faster for where its memory lies, and that depends on who asked for memory first.
        random.shuffle(&mut arms);
        let turns = Turns::new(arms.len(), random.u64(..));
        // All have a place in the queue before the first one waits for the others.
        let arms = arms.map(|(number, arm)| {
            (number, arm, Clock::new(turns.player(number), place, self.size.batches_in_a_turn))
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
