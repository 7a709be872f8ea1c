//! A training run: started, cut into epochs, finished.

mod attach;
mod book;
mod budget;
mod builder;
mod edges;
mod epochs;
mod gather;
mod handle;
mod hook;
mod phase;
mod said;
mod slices;
mod spans;
mod watch;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use sootprint_core::{Footprint, Outcome, Provider, TrainingType};

#[cfg(unix)]
pub use attach::Attachments;
pub use budget::{Budget, Prediction};
pub use builder::{RunBuilder, StartError};
pub use epochs::Epochs;
pub use gather::{RecoverError, recover, recover_all};
pub use handle::{Live, RunHandle};
pub use hook::AtFinish;
pub use phase::Phase;
pub use slices::{Every, Slices};
use watch::Watch;

/// How long a finish waits for the boards; a driver that hangs must not keep a training from ending.
const LONGEST_FINISH: Duration = Duration::from_secs(10);

/// How long the first rank waits for the last lines of the others.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// How long a run that is dropped without a finish waits for its last line.
const LONGEST_DROP: Duration = Duration::from_secs(1);

/// A training run whose energy is being measured.
///
/// Measuring never fails a training: what cannot be measured is a named gap in the footprint and one warning
/// (through `tracing`). Dropped without [`finish`](Run::finish) the run is recorded as failed, or as panicked.
///
/// ```
/// use sootprint::{Outcome, Run};
///
/// # let dir = tempfile::tempdir()?;
/// let run = Run::pre_training(dir.path()).start();
/// for epoch in run.epochs(1..=3) {
///     // train
/// }
/// let footprint = run.finish();
/// assert_eq!(footprint.epochs.len(), 3);
/// assert_eq!(footprint.run.outcome, Outcome::Completed);
/// # Ok::<(), std::io::Error>(())
/// ```
#[must_use = "a run that is dropped without `finish` is recorded as failed"]
#[derive(Debug)]
pub struct Run {
    handle: RunHandle,
    dir: PathBuf,
    provider: Option<Arc<dyn Provider>>,
    at_finish: Vec<Arc<dyn AtFinish>>,
    watch: Watch,
    rank: u32,
    /// The number of ranks, and how long the first one waits for the others.
    ranks: u32,
    waits: Duration,
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
    pub fn unlabelled(dir: impl Into<PathBuf>) -> RunBuilder {
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
    pub fn is_attached(&self) -> bool {
        self.handle.is_attached()
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
        epochs::in_scope(&self.handle, number, train)
    }

    /// Goes through the steps of a loop that has no epochs and measures it slice by slice; see [`Slices`].
    ///
    /// ```
    /// use sootprint::{Every, Run};
    ///
    /// # let dir = tempfile::tempdir()?;
    /// let run = Run::pre_training(dir.path()).start();
    /// let batches = std::iter::repeat(32).take(2_500);
    /// for batch in run.slices(Every::steps(1_000), batches) {
    ///     // train
    ///     run.samples(batch);
    /// }
    /// let footprint = run.finish();
    /// assert_eq!((footprint.epochs.len(), footprint.run.samples), (3, Some(80_000)));
    /// # Ok::<(), std::io::Error>(())
    /// ```
    pub fn slices<I: IntoIterator>(&self, every: Every, steps: I) -> Slices<I::IntoIter> {
        Slices::new(self.handle(), every, steps.into_iter())
    }

    /// A named part of an epoch begins now and ends when what is returned is dropped; see [`Phase`].
    pub fn phase(&self, name: impl Into<String>) -> Phase {
        self.handle.phase(name)
    }

    /// So many more samples were trained on: then the footprint tells what one used, over the epochs in which any were
    /// counted.
    pub fn samples(&self, samples: u64) {
        self.handle.samples(samples);
    }

    /// So many more tokens were trained on.
    pub fn tokens(&self, tokens: u64) {
        self.handle.tokens(tokens);
    }

    /// What the whole run will come to, once an epoch is complete and their number is known.
    #[must_use]
    pub fn prediction(&self) -> Option<Prediction> {
        self.handle.prediction()
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
        let provider = self.provider.take();
        let footprint = self.end(None, LONGEST_FINISH, provider.as_deref());
        if self.rank == 0 {
            self.at_finish.iter().for_each(|hook| hook.finished(&footprint, &self.dir));
        }
        footprint
    }

    fn end(
        &mut self,
        outcome: Option<Outcome>,
        patience: Duration,
        provider: Option<&dyn Provider>,
    ) -> Footprint {
        self.is_finished = true;
        // Who only drops a run waits for nobody else's word.
        let mut watch = std::mem::take(&mut self.watch);
        let waits = outcome.is_none().then_some(&mut watch);
        // A run around this one that is recorded in the same folder writes its own footprint there.
        let is_elsewhere = self.rank == 0 && self.handle.is_attached_elsewhere(&self.dir);
        let (footprint, name) = self.handle.close(outcome, patience, waits, provider);
        let footprint = match name {
            None if is_elsewhere => footprint,
            Some(name) if name.rank == 0 => {
                let waits = if outcome.is_none() { self.waits } else { Duration::ZERO };
                gather::united(&self.dir, &name, self.ranks, waits, footprint)
            }
            _ => return footprint,
        };
        if let Err(error) = footprint.write(&self.dir) {
            tracing::warn!("the footprint is not saved: {error}");
        }
        footprint
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        if !self.is_finished {
            let outcome = if std::thread::panicking() { Outcome::Panicked } else { Outcome::Failed };
            self.end(Some(outcome), LONGEST_DROP, None);
        }
    }
}

#[cfg(test)]
mod accuracy;
#[cfg(test)]
mod tests;
