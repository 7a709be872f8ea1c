//! A clock that stands while another training has its turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::place::Place;
use crate::turns::Player;
use sootprint_benches::Failure;
use sootprint_benches::steps::Step;
use sootprint_benches::system::{ProcessorTime, Watched, Work};

/// So long a thread of the framework's may be at work for a step that is over: a tenth of it suffices.
const REST: Duration = Duration::from_millis(2);

/// Times a training and its steps but the last, and ends its turns.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<State>>);

/// What a training took in its turns.
#[derive(Default)]
pub(crate) struct Took {
    pub(crate) time: Duration,
    /// The steps of each turn.
    pub(crate) turns: Vec<Vec<Step>>,
    /// What sootprint's threads did meanwhile.
    pub(crate) own: Work,
    /// For how many seconds its thread was on no processor: it waited for another one, for its turn on one, or for the host.
    pub(crate) waited: f64,
    /// The processor time of all other threads but sootprint's in seconds, until they were done with it.
    pub(crate) others: f64,
}

impl Took {
    pub(crate) fn own_seconds(&self) -> f64 {
        self.own.time.as_secs_f64()
    }
}

/// The names of sootprint's threads, as far as Linux keeps them.
const OWN: [&str; 2] = ["sootprint-meter", "sootprint-ledge"];

struct State {
    player: Option<Player>,
    place: Place,
    batches_in_a_turn: usize,
    threads: Option<Watched>,
    batches: usize,
    took: Took,
    turn_began: Began,
    step_began: (Instant, Work),
}

/// What was so far when a turn began.
struct Began {
    at: Instant,
    work: Work,
    time: ProcessorTime,
}

impl Clock {
    pub(crate) fn new(player: Player, place: Place, batches_in_a_turn: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            player: Some(player),
            place,
            batches_in_a_turn,
            threads: None,
            batches: 0,
            took: Took::default(),
            turn_began: Began::now(Work::default()),
            step_began: (Instant::now(), Work::default()),
        })))
    }

    /// Times a training, which begins with the first turn; returns when the others have ended too.
    pub(crate) fn time<T>(&self, train: impl FnOnce() -> T) -> Result<(T, Took), Failure> {
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

    fn start(&self) -> Result<(), Failure> {
        let mut state = self.state();
        if let Some(player) = &mut state.player {
            player.begin();
        }
        // All are ready by now, the one with the run too.
        state.threads = Some(Watched::open(&OWN)?);
        state.begin_turn();
        state.begin_step();
        Ok(())
    }

    fn stop(&self) -> Took {
        let mut state = self.state();
        state.end_turn();
        if let Some(player) = state.player.take() {
            player.end();
        }
        std::mem::take(&mut state.took)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Began {
    fn now(work: Work) -> Self {
        let time = ProcessorTime::now();
        Self { at: Instant::now(), work, time }
    }
}

impl State {
    fn begin_turn(&mut self) {
        self.took.turns.push(Vec::new());
        self.turn_began = Began::now(self.work());
    }

    fn end_turn(&mut self) {
        let Began { at, work, time } = self.turn_began;
        let took = at.elapsed();
        self.took.waited += took.as_secs_f64() - (ProcessorTime::now().this - time.this);
        self.took.time += took;
        self.took.own = self.took.own + (self.work() - work);
        // What is still at work for this training is in nobody's turn.
        thread::sleep(REST);
        let own = (self.work() - work).time.as_secs_f64();
        self.took.others += ProcessorTime::now().others - time.others - own;
    }

    fn begin_step(&mut self) {
        let work = self.work();
        self.step_began = (Instant::now(), work);
    }

    fn end_step(&mut self) {
        let (began, before) = self.step_began;
        let time = began.elapsed();
        let is_joined = self.work().turns != before.turns;
        if let Some(turn) = self.took.turns.last_mut() {
            turn.push(Step { time, is_joined });
        }
    }

    fn work(&self) -> Work {
        self.threads.as_ref().map(Watched::work).unwrap_or_default()
    }
}
