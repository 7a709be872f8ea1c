//! A clock that stands while another training has its turn.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use sootprint_benches::Failure;
use sootprint_benches::steps::Step;
use sootprint_benches::system::Watched;

use crate::place::Place;
use crate::turns::Player;

/// Times a training and each of its steps, and ends its turns.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Mutex<State>>);

struct State {
    player: Option<Player>,
    place: Place,
    batches_in_a_turn: usize,
    others: Option<Watched>,
    time: Duration,
    turn_since: Instant,
    step_since: Instant,
    joined: u64,
    batches: usize,
    turns: Vec<Vec<Step>>,
}

impl Clock {
    pub(crate) fn new(player: Player, place: Place, batches_in_a_turn: usize) -> Self {
        let now = Instant::now();
        Self(Arc::new(Mutex::new(State {
            player: Some(player),
            place,
            batches_in_a_turn,
            others: None,
            time: Duration::ZERO,
            turn_since: now,
            step_since: now,
            joined: 0,
            batches: 0,
            turns: vec![Vec::new()],
        })))
    }

    /// Begins with the first turn, and watches threads of some names.
    pub(crate) fn start(&self, names: &[&str]) -> Result<(), Failure> {
        let mut state = self.state();
        if let Some(player) = &mut state.player {
            player.begin();
        }
        state.others = Some(Watched::open(names)?);
        state.turn_since = Instant::now();
        state.begin_step();
        Ok(())
    }

    /// To be called at each batch, by the thread that trains.
    pub(crate) fn batch(&self) {
        let mut state = self.state();
        state.place.take();
        state.end_step();
        state.batches += 1;
        if state.batches.is_multiple_of(state.batches_in_a_turn) {
            let turn = state.turn_since.elapsed();
            state.time += turn;
            if let Some(player) = &state.player {
                player.next();
            }
            state.turns.push(Vec::new());
            state.turn_since = Instant::now();
        }
        state.begin_step();
    }

    /// The time of a training that has ended, and its steps by turns; returns when all have ended.
    pub(crate) fn stop(&self) -> (Duration, Vec<Vec<Step>>) {
        let mut state = self.state();
        let time = state.time + state.turn_since.elapsed();
        state.place.leave();
        if let Some(player) = state.player.take() {
            player.end();
        }
        (time, std::mem::take(&mut state.turns))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn begin_step(&mut self) {
        self.joined = self.turns_of_others();
        self.step_since = Instant::now();
    }

    fn end_step(&mut self) {
        let time = self.step_since.elapsed();
        let is_joined = self.turns_of_others() != self.joined;
        if let Some(turn) = self.turns.last_mut() {
            turn.push(Step { time, is_joined });
        }
    }

    fn turns_of_others(&self) -> u64 {
        self.others.as_ref().map_or(0, Watched::turns)
    }
}
