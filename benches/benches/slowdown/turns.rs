//! Trainings that take turns, and the duration of each one's turns.

use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use sootprint_core::sync::lock_ignoring_poison;

/// Pause after a turn, for framework threads that are still working on the last step.
const SETTLE: Duration = Duration::from_millis(2);

/// Times a training and passes the turn on after a number of batches.
#[derive(Clone)]
pub(crate) struct TurnTimer(Arc<Mutex<TimerState>>);

struct TimerState {
    ticket: Option<TurnTicket>,
    batches_per_turn: usize,
    batches: usize,
    turn_started: Instant,
    elapsed: Duration,
}

impl TurnTimer {
    pub(crate) fn new(ticket: TurnTicket, batches_per_turn: usize) -> Self {
        let (turn_started, elapsed) = (Instant::now(), Duration::ZERO);
        Self(Arc::new(Mutex::new(TimerState {
            ticket: Some(ticket),
            batches_per_turn,
            batches: 0,
            turn_started,
            elapsed,
        })))
    }

    /// Runs a training, starting with its first turn. Returns when the others have ended, too.
    pub(crate) fn time<T>(&self, train: impl FnOnce() -> T) -> (T, Duration) {
        {
            let mut state = self.state();
            if let Some(ticket) = &mut state.ticket {
                ticket.begin();
            }
            state.turn_started = Instant::now();
        }
        let trained = train();
        let mut state = self.state();
        state.end_turn();
        if let Some(ticket) = state.ticket.take() {
            ticket.end();
        }
        (trained, state.elapsed)
    }

    /// Must be called for each batch, on the training thread.
    pub(crate) fn batch(&self) {
        let mut state = self.state();
        state.batches += 1;
        if state.batches.is_multiple_of(state.batches_per_turn) {
            state.end_turn();
            if let Some(ticket) = &state.ticket {
                ticket.next();
            }
            state.turn_started = Instant::now();
        }
    }

    fn state(&self) -> MutexGuard<'_, TimerState> {
        lock_ignoring_poison(&self.0)
    }
}

impl TimerState {
    fn end_turn(&mut self) {
        self.elapsed += self.turn_started.elapsed();
        thread::sleep(SETTLE);
    }
}

/// Gives turns to trainings, each on its own thread. Each has one turn per round, in random order, so regular
/// disturbances affect all of them alike.
pub(crate) struct TurnScheduler {
    queue: Mutex<TurnQueue>,
    changed: Condvar,
}

struct TurnQueue {
    training: Vec<usize>,
    /// The trainings that still have a turn in this round; the last one has the current turn.
    round: Vec<usize>,
    /// The trainings that are not ready yet; until then there are no turns.
    preparing: usize,
    random: fastrand::Rng,
}

/// A training's place in the queue, until it is dropped.
pub(crate) struct TurnTicket {
    scheduler: Arc<TurnScheduler>,
    number: usize,
    is_ready: bool,
}

impl TurnScheduler {
    pub(crate) fn new(trainings: usize, seed: u64) -> Arc<Self> {
        let training = (0..trainings).collect();
        let random = fastrand::Rng::with_seed(seed);
        let mut queue = TurnQueue { training, round: Vec::new(), preparing: trainings, random };
        queue.begin_round();
        Arc::new(Self { queue: Mutex::new(queue), changed: Condvar::new() })
    }

    /// The ticket of one training. Take each number once.
    pub(crate) fn ticket(self: &Arc<Self>, number: usize) -> TurnTicket {
        TurnTicket { scheduler: Arc::clone(self), number, is_ready: false }
    }

    fn wait_while(&self, queue: MutexGuard<'_, TurnQueue>, is_waiting: impl Fn(&TurnQueue) -> bool) {
        drop(self.changed.wait_while(queue, |queue| is_waiting(queue)));
    }

    fn queue(&self) -> MutexGuard<'_, TurnQueue> {
        lock_ignoring_poison(&self.queue)
    }
}

impl TurnTicket {
    /// Waits until all trainings are ready and returns at the first turn.
    fn begin(&mut self) {
        let mut queue = self.scheduler.queue();
        self.is_ready = true;
        queue.preparing -= 1;
        self.scheduler.changed.notify_all();
        self.scheduler.wait_while(queue, |queue| !queue.has_turn(self.number));
    }

    /// Ends a turn and waits for the next one.
    fn next(&self) {
        let mut queue = self.scheduler.queue();
        queue.round.pop();
        queue.begin_round_if_over();
        self.scheduler.changed.notify_all();
        self.scheduler.wait_while(queue, |queue| !queue.has_turn(self.number));
    }

    /// Leaves and waits until all trainings have left, so that the end of a training is in no turn.
    fn end(mut self) {
        self.leave();
        self.scheduler.wait_while(self.scheduler.queue(), |queue| !queue.training.is_empty());
    }

    fn leave(&mut self) {
        let mut queue = self.scheduler.queue();
        if !self.is_ready {
            queue.preparing -= 1;
            self.is_ready = true;
        }
        queue.training.retain(|number| *number != self.number);
        queue.round.retain(|number| *number != self.number);
        queue.begin_round_if_over();
        self.scheduler.changed.notify_all();
    }
}

impl Drop for TurnTicket {
    /// A training that fails leaves, too; otherwise the others would wait forever.
    fn drop(&mut self) {
        self.leave();
    }
}

impl TurnQueue {
    fn has_turn(&self, number: usize) -> bool {
        self.preparing == 0 && self.round.last() == Some(&number)
    }

    fn begin_round_if_over(&mut self) {
        if self.round.is_empty() {
            self.begin_round();
        }
    }

    fn begin_round(&mut self) {
        self.round.clone_from(&self.training);
        self.random.shuffle(&mut self.round);
    }
}
