//! The only board's energy counter, read far more often than sootprint does, so that any moment's value is known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nvml_wrapper::Nvml;

use crate::{Failure, Truth};

/// Shorter than any board's tick.
const PAUSE: Duration = Duration::from_millis(2);

/// Notes each tick until it is stopped.
pub struct Counter {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<Vec<(Instant, f64)>, Failure>>,
    started: Receiver<()>,
}

impl Counter {
    /// Begins to read, and returns when the first value is there.
    ///
    /// # Errors
    /// When there is not exactly one board, or it has no counter.
    pub fn start() -> Result<Self, Failure> {
        let stop = Arc::new(AtomicBool::new(false));
        let (says, started) = channel();
        let is_stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let nvml = Nvml::init()?;
            if nvml.device_count()? != 1 {
                return Err("this needs a machine with one board".into());
            }
            let board = nvml.device_by_index(0)?;
            let mut ticks: Vec<(Instant, f64)> = Vec::new();
            loop {
                let joules = board.total_energy_consumption()? as f64 / 1e3;
                if ticks.last().is_none_or(|(_, last)| joules > *last) {
                    ticks.push((Instant::now(), joules));
                    // Two ticks enclose whatever is asked later.
                    if ticks.len() == 2 {
                        says.send(())?;
                    }
                } else if is_stopped.load(Ordering::Relaxed) {
                    return Ok(ticks);
                }
                thread::sleep(PAUSE);
            }
        });
        let counter = Self { stop, thread, started };
        if counter.started.recv().is_err() {
            return Err(counter.stop().err().unwrap_or_else(|| "the counter stands still".into()));
        }
        Ok(counter)
    }

    /// What was noted, when a tick has come after this call.
    ///
    /// # Errors
    /// When the counter could not be read.
    pub fn stop(self) -> Result<Ticks, Failure> {
        // One tick more, so that the last edge has one on either side.
        thread::sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "reading the counter panicked")?.map(Ticks)
    }
}

/// The counter's values, each at the moment in which it was first seen.
pub struct Ticks(Vec<(Instant, f64)>);

impl Ticks {
    /// The energy between two moments, by straight lines between ticks.
    #[must_use]
    pub fn between(&self, from: Instant, to: Instant) -> Truth {
        Truth { joules: self.at(to) - self.at(from) }
    }

    fn at(&self, moment: Instant) -> f64 {
        let after = self.0.partition_point(|(at, _)| *at <= moment).clamp(1, self.0.len() - 1);
        let ((earlier, low), (later, high)) = (self.0[after - 1], self.0[after]);
        let part = moment.saturating_duration_since(earlier).as_secs_f64() / (later - earlier).as_secs_f64();
        low + (high - low) * part
    }

    /// Prints how the counter ticks.
    pub fn describe(&self) {
        let mut gaps: Vec<f64> =
            self.0.windows(2).map(|two| (two[1].0 - two[0].0).as_secs_f64() * 1e3).collect();
        gaps.sort_by(f64::total_cmp);
        println!(
            "The counter ticks each {:.1} ms (from {:.1} to {:.1} ms), {} times in all.",
            gaps[gaps.len() / 2],
            gaps[0],
            gaps[gaps.len() - 1],
            gaps.len()
        );
    }
}

/// A thread that reads the only board's counter now and then, and does no more.
pub struct Reader {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(u32, Duration), Failure>>,
}

impl Reader {
    /// Reads once in each period from now on.
    #[must_use]
    pub fn start(period: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let nvml = Nvml::init()?;
            let board = nvml.device_by_index(0)?;
            let (mut readings, mut took) = (0, Duration::ZERO);
            while !is_stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                board.total_energy_consumption()?;
                (readings, took) = (readings + 1, took + began.elapsed());
                thread::sleep(period.saturating_sub(began.elapsed()));
            }
            Ok((readings, took))
        });
        Self { stop, thread }
    }

    /// How often it read, and how long that took in all.
    ///
    /// # Errors
    /// When the counter could not be read.
    pub fn stop(self) -> Result<(u32, Duration), Failure> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "reading the counter panicked")?
    }
}
