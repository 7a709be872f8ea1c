//! Trainings that take turns.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

/// Gives turns to some trainings, each in a thread of its own, of which one trains while the others wait. In each round
/// each has one turn, and the order is drawn anew: whatever else goes on, and however regularly, falls on all alike.
pub(crate) struct TurnScheduler {
    queue: Mutex<TurnQueue>,
    changed: Condvar,
}

struct TurnQueue {
    /// Who still trains.
    training: Vec<usize>,
    /// Who is yet to have a turn in this round. The last one has it now.
    round: Vec<usize>,
    /// How many are not ready yet; until then nobody has a turn.
    preparing: usize,
    random: fastrand::Rng,
}

/// A place in the queue, until it is dropped.
pub(crate) struct TurnTicket {
    turns: Arc<TurnScheduler>,
    number: usize,
    is_ready: bool,
}

impl TurnScheduler {
    /// For so many trainings, with a seed for the orders.
    pub(crate) fn new(trainings: usize, seed: u64) -> Arc<Self> {
        let training = (0..trainings).collect();
        let random = fastrand::Rng::with_seed(seed);
        let mut queue = TurnQueue { training, round: Vec::new(), preparing: trainings, random };
        queue.begin_round();
        Arc::new(Self { queue: Mutex::new(queue), changed: Condvar::new() })
    }

    /// Each number is to be taken by one training.
    pub(crate) fn player(self: &Arc<Self>, number: usize) -> TurnTicket {
        TurnTicket { turns: Arc::clone(self), number, is_ready: false }
    }

    fn wait_while(&self, queue: MutexGuard<'_, TurnQueue>, waits: impl Fn(&TurnQueue) -> bool) {
        drop(self.changed.wait_while(queue, |queue| waits(queue)).unwrap_or_else(PoisonError::into_inner));
    }

    fn queue(&self) -> MutexGuard<'_, TurnQueue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnTicket {
    /// Returns with the first turn, when all are ready.
    pub(crate) fn begin(&mut self) {
        let mut queue = self.turns.queue();
        self.is_ready = true;
        queue.preparing -= 1;
        self.turns.changed.notify_all();
        self.turns.wait_while(queue, |queue| !queue.is_turn_of(self.number));
    }

    /// Ends a turn, and returns with the next one.
    pub(crate) fn next(&self) {
        let mut queue = self.turns.queue();
        queue.round.pop();
        queue.go_on();
        self.turns.changed.notify_all();
        self.turns.wait_while(queue, |queue| !queue.is_turn_of(self.number));
    }

    /// Leaves, and returns when all have: what a training does at its end is in nobody's turn.
    pub(crate) fn end(mut self) {
        self.leave();
        self.turns.wait_while(self.turns.queue(), |queue| !queue.training.is_empty());
    }

    fn leave(&mut self) {
        let mut queue = self.turns.queue();
        if !self.is_ready {
            queue.preparing -= 1;
            self.is_ready = true;
        }
        queue.training.retain(|number| *number != self.number);
        queue.round.retain(|number| *number != self.number);
        queue.go_on();
        self.turns.changed.notify_all();
    }
}

impl Drop for TurnTicket {
    /// A training that fails leaves too, or the others would wait forever.
    fn drop(&mut self) {
        self.leave();
    }
}

impl TurnQueue {
    fn is_turn_of(&self, number: usize) -> bool {
        self.preparing == 0 && self.round.last() == Some(&number)
    }

    /// To be called when somebody is out of the round.
    fn go_on(&mut self) {
        if self.round.is_empty() {
            self.begin_round();
        }
    }

    fn begin_round(&mut self) {
        self.round.clone_from(&self.training);
        self.random.shuffle(&mut self.round);
    }
}
