//! The only board's energy counter and its power, read far more often than sootprint does, so that any moment's value is
//! known.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nvml_wrapper::enums::device::SampleValue;
use nvml_wrapper::structs::device::FieldId;
use nvml_wrapper::sys_exports::field_id::NVML_FI_DEV_POWER_INSTANT;
use nvml_wrapper::{Device, Nvml};

use crate::{ReferenceEnergy, TickPosition, TrainingError};

/// Shorter than any board's tick.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Notes each tick, and each change of the power, until it is stopped.
pub struct CounterRecorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<CounterRecording, TrainingError>>,
    started: Receiver<()>,
}

impl CounterRecorder {
    /// Begins to read, and returns when the first value is there.
    ///
    /// # Errors
    /// When there is not exactly one board, or it has no counter.
    pub fn start() -> Result<Self, TrainingError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (says, started) = channel();
        let is_stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let nvml = Nvml::init()?;
            if nvml.device_count()? != 1 {
                return Err("this needs a machine with one board".into());
            }
            let board = nvml.device_by_index(0)?;
            let mut ticks = CounterRecording::default();
            loop {
                let watts = read_power(&board)?;
                if ticks.powers.last().is_none_or(|(_, last)| watts != *last) {
                    ticks.powers.push((Instant::now(), watts));
                }
                let joules = board.total_energy_consumption()? as f64 / 1e3;
                if ticks.counter.last().is_none_or(|(_, last)| joules > *last) {
                    ticks.counter.push((Instant::now(), joules));
                    // Two ticks enclose whatever is asked later.
                    if ticks.counter.len() == 2 {
                        says.send(())?;
                    }
                } else if is_stopped.load(Ordering::Relaxed) {
                    ticks.powers.push((Instant::now(), watts));
                    return Ok(ticks);
                }
                thread::sleep(POLL_INTERVAL);
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
    pub fn stop(self) -> Result<CounterRecording, TrainingError> {
        // One tick more, so that the last edge has one on either side.
        thread::sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "reading the counter panicked")?
    }
}

/// In watts.
fn read_power(board: &Device<'_>) -> Result<f64, TrainingError> {
    let field = board.field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?.pop().ok_or("no field")??;
    match field.value? {
        SampleValue::U32(milliwatts) => Ok(f64::from(milliwatts) / 1e3),
        other => Err(format!("a power of {other:?}").into()),
    }
}

/// The counter's values and the power's, each at the moment in which it was first seen.
#[derive(Default)]
pub struct CounterRecording {
    counter: Vec<(Instant, f64)>,
    powers: Vec<(Instant, f64)>,
}

impl CounterRecording {
    /// The energy between two moments, by straight lines between ticks.
    #[must_use]
    pub fn energy_between(&self, from: Instant, to: Instant) -> ReferenceEnergy {
        let ((earlier, low), (later, high)) = surrounding_values(&self.counter, to);
        let ((_, watts), (changed, next)) = surrounding_values(&self.powers, to);
        let end = TickPosition {
            since: to.saturating_duration_since(earlier),
            tick: later - earlier,
            joules: high - low,
            watts,
            then: (changed.saturating_duration_since(to), next),
        };
        ReferenceEnergy { joules: self.energy_at(to) - self.energy_at(from), end }
    }

    fn energy_at(&self, moment: Instant) -> f64 {
        let ((earlier, low), (later, high)) = surrounding_values(&self.counter, moment);
        let part = moment.saturating_duration_since(earlier).as_secs_f64() / (later - earlier).as_secs_f64();
        low + (high - low) * part
    }

    /// Prints how the counter ticks, and how often the power that the board tells is another one.
    pub fn print_tick_intervals(&self) {
        for (what, values) in [("counter", &self.counter), ("power", &self.powers)] {
            let mut gaps: Vec<f64> =
                values.windows(2).map(|two| (two[1].0 - two[0].0).as_secs_f64() * 1e3).collect();
            gaps.sort_by(f64::total_cmp);
            let (Some(shortest), Some(longest)) = (gaps.first(), gaps.last()) else { continue };
            println!(
                "The {what} changes each {:.1} ms (from {shortest:.1} to {longest:.1} ms), {} times in all.",
                gaps[gaps.len() / 2],
                gaps.len()
            );
        }
    }
}

/// The values before and after a moment.
fn surrounding_values(values: &[(Instant, f64)], moment: Instant) -> ((Instant, f64), (Instant, f64)) {
    let after = values.partition_point(|(at, _)| *at <= moment).clamp(1, values.len() - 1);
    (values[after - 1], values[after])
}

/// A thread that reads the only board's counter now and then, and does no more.
pub struct CounterPoller {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(u32, Duration), TrainingError>>,
}

impl CounterPoller {
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
    pub fn stop(self) -> Result<(u32, Duration), TrainingError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "reading the counter panicked")?
    }
}
