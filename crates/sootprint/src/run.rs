//! A training run: its start, its epochs and its end.

mod background;
mod budget;
mod builder;
mod epochs;
mod error;
mod event;
mod finish_hook;
mod finish_waits;
mod handle;
mod label;
mod loop_epoch;
mod nested;
mod phase;
mod recorder;
mod recovery;
mod spans;
mod threads;
mod timeouts;
mod usage;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sootprint_core::format::error_chain;
use sootprint_core::{Footprint, IntensityProvider, RunStatus};

use crate::ledger::list_runs;
use background::BackgroundQueries;
pub use budget::{Budget, BudgetExceeded, RunForecast};
pub use builder::RunBuilder;
pub use epochs::Epochs;
pub use error::{LoadError, StartError};
pub use finish_hook::FinishHook;
pub use handle::RunHandle;
#[cfg(unix)]
pub use nested::NestedRunListener;
pub use phase::Phase;
pub use recovery::{load_all_footprints, load_footprint, load_footprint_from_dirs};
use timeouts::{DROP_TIMEOUT, FINISH_TIMEOUT};
pub use usage::LiveUsage;
pub use windows::{WindowLength, Windows};

/// A training run whose energy is being measured.
///
/// A run is configured with [`pre_training`](Run::pre_training), [`fine_tuning`](Run::fine_tuning) or
/// [`untyped`](Run::untyped), and ends with [`finish`](Run::finish). A run that is dropped without `finish` is recorded
/// as failed, or as panicked if a panic dropped it.
///
/// A measurement error never makes the training fail: whatever cannot be measured becomes a named gap in the footprint
/// and one warning through `tracing`.
///
/// ```
/// use sootprint::{RunStatus, Run};
///
/// # let dir = tempfile::tempdir()?;
/// let run = Run::pre_training(dir.path()).start();
/// for epoch in run.epochs(1..=3) {
///     // train
/// }
/// let footprint = run.finish();
/// assert_eq!(footprint.epochs.len(), 3);
/// assert_eq!(footprint.run.outcome, RunStatus::Completed);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a run that is dropped without `finish` is recorded as failed"]
#[derive(Debug)]
pub struct Run {
    handle: RunHandle,
    dir: PathBuf,
    intensity_provider: Option<Arc<dyn IntensityProvider>>,
    finish_hooks: Vec<Arc<dyn FinishHook>>,
    background: BackgroundQueries,
    rank: u32,
    /// The number of ranks, and how long rank 0 waits for the others.
    ranks: u32,
    rank_timeout: Duration,
    is_finished: bool,
}

impl Run {
    /// Returns a handle for training hooks. It can outlive the run and be shared between threads.
    #[must_use]
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Returns the rank of this process, from 0. Only rank 0 calls the [`FinishHook`]s, such as a push to the Hugging
    /// Face Hub; its footprint includes all ranks.
    #[must_use]
    pub const fn rank(&self) -> u32 {
        self.rank
    }

