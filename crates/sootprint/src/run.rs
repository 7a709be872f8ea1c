//! A training run: started, cut into epochs, finished.

mod background;
mod budget;
mod builder;
mod device_sync;
mod epochs;
mod event;
mod finish_hook;
mod handle;
mod nested;
mod phase;
mod recorder;
mod recovery;
mod spans;
mod windows;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sootprint_core::format::error_chain;
use sootprint_core::{Footprint, IntensityProvider, RunStatus, TrainingType};

use background::BackgroundQueries;
pub use budget::{Budget, RunForecast};
pub use builder::{RunBuilder, StartError};
pub use epochs::Epochs;
pub use finish_hook::FinishHook;
pub use handle::{LiveUsage, RunHandle};
#[cfg(unix)]
pub use nested::NestedRunListener;
pub use phase::Phase;
pub use recovery::{LoadError, load_footprint, load_footprint_from_dirs};
pub use windows::{WindowLength, Windows};

/// How long a finish waits for the boards; a driver that hangs must not keep a training from ending.
const FINISH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the first rank waits for the last lines of the others.
const RANK_TIMEOUT: Duration = Duration::from_secs(60);

/// How long a run that is dropped without a finish waits for its last line.
const DROP_TIMEOUT: Duration = Duration::from_secs(1);

/// A training run whose energy is being measured.
///
/// Measuring never fails a training: what cannot be measured is a named gap in the footprint and one warning
/// (through `tracing`). Dropped without [`finish`](Run::finish) the run is recorded as failed, or as panicked.
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
    /// The number of ranks, and how long the first one waits for the others.
    ranks: u32,
    rank_timeout: Duration,
    is_finished: bool,
}

impl Run {
    /// A training from random weights, whose artifacts are in `dir`. The run's record goes there too.
    pub fn pre_training(dir: impl Into<PathBuf>) -> RunBuilder {
        RunBuilder::new(dir.into(), Some(TrainingType::PreTraining), None)
    }

    /// A training that starts from the weights of `base_model`, as in `owner/name`.
    pub fn fine_tuning(dir: impl Into<PathBuf>, base_model: impl Into<String>) -> RunBuilder {
        RunBuilder::new(dir.into(), Some(TrainingType::FineTuning), Some(base_model.into()))
    }

    /// Something of which nobody says whether it is pre-training or fine-tuning; its card will not say it either.
    pub fn untyped(dir: impl Into<PathBuf>) -> RunBuilder {
        RunBuilder::new(dir.into(), None, None)
    }

    /// A handle for hooks, which may outlive the run and be shared between threads.
    #[must_use]
    pub fn handle(&self) -> RunHandle {
        self.handle.clone()
    }

    /// Which rank this process is, from 0. Of several the first one publishes: its footprint has them all.
    #[must_use]
    pub const fn rank(&self) -> u32 {
        self.rank
    }

    /// Whether this run is one inside `sootprint run`, which measures it: then the figures are those of its own time, and
    /// the command's record has its epochs. See [`finish`](Self::finish).
    #[must_use]
    pub fn is_nested(&self) -> bool {
        self.handle.is_nested()
    }

    /// Goes through the epochs with these numbers and measures each; see [`Epochs`].
    pub fn epochs<I>(&self, numbers: I) -> Epochs<I::IntoIter>
    where
        I: IntoIterator<Item: Copy + TryInto<u32>>,
    {
        Epochs::new(self.handle(), numbers.into_iter())
    }

    /// Runs one epoch; it is complete when `train` returns `Ok`.
    ///
    /// # Errors
    /// Those of `train`.
    pub fn epoch<T, E>(&self, number: u32, train: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        epochs::run_epoch(&self.handle, number, train)
    }

    /// Goes through the steps of a loop that has no epochs and measures it slice by slice; see [`Windows`].
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

    /// A named part of an epoch begins now and ends when what is returned is dropped; see [`Phase`].
    pub fn phase(&self, name: impl Into<String>) -> Phase {
        self.handle.phase(name)
    }

    /// So many more samples were trained on: then the footprint tells what one used, over the epochs in which any were
    /// counted.
    pub fn add_samples(&self, samples: u64) {
        self.handle.add_samples(samples);
    }

    /// So many more tokens were trained on.
    pub fn add_tokens(&self, tokens: u64) {
        self.handle.add_tokens(tokens);
    }

    /// What the whole run will come to, once an epoch is complete and their number is known.
    #[must_use]
    pub fn forecast(&self) -> Option<RunForecast> {
        self.handle.forecast()
    }

    /// Ends the run, writes `footprint.json` into its folder and gives the footprint.
    ///
    /// It waits for one last reading of the boards, in bounds, and for the live provider's answer if there is one; a run
    /// of less than a second also for the cloud's word.
    ///
    /// The footprint has all attempts of a run that was resumed. Of several ranks the first waits up to a minute for the
    /// others, and its footprint has them all, with those that are missing by name; every other rank's is its own part,
    /// and it writes no `footprint.json`.
    ///
    /// Inside `sootprint run` the footprint is what was used from this run's start to its finish, and the command's has
    /// that too: the two are not to be added, and a note says so. Of several ranks inside one command it is that of the
    /// whole command so far. It is written into this run's folder if that is not the command's, which has the record.
    #[must_use = "the footprint is what the run was measured for"]
    pub fn finish(mut self) -> Footprint {
        let provider = self.intensity_provider.take();
        let footprint = self.finish_with(None, FINISH_TIMEOUT, provider.as_deref());
        if self.rank == 0 {
            self.finish_hooks.iter().for_each(|hook| hook.on_finish(&footprint, &self.dir));
        }
        footprint
    }

    fn finish_with(
        &mut self,
        status: Option<RunStatus>,
        timeout: Duration,
        intensity_provider: Option<&dyn IntensityProvider>,
    ) -> Footprint {
        self.is_finished = true;
        // Who only drops a run waits for nobody else's word.
        let mut background = std::mem::take(&mut self.background);
        let awaited_queries = status.is_none().then_some(&mut background);
        // A run around this one that is recorded in the same folder writes its own footprint there.
        let is_recorded_elsewhere = self.rank == 0 && self.handle.is_recorded_elsewhere(&self.dir);
        let (footprint, ledger_id) = self.handle.close(status, timeout, awaited_queries, intensity_provider);
        let footprint = match ledger_id {
            None if is_recorded_elsewhere => footprint,
            Some(ledger_id) if ledger_id.rank == 0 => {
                let rank_timeout = if status.is_none() { self.rank_timeout } else { Duration::ZERO };
                recovery::merge_ranks(&self.dir, &ledger_id, self.ranks, rank_timeout, footprint)
            }
            _ => return footprint,
        };
        if let Err(error) = footprint.write(&self.dir) {
            tracing::warn!("the footprint is not saved: {}", error_chain(&error));
        }
        footprint
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
