//! A clock that stands while another training has its turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::cpu_placement::CpuPlacement;
use crate::turn_scheduler::TurnTicket;
use sootprint_benches::BenchError;
use sootprint_benches::steps::TrainingStep;
use sootprint_benches::system::{ProcessCpuTime, ThreadUsage, ThreadWatcher};

/// So long a thread of the framework's may be at work for a step that is over: a tenth of it suffices.
const REST: Duration = Duration::from_millis(2);

/// Times a training and its steps but the last, and ends its turns.
#[derive(Clone)]
pub(crate) struct TurnClock(Arc<Mutex<TurnClockState>>);

/// What a training took in its turns.
#[derive(Default)]
pub(crate) struct TrainingTime {
    pub(crate) time: Duration,
    /// The steps of each turn.
    pub(crate) turns: Vec<Vec<TrainingStep>>,
    /// What sootprint's threads did meanwhile.
    pub(crate) own: ThreadUsage,
    /// For how many seconds its thread was on no processor: it waited for another one, for its turn on one, or for the host.
    pub(crate) waited: f64,
    /// The processor time of all other threads but sootprint's in seconds, until they were done with it.
    pub(crate) others: f64,
}

impl TrainingTime {
    pub(crate) fn own_seconds(&self) -> f64 {
        self.own.cpu_time.as_secs_f64()
    }
}

/// The names of sootprint's threads, as far as Linux keeps them.
const OWN: [&str; 2] = ["sootprint-sampl", "sootprint-ledge"];

struct TurnClockState {
    player: Option<TurnTicket>,
    place: CpuPlacement,
    batches_in_a_turn: usize,
    threads: Option<ThreadWatcher>,
    batches: usize,
    took: TrainingTime,
    turn_began: TurnStart,
    step_began: (Instant, ThreadUsage),
}

/// What was so far when a turn began.
struct TurnStart {
    at: Instant,
    work: ThreadUsage,
    time: ProcessCpuTime,
}

impl TurnClock {
    pub(crate) fn new(player: TurnTicket, place: CpuPlacement, batches_in_a_turn: usize) -> Self {
        Self(Arc::new(Mutex::new(TurnClockState {
            player: Some(player),
            place,
            batches_in_a_turn,
            threads: None,
            batches: 0,
            took: TrainingTime::default(),
            turn_began: TurnStart::now(ThreadUsage::default()),
            step_began: (Instant::now(), ThreadUsage::default()),
        })))
    }

    /// Times a training, which begins with the first turn; returns when the others have ended too.
    pub(crate) fn time<T>(&self, train: impl FnOnce() -> T) -> Result<(T, TrainingTime), BenchError> {
        self.start()?;
        let trained = train();
        Ok((trained, self.stop()))
    }

    /// To be called at each batch, by the thread that trains.
    pub(crate) fn batch(&self) {
        let mut state = self.state();
        state.place.take();
        state.end_step();
        state.batches += 1;
        if state.batches.is_multiple_of(state.batches_in_a_turn) {
            state.end_turn();
            if let Some(player) = &state.player {
                player.next();
            }
            state.begin_turn();
        }
        state.begin_step();
    }

    fn start(&self) -> Result<(), BenchError> {
        let mut state = self.state();
        if let Some(player) = &mut state.player {
            player.begin();
        }
        // All are ready by now, the one with the run too.
        state.threads = Some(ThreadWatcher::open(&OWN)?);
        state.begin_turn();
        state.begin_step();
        Ok(())
    }

    fn stop(&self) -> TrainingTime {
        let mut state = self.state();
        state.end_turn();
        if let Some(player) = state.player.take() {
            player.end();
        }
        std::mem::take(&mut state.took)
    }

    fn state(&self) -> MutexGuard<'_, TurnClockState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnStart {
    fn now(work: ThreadUsage) -> Self {
        let time = ProcessCpuTime::now();
        Self { at: Instant::now(), work, time }
    }
}

impl TurnClockState {
    fn begin_turn(&mut self) {
        self.took.turns.push(Vec::new());
        self.turn_began = TurnStart::now(self.work());
    }

    fn end_turn(&mut self) {
        let TurnStart { at, work, time } = self.turn_began;
        let took = at.elapsed();
        self.took.waited += took.as_secs_f64() - (ProcessCpuTime::now().this_thread - time.this_thread);
        self.took.time += took;
        self.took.own = self.took.own + (self.work() - work);
        // What is still at work for this training is in nobody's turn.
        thread::sleep(REST);
        let own = (self.work() - work).cpu_time.as_secs_f64();
        self.took.others += ProcessCpuTime::now().other_threads - time.other_threads - own;
    }

    fn begin_step(&mut self) {
        let work = self.work();
        self.step_began = (Instant::now(), work);
    }

    fn end_step(&mut self) {
        let (began, before) = self.step_began;
        let time = began.elapsed();
        let is_joined = self.work().timeslices != before.timeslices;
        if let Some(turn) = self.took.turns.last_mut() {
            turn.push(TrainingStep { time, is_interrupted: is_joined });
        }
    }

    fn work(&self) -> ThreadUsage {
        self.threads.as_ref().map(ThreadWatcher::usage).unwrap_or_default()
    }
}