    /// Returns whether an enclosing `sootprint run` measures this run. [`finish`](Self::finish) describes what the
    /// footprint then covers.
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.handle.is_nested()
    }

    /// Returns an iterator over these epoch numbers that measures each epoch; see [`Epochs`].
    pub fn epochs<I>(&self, numbers: I) -> Epochs<I::IntoIter>
    where
        I: IntoIterator<Item: Copy + TryInto<u32>>,
    {
        Epochs::new(self.handle(), numbers.into_iter())
    }

    /// Runs and measures one epoch. It is complete if `train` returns `Ok`.
    ///
    /// # Errors
    /// The error of `train`.
    pub fn epoch<T, E>(&self, number: u32, train: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        epochs::run_epoch(self.handle(), number, train)
    }

    /// Wraps the steps of a training loop that has no epochs, and measures the loop in windows of the given length. See
    /// [`Windows`].
    ///
    /// ```
    /// use sootprint::{WindowLength, Run};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let run = Run::pre_training(dir.path()).start();
    /// let batches = std::iter::repeat(32).take(2_500);
    /// for batch in run.windows(WindowLength::steps(1_000), batches) {
    ///     // train
    ///     run.add_samples(batch);
    /// }
    /// let footprint = run.finish();
    /// assert_eq!((footprint.epochs.len(), footprint.run.samples), (3, Some(80_000)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn windows<I: IntoIterator>(&self, length: WindowLength, steps: I) -> Windows<I::IntoIter> {
        Windows::new(self.handle(), length, steps.into_iter())
    }

    /// Starts a phase, a named part of an epoch, which ends when the returned [`Phase`] is dropped.
    pub fn phase(&self, name: impl Into<String>) -> Phase {
        self.handle.phase(name)
    }

    /// Counts training samples. The footprint then reports the energy per sample, over the epochs with counted samples.
    pub fn add_samples(&self, samples: u64) {
        self.handle.add_samples(samples);
    }

    /// Counts training tokens. The footprint then reports the energy per token, over the epochs with counted tokens.
    pub fn add_tokens(&self, tokens: u64) {
        self.handle.add_tokens(tokens);
    }

    /// Returns the expected total of the run. `None` until an epoch is complete, or if the planned number of epochs is
    /// unknown.
    #[must_use]
    pub fn forecast(&self) -> Option<RunForecast> {
        self.handle.forecast()
    }

    /// Ends the run, writes `footprint.json` to its folder and returns the footprint.
    ///
    /// Waits up to 10 s for a final reading of the hardware, then up to 60 s for the intensity provider if one is
    /// configured. In a run of less than a second, also waits for the cloud metadata until that second is over.
    /// [`RunHandle::finish_without_waiting`] ends these waits.
    ///
    /// The footprint includes all attempts of a resumed run. With several ranks, rank 0 waits up to one minute for the
    /// others; its footprint includes all ranks and names those that are missing. Every other rank returns the
    /// footprint of its own part, and writes no `footprint.json`.
    ///
    /// Inside `sootprint run` the footprint covers the time from this run's start to its end. The command's footprint
    /// includes the same energy, so the two must not be added; a note in the footprint mentions this. For one of
    /// several ranks inside one command, the returned footprint is that of the whole command so far. The footprint is
    /// written to this run's folder unless the command records there.
    #[must_use = "the footprint is the result of the measurement"]
    pub fn finish(mut self) -> Footprint {
        let provider = self.intensity_provider.take();
        let footprint = self.finish_with(None, FINISH_TIMEOUT, provider);
        if self.rank == 0 {
            self.finish_hooks.iter().for_each(|hook| hook.on_finish(&footprint, &self.dir));
        }
        footprint
    }

    fn finish_with(
        &mut self,
        status: Option<RunStatus>,
        timeout: Duration,
        intensity_provider: Option<Arc<dyn IntensityProvider>>,
    ) -> Footprint {
        self.is_finished = true;
        // Dropping a run does not wait for background queries or other ranks.
        let mut background = std::mem::take(&mut self.background);
        let awaited_queries = status.is_none().then_some(&mut background);
        // An enclosing run that is recorded in the same folder writes its own footprint there.
        let is_recorded_elsewhere = self.rank == 0 && self.handle.is_recorded_elsewhere(&self.dir);
        let (footprint, ledger_id) = self.handle.close(status, timeout, awaited_queries, intensity_provider);
        let footprint = match ledger_id {
            None if is_recorded_elsewhere => footprint,
            Some(ledger_id) if ledger_id.rank == 0 => {
                let rank_timeout = if status.is_none() { self.rank_timeout } else { Duration::ZERO };
                let waits = self.handle.finish_waits();
                recovery::merge_ranks(&self.dir, &ledger_id, self.ranks, rank_timeout, waits, footprint)
            }
            _ => return footprint,
        };
        if self.has_newer_run(&footprint.run.id) {
            return footprint;
        }
        if let Err(error) = footprint.write(&self.dir) {
            tracing::warn!("cannot save the footprint: {}", error_chain(&error));
        }
        footprint
    }

    /// Whether another run was started in the same folder since this one, so that `footprint.json` belongs to it.
    fn has_newer_run(&self, own: &str) -> bool {
        let runs = list_runs(&self.dir).unwrap_or_default();
        // A nested run is recorded elsewhere, so every run listed here is older.
        let newer = runs.iter().position(|run| run == own).unwrap_or(0);
        runs[..newer].iter().any(|run| load_footprint(&self.dir, Some(run)).is_ok())
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_finished {
            let status = if std::thread::panicking() { RunStatus::Panicked } else { RunStatus::Failed };
            self.finish_with(Some(status), DROP_TIMEOUT, None);
        }
    }
}

#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod tests;
