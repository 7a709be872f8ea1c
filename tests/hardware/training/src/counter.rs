//! Reads the energy counter and power of the only GPU much more often than sootprint does, to know their
//! values at any time.

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

/// Shorter than any GPU's counter tick.
const POLL_INTERVAL: Duration = Duration::from_millis(2);

/// Records each counter tick and each change of the power until it is stopped.
pub struct CounterRecorder {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<CounterRecording, TrainingError>>,
    started: Receiver<()>,
}

impl CounterRecorder {
    /// Starts reading, and returns after the second counter tick.
    ///
    /// # Errors
    /// If there is not exactly one GPU, or it has no counter.
    pub fn start() -> Result<Self, TrainingError> {
        let stop = Arc::new(AtomicBool::new(false));
        let (tx, started) = channel();
        let is_stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let nvml = Nvml::init()?;
            if nvml.device_count()? != 1 {
                return Err("exactly one GPU is required".into());
            }
            let gpu = nvml.device_by_index(0)?;
            let mut ticks = CounterRecording::default();
            loop {
                let watts = read_power(&gpu)?;
                if ticks.powers.last().is_none_or(|(_, last)| watts != *last) {
                    ticks.powers.push((Instant::now(), watts));
                }
                let joules = gpu.total_energy_consumption()? as f64 / 1e3;
                if ticks.counter.last().is_none_or(|(_, last)| joules > *last) {
                    ticks.counter.push((Instant::now(), joules));
                    // Two ticks surround every later time.
                    if ticks.counter.len() == 2 {
                        tx.send(())?;
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
            return Err(counter.stop().err().unwrap_or_else(|| "the counter does not change".into()));
        }
        Ok(counter)
    }

    /// Stops after one more tick and returns the recording.
    ///
    /// # Errors
    /// If the counter could not be read.
    pub fn stop(self) -> Result<CounterRecording, TrainingError> {
        // Waits for one more tick, so that there is one on both sides of the last boundary.
        thread::sleep(Duration::from_millis(300));
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "reading the counter panicked")?
    }
}

/// The instantaneous power in watts.
fn read_power(gpu: &Device<'_>) -> Result<f64, TrainingError> {
    let field = gpu.field_values_for(&[FieldId(NVML_FI_DEV_POWER_INSTANT)])?.pop().ok_or("no field")??;
    match field.value? {
        SampleValue::U32(milliwatts) => Ok(f64::from(milliwatts) / 1e3),
        other => Err(format!("a power of {other:?}").into()),
    }
}

/// The values of the counter and the power, each with the time of its first reading.
#[derive(Default)]
pub struct CounterRecording {
    counter: Vec<(Instant, f64)>,
    powers: Vec<(Instant, f64)>,
}

impl CounterRecording {
    /// The energy between two times, with linear interpolation between ticks.
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

    /// Prints the intervals between counter ticks and between changes of the reported power.
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

/// The values before and after a time.
fn surrounding_values(values: &[(Instant, f64)], moment: Instant) -> ((Instant, f64), (Instant, f64)) {
    let after = values.partition_point(|(at, _)| *at <= moment).clamp(1, values.len() - 1);
    (values[after - 1], values[after])
}

/// A thread that only reads the counter of the only GPU, once per period.
pub struct CounterPoller {
    stop: Arc<AtomicBool>,
    thread: JoinHandle<Result<(u32, Duration), TrainingError>>,
}

impl CounterPoller {
    /// Starts reading, once per period.
    #[must_use]
    pub fn start(period: Duration) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let is_stopped = Arc::clone(&stop);
        let thread = thread::spawn(move || {
            let nvml = Nvml::init()?;
            let gpu = nvml.device_by_index(0)?;
            let (mut readings, mut took) = (0, Duration::ZERO);
            while !is_stopped.load(Ordering::Relaxed) {
                let began = Instant::now();
                gpu.total_energy_consumption()?;
                (readings, took) = (readings + 1, took + began.elapsed());
                thread::sleep(period.saturating_sub(began.elapsed()));
            }
            Ok((readings, took))
        });
        Self { stop, thread }
    }

    /// Returns the number of readings and their total duration.
    ///
    /// # Errors
    /// If the counter could not be read.
    pub fn stop(self) -> Result<(u32, Duration), TrainingError> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().map_err(|_| "reading the counter panicked")?
    }
}
